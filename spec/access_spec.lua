-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

local APP = [[
app:get("/", function() return "root" end)
app:get("/slow", function() sse.sleep(1.5) return "slept" end)
app:get("/fails", function() return sse.reply(function(send) send "one" error "broken" end) end)
app:get("/three", function() return sse.reply(sse.from { 1, 2, 3 }) end)
app:get("/never", function() return sse.reply(sse.never()) end)
app:get("/say", function(req) spate.log.info(req.query.text, { text = req.query.text }) return "" end)
]]

local EPOCH = 1767225600 -- 2026-01-01T00:00:00Z

local server

local function serve(log)
  server = helper.serve(APP, { epoch = EPOCH, settings = { log = log } })
end

-- The lines since the last call.
local function lines()
  local list = {}
  for line in server:log():gmatch "([^\n]*)\n" do list[#list + 1] = line end
  return list
end

-- Lines of JSON, decoded.
local function objects()
  local list = lines()
  for i, line in ipairs(list) do list[i] = assert(helper.json.decode(line)) end
  return list
end

describe("access log as text", function()
  before_each(function() serve { format = "text" } end)
  after_each(function() server:close() end)

  it("has a line for a request, once its answer is delivered", function()
    local res = server:get "/slow?a=1"
    assert.same({}, lines())
    server:advance(1.5)
    local bytes = #res:raw()
    assert.same({
      "2026-01-01T00:00:01.500Z info  request remote=127.0.0.1 method=GET target=/slow?a=1 status=200 bytes=" ..
      bytes .. " ms=1500",
    }, lines())
  end)

  it("has a line for a stream's open and one for its close", function()
    local res = server:get "/never"
    assert.same({ "2026-01-01T00:00:00.000Z info  open remote=127.0.0.1 method=GET target=/never status=200" }, lines())
    server:advance(10)
    local bytes = #res:raw()
    res:close()
    assert.same({
      "2026-01-01T00:00:10.000Z info  close remote=127.0.0.1 method=GET target=/never status=200 bytes=" .. bytes ..
      " ms=10000 events=0 reason=client_closed",
    }, lines())
  end)

  it("says why a stream has ended", function()
    server:get "/three"
    assert.matches("close .* events=3 reason=finished$", lines()[2])
    server:get "/fails"
    local list = lines()
    assert.matches("close .* events=1 reason=error$", list[#list])
  end)

  it("has a line for a client that leaves before its answer", function()
    local res = server:get "/slow"
    res.client:reset()
    server:turn()
    assert.matches("request .* target=/slow status=0 bytes=0 ms=0 reason=client_closed$", lines()[1])
  end)

  it("has a line for what is no request, without a byte of it", function()
    server:send "GET /\27[31m HTTP/1.1\r\n\r\n"
    assert.same({ '2026-01-01T00:00:00.000Z info  refused remote=127.0.0.1 status=400 why="bad request target"' }, lines())
  end)

  it("has no line for a connection that said nothing", function()
    server:connect()
    server:advance(11)
    assert.same({}, lines())
  end)

  it("quotes a target that could be taken for something else", function()
    server:get [[/x"y\z]]
    assert.matches([[ target="/x\"y\\z" status=404 ]], lines()[1], 1, true)
    server:get "/a=b"
    assert.matches(" target=/a=b status=404 ", lines()[1], 1, true)
  end)

  it("escapes control bytes in what a script logs", function()
    server:get "/say?text=%1b%5b31m%00%7f"
    local list = lines()
    assert.equal([[2026-01-01T00:00:00.000Z info  \x1b[31m\x00\x7f text="\x1b[31m\x00\x7f"]], list[1])
    assert.equal(2, #list)
  end)

  it("lets no line of a script pass for one of its own", function()
    server:get "/say?text=a%0a2026-01-01T00:00:00.000Z%20info%20%20forged%0d"
    for i, line in ipairs(lines()) do
      assert.is_nil(line:find("^2026.*forged.*\r", 1))
      if i == 2 then assert.matches("^[ \t]", line) end
    end
  end)
end)

describe("access log as JSON", function()
  before_each(function() serve { format = "json" } end)
  after_each(function() server:close() end)

  it("has an object for a request", function()
    local res = server:get "/slow"
    server:advance(1.5)
    assert.same({ {
      time = "2026-01-01T00:00:01.500Z", level = "info", msg = "request", remote = "127.0.0.1", method = "GET",
      target = "/slow", status = 200, bytes = #res:raw(), ms = 1500,
    } }, objects())
  end)

  it("has an object for a stream's open and one for its close", function()
    local res = server:get "/three"
    local bytes = #res:raw()
    assert.same({
      { time = "2026-01-01T00:00:00.000Z", level = "info", msg = "open", remote = "127.0.0.1", method = "GET",
        target = "/three", status = 200 },
      { time = "2026-01-01T00:00:00.000Z", level = "info", msg = "close", remote = "127.0.0.1", method = "GET",
        target = "/three", status = 200, bytes = bytes, ms = 0, events = 3, reason = "finished" },
    }, objects())
  end)

  it("has an object for what is no request", function()
    server:send "\0\1\2"
    assert.same({ {
      time = "2026-01-01T00:00:00.000Z", level = "info", msg = "refused", remote = "127.0.0.1", status = 400,
      why = "bad method",
    } }, objects())
  end)

  it("is one line of valid JSON, whatever a script logs", function()
    for byte = 0, 127 do
      server:get(("/say?text=a%%%02xb"):format(byte))
      local list = objects()
      assert.equal(2, #list)
      assert.equal("a" .. string.char(byte) .. "b", list[1].msg)
      assert.equal("a" .. string.char(byte) .. "b", list[1].text)
    end
    server:get "/say?text=%c3%a9%e2%82%ac%f0%9f%98%80"
    assert.equal("é€😀", objects()[1].msg)
    server:get "/say?text=%ff%c3"
    assert.equal(2, #objects())
  end)
end)

describe("access log", function()
  it("can be switched off alone", function()
    serve { access = false }
    server:get "/"
    server:get "/three"
    server:send "junk\r\n"
    assert.same({}, lines())
    server:get "/say?text=still"
    assert.equal(1, #lines())
    server:close()
  end)

  it("is of level info", function()
    serve { level = "warn" }
    server:get "/"
    server:get "/say?text=no"
    assert.same({}, lines())
    server:close()
  end)
end)
