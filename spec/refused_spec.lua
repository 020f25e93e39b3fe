-- SPDX-License-Identifier: MIT
-- Who is refused counts by the limit that did it; and what pools have.
local helper = require "spec.helper"
local sqlite_files = require "spec.sqlite_files"

local APP = [[
app:get("/metrics", function() return reply.body(spate.metrics.text(), "text/plain") end)
app:get("/", function() return "" end)
app:post("/", function(req) local body, why = req:body() if not body then return nil end return body end)
app:get("/twice", spate.rate_limit { rate = 1, per = 60, burst = 1, key = function() return "all" end }, function() return "" end)
app:get("/few", spate.stream_limit { max = 1, key = function() return "all" end }, function() return sse.reply(sse.never()) end)
app:get("/tasks", function()
  local ok, err = pcall(function() for _ = 1, 100 do sse.spawn(function() sse.sleep(1) end) end end)
  return tostring(ok)
end)
local held
app:get("/memory", function() pcall(function() while true do held = { held } end end) return "" end)
app:get("/wait", function() sse.sleep(1) return "" end)]]

local LIMITS = { "none", "head", "fields", "target", "query_pairs", "body", "chunk_extensions", "timeout", "connections", "connections_per_address",
  "handshakes", "tasks", "lua_memory", "rate_limit", "stream_limit", "durable_streams" }

local function series_of(text, name)
  local list = {}
  for label, value in text:gmatch("\nspate_" .. name .. "{(.-)} (%d+)") do list[#list + 1] = { label, tonumber(value) } end
  return list
end

describe("who is refused", function()
  local server
  after_each(function() server:close() end)

  local function serve(limits, settings)
    settings = settings or {}
    settings.limits = limits
    server = helper.serve(APP, { settings = settings })
  end

  -- All that has been refused, by limit.
  local function refused()
    local counted = {}
    for _, one in ipairs(series_of(server:get("/metrics"):body(), "refused_total")) do
      if one[2] > 0 then counted[one[1]:match '^limit="(.*)"$'] = one[2] end
    end
    return counted
  end

  it("has a series for each limit, and no other", function()
    serve()
    local names = {}
    for i, one in ipairs(series_of(server:get("/metrics"):body(), "refused_total")) do names[i] = one[1]:match '^limit="(.*)"$' end
    assert.same(LIMITS, names)
  end)

  local HOST = " HTTP/1.1\r\nHost: a\r\n"
  local fields = {}
  for i = 1, 20 do fields[i] = "a" .. i .. ": b\r\n" end
  for limit, sent in pairs {
    none = "nonsense\r\n\r\n",
    head = "GET /" .. HOST .. "x: " .. ("y"):rep(2000) .. "\r\n\r\n",
    fields = "GET /" .. HOST .. table.concat(fields) .. "\r\n",
    target = "GET /" .. ("x"):rep(200) .. HOST .. "\r\n",
    query_pairs = "GET /?a=1&b=2&c=3&d=4" .. HOST .. "\r\n",
    body = "POST /" .. HOST .. "Content-Length: 200\r\n\r\n",
    chunk_extensions = "POST /" .. HOST .. "Transfer-Encoding: chunked\r\n\r\n1;" .. ("x"):rep(30) .. "\r\na\r\n0\r\n\r\n",
  } do
    it("by " .. limit, function()
      serve { head = 1500, fields = 10, target = 100, query_pairs = 3, body = 100, chunk_extensions = 20 }
      server:send(sent)
      assert.same({ [limit] = 1 }, refused())
      assert.equal(1, server:get("/metrics"):body():match 'spate_refused_total{limit="' and 1)
    end)
  end

  it("by timeout, of a head and of a body", function()
    serve(nil, { timeouts = { head = 5, body = 5 } })
    server:send "GET / HT"
    server:send "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"
    server:advance(6)
    assert.same({ timeout = 2 }, refused())
  end)

  it("by connections", function()
    serve { connections = 2 }
    local first = server:get "/"
    local one = first.client
    first:body()
    server:get "/"
    server:get "/"
    assert.equal('spate_refused_total{limit="connections"} 1', server:get("/metrics", { client = one }):body():match '[^\n]*limit="connections"[^\n]*')
  end)

  it("by connections_per_address", function()
    serve { connections_per_address = 1 }
    for _ = 1, 3 do server:get("/", { client = server:connect "203.0.113.1" }) end
    assert.same({ connections_per_address = 2 }, refused())
  end)

  it("by tasks", function()
    serve { tasks = 10 }
    assert.equal("false", (server:get("/tasks"):body()))
    server:advance(2)
    assert.same({ tasks = 1 }, refused())
  end)

  it("by lua_memory", function()
    serve { lua_memory = 16 << 20 }
    local other = helper.serve(APP, { with = server.core, worker = 1 })
    server:get "/memory"
    for _ = 1, 100 do server:get "/wait" end
    local full = other:get("/metrics"):body():match 'limit="lua_memory"} (%d+)'
    assert.is_true(tonumber(full) > 0)
    server:advance(2)
    other:close()
  end)

  it("by the middleware of rates and of streams", function()
    serve()
    for _ = 1, 3 do server:get "/twice" end
    for _ = 1, 2 do server:get "/few" end
    assert.same({ rate_limit = 2, stream_limit = 1 }, refused())
  end)
end)

describe("pools", function()
  local folder = sqlite_files.folder()
  teardown(function() sqlite_files.remove(folder) end)

  -- { in_use, idle, waiting, limit } of a pool.
  local function pool(server, name)
    local text, list = server:get("/metrics"):body(), {}
    for i, what in ipairs { "in_use", "idle", "waiting", "limit" } do
      for _, one in ipairs(series_of(text, "pool_" .. what)) do
        if one[1] == ('pool="%s"'):format(name) then list[i] = one[2] end
      end
    end
    return list
  end

  it("of threads are there by what they do", function()
    local server = helper.serve(APP)
    for _, name in ipairs { "names", "files", "hashes", "offload", "sqlite", "cancels" } do
      assert.same({ 0, 0, 0, 0 }, pool(server, "threads:" .. name)) -- a spec has no threads
    end
    server:close()
  end)

  it("of threads have those idle that have done their work", function()
    local server = helper.serve(APP .. [[

app:get("/hash", function() return require "spate.crypto".password.hash("secret", { cost = 1 }) end)]], { threads = true })
    assert.same({ 0, 0, 0, 2 }, pool(server, "threads:hashes"))
    local res = server:get "/hash"
    server:wait(function() return res:status() end)
    assert.same({ 0, 1, 0, 2 }, pool(server, "threads:hashes"))
    server:close()
  end)

  it("of databases with a long name are there by its end", function()
    local path = folder .. "/" .. ("x"):rep(100) .. "/end.sqlite"
    local server = helper.serve(APP .. ([[

local db = require "spate.sqlite".open(%q)
app:get("/open", function() pcall(db.query, db, "select 1") return "" end)]]):format(path))
    server:get "/open"
    server:turn()
    assert.equal(4, #pool(server, "sqlite:" .. path:sub(-56)))
    server:close()
  end)

  it("of databases have what is no printable ASCII of their names, quotes and backslashes as '_'", function()
    local server = helper.serve(APP .. ([[

local db = require "spate.sqlite".open(%q)
app:get("/open", function() db:query "select 1" return "" end)]]):format(folder .. '/a~z"\\ !\127\u{e4}'))
    server:get "/open"
    server:turn()
    assert.same({ 0, 1, 0, 1 }, pool(server, ("sqlite:%s/a~z___!___"):format(folder)))
    server:close()
  end)

  it("of one name are summed over the workers, and have a line each", function()
    local code = APP .. ([[

local db = require "spate.sqlite".open(%q)
app:get("/open", function() db:query "select 1" return "" end)]]):format(folder .. "/both")
    local one = helper.serve(code)
    local two = helper.serve(code, { with = one.core, worker = 1 })
    one:get "/open" two:get "/open"
    one:turn() two:turn()
    assert.same({ 0, 2, 0, 2 }, pool(one, "sqlite:" .. folder .. "/both"))
    for _, what in ipairs { "in_use", "idle", "waiting", "limit" } do assert.equal(7, #series_of(one:get("/metrics"):body(), "pool_" .. what), what) end
    two:close()
    assert.same({ 0, 1, 0, 1 }, pool(one, "sqlite:" .. folder .. "/both"))
    one:close()
  end)

  it("of more than fifty names are summed as others", function()
    local server = helper.serve(APP .. ([[

local open, list = require "spate.sqlite".open, {}
app:get("/open/:to", function(req)
  for i = #list + 1, tonumber(req.params.to) do
    list[i] = open(%q .. i)
    list[i]:query "select 1"
  end
  return ""
end)]]):format(folder .. "/many"))
    server:get "/open/43" -- beside six of threads
    server:turn()
    assert.same({ 0, 1, 0, 1 }, pool(server, "sqlite:" .. folder .. "/many43"))
    assert.same({}, pool(server, "other"))
    server:get "/open/44"
    server:turn()
    assert.same({ 0, 1, 0, 1 }, pool(server, "other"))
    assert.same({}, pool(server, "sqlite:" .. folder .. "/many44"))
    server:get "/open/50"
    server:turn()
    assert.same({ 0, 7, 0, 7 }, pool(server, "other"))
    assert.same({ 0, 1, 0, 1 }, pool(server, "sqlite:" .. folder .. "/many43"))
    assert.equal(50, #series_of(server:get("/metrics"):body(), "pool_limit"))
    server:close()
  end)

  it("of databases are there by the database's name, and go with it", function()
    local server = helper.serve(APP .. ([[

local db = require "spate.sqlite".open(%q)
app:get("/open", function() db:query "select 1" return "" end)
app:get("/many", function()
  for _ = 1, 5 do sse.spawn(function() db:query "select 1" end) end
  sse.sleep(0)
  return reply.body(spate.metrics.text(), "text/plain")
end)
app:get("/close", function() db:close() return "" end)]]):format(folder .. '/the "db".sqlite'))
    server:get "/open"
    server:turn()
    local name = ("sqlite:%s/the__db_.sqlite"):format(folder)
    assert.same({ 0, 1, 0, 1 }, pool(server, name))
    local all = server:get("/many"):body()
    for what, figure in pairs { in_use = "1", idle = "0", waiting = "4", limit = "1" } do
      assert.equal(figure, all:match("spate_pool_" .. what .. '{pool="' .. name:gsub("%p", "%%%0") .. '"} (%d+)'), what)
    end
    server:get "/close"
    server:turn()
    assert.same({}, pool(server, name))
    server:close()
  end)
end)
