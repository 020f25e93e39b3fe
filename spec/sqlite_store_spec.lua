-- SPDX-License-Identifier: MIT
-- The store in a file: what holds of any, and what is this one's own. The file is real, the thread is the spec.
local channels = require "spec.channels"
local helper = require "spec.helper"
local sqlite_files = require "spec.sqlite_files"

local function backend(name, settings)
  local folder, count
  return {
    name = name,
    serve = function(app)
      folder, count = sqlite_files.folder(), 1
      return sqlite_files.serve(app, folder .. "/1.db", { settings = settings() })
    end,
    settle = sqlite_files.settle,
    pass = function(server) server:advance(0.3) end,
    restart = function(server, app)
      local path = ("%s/%d.db"):format(folder, count)
      count = count + 1
      sqlite_files.copy(path, ("%s/%d.db"):format(folder, count))
      server:close()
      return sqlite_files.serve(app, ("%s/%d.db"):format(folder, count), { settings = settings() })
    end,
    close = function(server)
      server:close()
      sqlite_files.remove(folder)
    end,
  }
end

local memory = { name = "memory", serve = function(app) return helper.serve(app, { epoch = 1700000000 }) end, settle = function() end,
  pass = function(server) server:advance(0.3) end, close = function(server) server:close() end }
require "spec.store_shared"(memory, _ENV)
require "spec.store_shared"(backend("a file", function() return {} end), _ENV)

local APP = channels.APP .. [[
app:get("/read/:name", function(req)
  local replay = math.tointeger(tonumber(req.query.replay)) or req.query.replay
  local sub, why, code = sse.channel(req.params.name, { history = 100 }):subscribe { after = req.last_event_id, replay = replay }
  if not sub then return reply.error(503, why .. " " .. tostring(code)) end
  return sse.reply(sub)
end)
]]

describe("a store in a file", function()
  local folder, path, server

  local function serve(options) server = sqlite_files.serve(APP, path, options) end

  local function settle() sqlite_files.settle(server) end

  local function ask(code) return server:post("/lua", { body = code }) end

  local function answer(res)
    if res:status() ~= 200 then error(server:log()) end
    local list = res:json()
    for i = 1, #list do if list[i] == helper.json.null then list[i] = nil end end
    return table.unpack(list, 1, 4)
  end

  local function run(code)
    local res = ask(code)
    settle()
    return answer(res)
  end

  local function publish(from, to, options)
    return run(([[local ids, tasks, ch = {}, {}, sse.channel("a", %s)
      for i = %d, %d do tasks[#tasks + 1] = sse.spawn(function() ids[i - %d] = assert(ch:publish(i)) end) end
      for _, task in ipairs(tasks) do task:join() end
      return ids]]):format(options or "{ history = 100 }", from, to, from - 1))
  end

  local function try(text) return run(('return sse.channel("a", { history = 100 }):publish(%q)'):format(text)) end

  local function read(query, after)
    local res = server:get("/read/a" .. (query or ""), { headers = after and { ["Last-Event-ID"] = after } })
    settle()
    return res
  end

  local function data(res) return table.concat(res:data(), " ") end

  local function counters() return server.core:store():counters() end

  local function execute(sql) assert(server.core:store():execute(sql)) end

  -- As after a kill -9: what the file and its log hold at this moment.
  local function kill(options)
    sqlite_files.copy(path, path .. ".copy")
    server:close()
    path = path .. ".copy"
    serve(options)
  end

  before_each(function()
    folder = sqlite_files.folder()
    path = folder .. "/events.db"
    server = nil
  end)

  after_each(function()
    if server then server:close() end
    sqlite_files.remove(folder)
  end)

  local function shell(command) assert(os.execute(command)) end

  local function refusal()
    local ok, err = pcall(serve)
    collectgarbage() -- the server that was not to be
    assert.is_false(ok)
    return err
  end

  it("counts what becomes of what it keeps", function()
    serve()
    publish(1, 5, "{ history = 2 }")
    server:advance(61)
    settle()
    server.core:store():fail_commits(1)
    assert.same({ nil, "unavailable", "failed" }, { try "x" })
    local of_store = counters()
    assert.same({ 5, 3, 1, 0 }, { of_store.kept, of_store.trimmed, of_store.failed, of_store.waiting })
    assert.is_true(of_store.refused > 0 and of_store.commits > 0 and of_store.bytes > 0)
    local function said() return run [[local s = spate.stats() return { kept = s.store_kept_total, trimmed = s.store_trimmed_total, commits = s.store_commits_total,
      refused = s.store_refused_total, failed = s.store_failed_total, waiting = s.store_waiting, bytes = s.store_bytes }]] end
    assert.same(of_store, said())
    ask 'return sse.channel("a", { history = 2 }):publish(6)'
    assert.equal(1, counters().waiting)
    assert.equal("1", (server.core:run 'return tostring(require("spate").stats().store_waiting)'))
    settle()
  end)

  describe("keeps", function()
    it("channels with a history, and no others", function()
      serve()
      local ids = run 'return { sse.channel("b"):publish(1), sse.channel("c", { history = 9, store = false }):publish(2) }'
      assert.equal(2, #ids)
      assert.equal(0, counters().kept)
      publish(1, 3)
      assert.equal(3, counters().kept)
    end)

    it("more than a page", function()
      serve()
      publish(1, 600, "{ history = 1000 }")
      kill()
      local res = run 'local l = sse.channel("a", { history = 1000 }):history() return { #l, l[1].data, l[600].data }'
      assert.same({ 600, "1", "600" }, res)
    end)

    it("events of any size, with any bytes", function()
      serve()
      run [[local ch = sse.channel("a", { history = 100 })
        ch:publish(("x"):rep(300000)) ch:publish "\0\255\r\nb" return true]]
      kill()
      assert.equal("300000 00ff0a62", run [[local l = sse.channel("a", { history = 100 }):history()
        return #l[1].data .. " " .. l[2].data:gsub(".", function(c) return ("%02x"):format(c:byte()) end)]])
    end)

    it("what tells conflating events apart", function()
      serve()
      run [[open = function()
          return sse.channel("a", { history = 100, on_full = "conflate", key = function(e) return e.data:sub(1, 1) end })
        end
        for _, text in ipairs { "a1", "b1", "a2" } do open():publish { data = text } end return true]]
      kill()
      run [[ch = sse.channel("a", { history = 100, on_full = "conflate", key = function(e) return e.data:sub(1, 1) end })
        sub = ch:subscribe { replay = "all" }
        for event in sub do return event.data end]]
      run 'ch:publish { data = "a3" }'
      assert.same({ "b1", "a3" }, run [[local list = {}
        for event in sub do
          list[#list + 1] = event.data
          if #list == 2 then break end
        end
        sub = nil
        collectgarbage()
        return list]])
    end)

    it("only what was committed, which is what was acknowledged", function()
      serve()
      publish(1, 3)
      local res = ask 'return sse.channel("a"):publish "late"'
      assert.is_nil(res:status())
      sqlite_files.copy(path, path .. ".copy")
      settle()
      local late = answer(res)
      server:close()
      path = path .. ".copy"
      serve()
      assert.equal("1 2 3", data(read "?replay=all"))
      assert.equal(late, (try "another"))
    end)
  end)

  describe("lets go", function()
    it("of what is too much, in the background and with slack", function()
      serve()
      publish(1, 20, "{ history = 10 }")
      assert.equal("11 12 13 14 15 16 17 18 19 20", data(read "?replay=all"))
      assert.is_true(counters().trimmed >= 9)
      publish(21, 21)
      assert.equal("12 13 14 15 16 17 18 19 20 21", data(read "?replay=all"))
    end)

    it("of what is too large together", function()
      serve()
      run 'for i = 1, 50 do sse.channel("a", { history = 100, history_bytes = 10000 }):publish(("x"):rep(1000)) end'
      kill()
      local n = run 'return #sse.channel("a", { history = 100, history_bytes = 10000 }):history()'
      assert.is_true(n >= 9 and n <= 11, n)
    end)

    it("of what is too old, within a minute, and then of the channel", function()
      serve()
      local ids = publish(1, 3, "{ history = 10, ttl = 100 }")
      server:advance(50)
      publish(4, 4, "{ history = 10, ttl = 100 }")
      server:advance(61)
      settle()
      assert.equal(3, counters().trimmed)
      local all, behind = read "?replay=all", read("", ids[1])
      assert.equal("4", data(all))
      assert.equal("reset", behind:events()[1].event)
      all:close() behind:close()
      server:advance(4000)
      run 'collectgarbage() collectgarbage() return sse.channel "b" ~= nil' -- the broker lets go of it
      server:advance(61)
      settle()
      assert.equal(4, counters().trimmed)
      local epoch = publish(5, 5)[1]:match "^(%x+)%-1$"
      assert.is_true(tonumber(epoch, 16) > tonumber(ids[1]:match "^%x+", 16))
    end)

    it("of all of it, and numbers go on where somebody is there", function()
      serve()
      local live = read()
      publish(1, 3, "{ history = 10 }")
      run 'return sse.channel("a") ~= nil'
      server:advance(3700)
      settle()
      server:advance(61)
      settle()
      assert.equal(3, counters().trimmed)
      assert.match("%-4$", publish(4, 4)[1])
      assert.equal("1 2 3 4", data(live))
      kill()
      assert.match("%-5$", publish(5, 5)[1])
    end)

    it("of a channel that is removed, a slice at a time", function()
      serve()
      publish(1, 2000, "{ history = 5000 }")
      run 'require("spate.core").remove_channel(sse.channel.find("a").handle)'
      assert.equal(0, run 'return #sse.channel("a", { history = 5000 }):history()')
      server:advance(61)
      settle()
      server:close()
      server = nil
      local f <close> = assert(io.popen(("sqlite3 %s 'select count(*) from event' 2>&1"):format(path)))
      assert.equal("0", f:read "l")
    end)
  end)

  describe("is unavailable, and goes on by itself,", function()
    it("where the disk is full", function()
      serve()
      local live = read()
      local ids = publish(1, 2)
      execute "pragma max_page_count = 8"
      assert.same({ nil, "unavailable", "full" }, { try(("x"):rep(100000)) })
      assert.same({ nil, "unavailable", "full" }, { try(("x"):rep(100000)) })
      assert.equal("1 2", data(live))
      assert.equal("open", live.client:state())
      assert.equal("2", data(read("", ids[1]))) -- from memory
      local _, times = server:log():gsub("store [^\n]+: database or disk is full %(full%)", "%0")
      assert.equal(1, times)
      execute "pragma max_page_count = 100000"
      assert.match("%-3$", (try "three"))
      assert.match("events.db: goes on", server:log(), 1, true)
      assert.equal("1 2 three", data(live))
      assert.equal(2, counters().refused)
      kill()
      assert.equal("2 three", data(read("", ids[1])))
    end)

    it("and its thread sleeps meanwhile", function()
      serve()
      publish(1, 2)
      execute "pragma query_only = on"
      try "x"
      for _ = 1, 3 do
        server:advance(2)
        settle()
        assert.is_true(server.core:store():rest() > 0.5)
      end
      execute "pragma query_only = off"
      try "y"
      server:advance(2)
      settle()
      assert.is_true(server.core:store():rest() > 30)
      shell("rm " .. path)
      try "z"
      assert.equal(math.huge, server.core:store():rest())
    end)

    it("where it may not be written to", function()
      serve()
      publish(1, 2)
      execute "pragma query_only = on"
      assert.same({ nil, "unavailable", "read-only" }, { try "x" })
      execute "pragma query_only = off"
      assert.match("%-3$", (try "three"))
    end)

    it("where a commit fails: what then turns out to be kept or not is told as it is", function()
      serve()
      local live = read()
      local ids = publish(1, 2)
      server.core:store():fail_commits(1)
      assert.same({ nil, "unavailable", "failed" }, { try "x" })
      server:advance(2)
      local id = try "three"
      assert.match("%-3$", id)
      assert.is_true(id:match "^%x+" > ids[1]:match "^%x+") -- a new epoch
      assert.equal("1 2 three", data(live))
      assert.equal("2 three", data(read("", ids[1])))
      kill()
      assert.equal("2 three", data(read("", ids[1])))
    end)

    it("where too much waits", function()
      serve()
      local res = ask [[local busy, text = 0, ("x"):rep(1 << 20)
        local tasks = {}
        for i = 1, 70 do tasks[i] = sse.spawn(function()
          local id, why, code = sse.channel("a", { history = 100 }):publish(text)
          if not id then assert(why == "unavailable" and code == "busy") busy = busy + 1 end
        end) end
        for _, task in ipairs(tasks) do task:join() end
        return busy]]
      settle()
      assert.equal(7, answer(res))
    end)

    it("where it takes too long", function()
      serve()
      publish(1, 1)
      local res = ask 'return sse.channel("a"):publish "x"'
      server:advance(6)
      settle()
      assert.same({ nil, "unavailable", "slow" }, { answer(res) })
    end)

    it("and answers at last where it is not heard of at all", function()
      serve()
      publish(1, 1)
      local res = ask 'return sse.channel("a"):publish "x"'
      server:advance(11)
      assert.same({ nil, "unavailable", "slow" }, { answer(res) })
    end)
  end)

  describe("whose file", function()
    it("is removed has lost it, says so, and writes nothing more", function()
      serve()
      publish(1, 2)
      shell(("rm %s"):format(path))
      assert.same({ nil, "unavailable", "replaced" }, { try "x" })
      assert.match("its file was removed, or another has its name", server:log(), 1, true)
      assert.same({ nil, "unavailable", "replaced" }, { try "x" })
      assert.equal("1 2", data(read "?replay=2"))
    end)

    it("is replaced leaves the other alone", function()
      serve()
      publish(1, 2)
      local other = folder .. "/other.db"
      shell(("sqlite3 %s 'pragma journal_mode = wal; create table t (x); insert into t values (42)' > /dev/null"):format(other))
      shell(("mv %s %s"):format(other, path))
      assert.same({ nil, "unavailable", "replaced" }, { try "x" })
      server:close()
      server = nil
      local f <close> = assert(io.popen(("sqlite3 %s 'pragma integrity_check; select x from t'"):format(path)))
      assert.equal("ok\n42\n", f:read "a")
      assert.match("it is a database of something else", refusal(), 1, true)
    end)

    it("is damaged is moved aside, and an empty one takes its place", function()
      serve()
      local ids = publish(1, 300, "{ history = 1000 }")
      server:close()
      shell(("dd if=/dev/urandom of=%s bs=4096 seek=1 count=8 conv=notrunc 2>/dev/null"):format(path))
      server = nil
      serve()
      assert.match("the file is damaged: it is " .. path .. ".corrupt-1700000000 now", server:log(), 1, true)
      assert.equal("reset", read("", ids[2]):events()[1].event)
      assert.match("%-1$", publish(1, 1)[1])
      assert.is_true(os.execute(("test -s %s.corrupt-1700000000"):format(path)))
    end)

    it("is damaged while it is used is moved aside as well, and streams go on from memory", function()
      serve { settings = { limits = { channel_bytes = 20000 } } } -- the past is read from the file
      local live = read()
      local first = run [[local tasks, ids = {}, {}
        for i = 1, 200 do
          tasks[i] = sse.spawn(function() ids[i] = assert(sse.channel("a", { history = 1000 }):publish(("x"):rep(1000))) end)
        end
        for _, task in ipairs(tasks) do task:join() end
        return ids[1] ]]
      server:advance(2)
      settle() -- out of the log, into the file
      execute "pragma cache_size = 1"
      execute "pragma shrink_memory"
      shell(("dd if=/dev/urandom of=%s bs=4096 seek=2 count=40 conv=notrunc 2>/dev/null"):format(path))
      local reader = read("", first)
      assert.match("the file is damaged: it is " .. path .. ".corrupt-", server:log(), 1, true)
      assert.is_false(select(2, reader:body())) -- cut, so that it comes back
      local id = try "next"
      assert.match("%-201$", id)
      assert.equal("next", live:data()[201])
      assert.equal("open", live.client:state())
      kill()
      assert.equal("next", data(read "?replay=all"))
    end)

    it("is something else's is refused, and stays as it is", function()
      shell(("sqlite3 %s 'create table t (x); insert into t values (42)'"):format(path))
      shell(("cp %s %s.before"):format(path, path))
      assert.match("it is a database of something else: name another file", refusal(), 1, true)
      shell(("cmp %s %s.before"):format(path, path))
    end)

    it("was written by a newer version is refused by name", function()
      serve()
      server:close()
      server = nil
      shell(("sqlite3 %s 'pragma user_version = 2'"):format(path))
      assert.match(path .. ": a newer version of spate has written it", refusal(), 1, true)
    end)

    it("is another server's is refused", function()
      serve()
      local first = server
      assert.match("another process uses it", refusal(), 1, true)
      server = first
      publish(1, 1)
    end)

    it("has a folder that is not there is refused", function()
      path = folder .. "/none/events.db"
      assert.match("it cannot be opened or made: is its folder there, and writable?", refusal(), 1, true)
    end)

    it("has a log that was torn has what was whole of it", function()
      serve()
      local ids = {}
      for i = 1, 20 do ids[i] = publish(i, i)[1] end
      sqlite_files.copy(path, folder .. "/torn.db")
      server:close()
      path = folder .. "/torn.db"
      local f <close> = assert(io.open(path .. "-wal"))
      local size = f:seek "end"
      shell(("truncate -s %d %s-wal"):format(size - 6000, path))
      serve()
      local kept = read "?replay=all":data()
      assert.is_true(#kept > 0 and #kept < 20, #kept)
      for i, text in ipairs(kept) do assert.equal(tostring(i), text) end
      assert.equal(ids[#kept + 1], publish(99, 99)[1])
    end)
  end)

  it("has epochs that rise where the clock was set back, and ids that go on", function()
    serve { epoch = 1700000000 }
    local ids = publish(1, 2)
    kill { epoch = 1600000000 }
    assert.equal("2", data(read("", ids[1])))
    assert.match("^" .. ids[1]:match "^%x+" .. "%-3$", publish(3, 3)[1])
    local other = run 'return sse.channel("b", { history = 9 }):publish "x"'
    assert.is_true(tonumber(other:match "^%x+", 16) > tonumber(ids[1]:match "^%x+", 16))
    server:advance(3500)
    settle()
    assert.equal("1 2 3", data(read "?replay=all"))
    server:advance(200) -- what lies behind one that is too old is too old, whatever the clock said
    settle()
    assert.equal(4, counters().trimmed)
  end)

  it("answers whoever has gone, and keeps what they published", function()
    serve()
    local res = ask 'return sse.channel("a", { history = 100 }):publish "x"'
    res.client:reset()
    server:turn()
    assert.equal(0, server:stats().tasks)
    settle()
    local reading = server:get "/read/a?replay=all"
    reading.client:reset()
    settle()
    assert.equal("x", data(read "?replay=all"))
  end)

  it("goes on over a reload", function()
    serve()
    local live = read()
    local ids = publish(1, 2)
    assert(server:reload(APP))
    assert.match("%-3$", publish(3, 3)[1])
    assert.equal("1 2 3", data(live))
    assert.equal("2 3", data(read("", ids[1])))
  end)

  it("takes what finalizers and loading scripts publish, and is asked at the end", function()
    serve()
    assert(server:reload(APP .. 'assert(sse.channel("a", { history = 100 }):publish "loaded")'))
    server:close()
    serve()
    assert.equal("loaded", data(read "?replay=all"))
  end)

  describe("that is asynchronous", function()
    local function async(epoch) return { epoch = epoch, settings = { durable = "async" } } end

    it("answers before it is on the disk, and has it there soon", function()
      serve(async())
      local ids = publish(1, 3)
      kill(async())
      assert.equal("2 3", data(read("", ids[1])))
    end)

    it("goes on in a new epoch after it was killed: what was lost is told of, what was not is no loss", function()
      serve(async())
      local ids = publish(1, 3)
      sqlite_files.copy(path, path .. ".copy")
      local lost = publish(4, 5)
      server:close()
      path = path .. ".copy"
      serve(async(1700000100))
      assert.equal("reset", read("", lost[2]):events()[1].event)
      local id = publish(6, 6)[1]
      assert.match("%-4$", id)
      assert.is_true(id:match "^%x+" > ids[1]:match "^%x+")
      assert.equal("6", data(read("", ids[3])))
      assert.equal("reset", read("", lost[1]):events()[1].event)
    end)

    it("goes on in the same epoch after a clean end", function()
      serve(async())
      local ids = publish(1, 3)
      server:close()
      serve(async())
      assert.equal(ids[1]:match "^%x+" .. "-4", publish(4, 4)[1])
    end)

    it("tells of what it has given out and could not keep", function()
      serve(async())
      local live = read()
      local ids = publish(1, 2)
      server.core:store():fail_commits(1)
      local lost = publish(3, 3)
      server:advance(2)
      local more = publish(4, 4)
      assert.match("%-4$", more[1])
      assert.equal("1 2 3 4", data(live))
      kill(async(1700000200))
      assert.equal("reset", read("", ids[2]):events()[1].event)
      assert.equal("4", data(read("", lost[1])))
    end)
  end)

  it("carries out from a thread what many ask for", function()
    serve()
    server.core:store():begin()
    local res = ask [[
      local tasks = {}
      for i = 1, 64 do
        tasks[i] = sse.spawn(function() for k = 1, 20 do assert(sse.channel("c" .. i % 5, { history = 10000 }):publish(k)) end end)
      end
      for _, task in ipairs(tasks) do task:join() end
      return "done"]]
    server:wait(function() server:turn() return res:status() end)
    assert.equal("done", answer(res))
    assert.is_true(server.core:store():finish())
    server:close()
    serve()
    assert.equal(1280, run [[local n = 0
      for i = 0, 4 do n = n + #sse.channel("c" .. i, { history = 10000 }):history() end return n]])
  end)
end)
