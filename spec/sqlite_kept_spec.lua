-- SPDX-License-Identifier: MIT
-- What else is kept in the file of a store: buffers of sse.resumable that have come to their end, and shared dictionaries.
local channels = require "spec.channels"
local helper = require "spec.helper"
local sqlite_files = require "spec.sqlite_files"

describe("a file keeps for sse.resumable { store = true }", function()
  local folder, path, server
  local SOURCE = channels.APP .. [[
    runs = 0
    app:get("/answer", function(req)
      return sse.reply(sse.resumable("k", function(send)
        runs = runs + 1
        for i = 1, 3 do send(("%d.%d"):format(runs, i)) end
        if req.query.long then sse.sleep(100) end
        send "end"
      end, { after = req.last_event_id, store = true, ttl = 60 }))
    end)
    app:get("/runs", function() return tostring(runs) end)
  ]]

  local function serve() server = sqlite_files.serve(SOURCE, path) end

  local function answer(query, after)
    local res = server:get("/answer" .. (query or ""), { headers = after and { ["Last-Event-ID"] = after } })
    sqlite_files.settle(server)
    return res
  end

  local function data(res) return table.concat(res:data(), " ") end

  before_each(function()
    folder = sqlite_files.folder()
    path = folder .. "/events.db"
    serve()
  end)

  after_each(function()
    server:close()
    sqlite_files.remove(folder)
  end)

  it("what has come to its end, until ttl seconds after that", function()
    local first = answer()
    assert.equal("1.1 1.2 1.3 end", data(first))
    local id = first:events()[2].id
    server:close { tasks = 1, timers = 1 }
    serve()
    assert.equal("1.3 end", data(answer("", id)))
    assert.equal("0", (server:get("/runs"):body()))
    server:advance(61)
    sqlite_files.settle(server)
    assert.equal("1.1 1.2 1.3 end", data(answer("", id)):match "these are gone (.*)")
    server:advance(61)
    sqlite_files.settle(server)
  end)

  it("nothing that was interrupted: it begins anew", function()
    local first = answer "?long=1"
    assert.equal("1.1 1.2 1.3", data(first))
    local id = first:events()[2].id
    first:close()
    server:close { tasks = 2, timers = 2 }
    serve()
    assert.equal("1.1 1.2 1.3 end", data(answer("", id)):match "these are gone (.*)")
    assert.equal("1", (server:get("/runs"):body()))
    server:advance(61)
    sqlite_files.settle(server)
  end)
end)

describe("spate.shared { store = true }", function()
  local folder, path, server
  local SOURCE = channels.APP .. [[shared = spate.shared("s", { store = true }) plain = spate.shared "plain" env.shared, env.plain = shared, plain]]

  local function serve(options) server = sqlite_files.serve(SOURCE, path, options) end

  local function run(code) return channels.run(server, code) end

  local function settle()
    server:advance(0.2)
    sqlite_files.settle(server)
  end

  before_each(function()
    folder = sqlite_files.folder()
    path = folder .. "/events.db"
    serve()
  end)

  after_each(function()
    server:close()
    sqlite_files.remove(folder)
  end)

  it("has its values over a restart, of all types", function()
    run [[shared:set("text", "a\0b") shared:set("integer", 9007199254740993) shared:set("float", 0.5) shared:set("yes", true)
      shared:set("no", false) plain:set("gone", 1)]]
    settle()
    sqlite_files.copy(path, path .. ".copy") -- as after a kill -9
    server:close()
    path = path .. ".copy"
    serve()
    assert.same({ "a\0b", 9007199254740993, 0.5, true }, { run 'return shared:get "text", shared:get "integer", shared:get "float", shared:get "yes"' })
    assert.same({ false, nil, 5 }, { run 'return shared:get "no", plain:get "gone", shared:count()' })
  end)

  it("has what changed last after a clean end, and nothing that was deleted", function()
    run 'for i = 1, 100 do shared:incr("n") end shared:set("x", 1)'
    settle()
    run 'shared:incr("n") shared:delete "x"'
    server:close()
    serve()
    assert.same({ 101, nil, 1 }, { run 'return shared:get "n", shared:get "x", shared:count()' })
  end)

  it("has values that end when they should", function()
    run 'shared:set("a", 1, { ttl = 100 }) shared:set("b", 1, { ttl = 10 })'
    settle()
    server:close()
    serve { epoch = 1700000050 }
    assert.same({ 1, nil }, { run 'return shared:get "a", shared:get "b"' })
    server:advance(51)
    assert.is_nil(run 'return shared:get "a"')
    server:close()
    serve { epoch = 1700000050 }
    assert.equal(0, run "return shared:count()")
  end)

  it("counts a key that is not written yet as long as it is", function()
    local function waiting(key)
      run(("shared:set(%q, 1)"):format(key))
      local before = run "return shared:bytes()"
      settle()
      return before - run "return shared:bytes()"
    end
    local short, long = waiting "k", waiting(("k"):rep(101))
    assert.equal(100, long - short)
    assert.is_true(short >= 64, short) -- what stands for it in a table, and its allocation
  end)

  it("does not write what has not changed where it is opened once more", function()
    run 'shared:set("a", 1)'
    settle()
    local kept = run "return shared:bytes()"
    run 'collectgarbage() again = spate.shared("s", { store = true })'
    assert.equal(kept, run "return shared:bytes()")
  end)

  it("is all in the file that takes the place of one that was damaged", function()
    run 'for i = 1, 3000 do shared:set("key " .. i, ("x"):rep(100)) end plain:set("gone", 1)'
    settle()
    server:advance(2)
    settle() -- out of the log, into the file
    local store = server.core:store()
    assert(store:execute "pragma cache_size = 1")
    assert(store:execute "pragma shrink_memory")
    assert(os.execute(("dd if=/dev/urandom of=%s bs=4096 seek=2 count=40 conv=notrunc 2>/dev/null"):format(path)))
    run 'shared:set("key 1", "new")'
    settle()
    assert.match("the file is damaged: it is " .. path .. ".corrupt-", server:log(), 1, true)
    for _ = 1, 3 do -- a part at a time
      server:advance(2)
      settle()
    end
    sqlite_files.copy(path, path .. ".copy")
    server:close()
    path = path .. ".copy"
    serve()
    assert.same({ 3000, "new", 100, nil }, { run 'return shared:count(), shared:get "key 1", #shared:get "key 2999", plain:get "gone"' })
  end)

  it("is told of where limits.shared has no room for it any more", function()
    run 'shared:set("a", ("x"):rep(30000))'
    settle()
    server:close()
    for _, room in ipairs { 1000, 10000 } do -- for no dictionary, and for one without it
      server = sqlite_files.serve(channels.APP, path, { settings = { limits = { shared = room } } })
      assert.match("1 values of shared dictionaries have no room within limits.shared", server:log(), 1, true)
      server:close()
    end
    serve()
    assert.equal(30000, run 'return #shared:get "a"')
  end)

  it("keeps nothing that is over before it is written", function()
    run 'shared:set("a", 1, { ttl = 0.05 })'
    settle()
    sqlite_files.copy(path, path .. ".copy")
    server:close()
    path = path .. ".copy"
    serve() -- at the same time
    assert.equal(0, run "return shared:count()")
  end)

  it("forgets in the file what was over when it began", function()
    run 'shared:set("a", 1, { ttl = 10 })'
    settle()
    server:close()
    serve { epoch = 1700000050 }
    settle()
    server:close()
    serve { epoch = 1700000000 } -- before its end, where it still were there
    assert.equal(0, run "return shared:count()")
  end)

  it("is written in an order that who chooses keys cannot know, or they could be made to collide", function()
    local function first_half()
      run 'for i = 1, 4000 do shared:set("key " .. i, i) end'
      settle()
      sqlite_files.copy(path, path .. ".half")
      server:close()
      path = path .. ".half"
      serve()
      return run 'local keys = shared:keys() return #keys, table.concat(keys, " ")'
    end
    local count, keys = first_half()
    assert.equal(2000, count)
    server:close()
    path = folder .. "/other.db"
    serve()
    local again, others = first_half()
    assert.equal(2000, again)
    assert.not_equal(keys, others)
  end)

  it("has neither what was over at the very time when it began, nor for later", function()
    run 'shared:set("a", 1, { ttl = 10 }) shared:set("b", 1, { ttl = 10.5 })'
    settle()
    sqlite_files.copy(path, path .. ".copy")
    server:close()
    path = path .. ".copy"
    serve { epoch = 1700000010 }
    assert.same({ nil, 1, 1 }, { run 'return shared:get "a", shared:get "b", shared:count()' })
    settle()
    sqlite_files.copy(path, path .. ".late")
    server:close()
    path = path .. ".late"
    serve { epoch = 1700000000 } -- before the end of both
    assert.same({ nil, 1 }, { run 'return shared:get "a", shared:get "b"' })
  end)

  it("keeps a key once, however often it changes, and goes on where the disk was full", function()
    assert(server.core:store():execute "pragma query_only = on")
    run 'for i = 1, 1000 do shared:incr("n") end'
    settle()
    assert(server.core:store():execute "pragma query_only = off")
    server:advance(1)
    settle()
    sqlite_files.copy(path, path .. ".copy")
    server:close()
    path = path .. ".copy"
    serve()
    assert.equal(1000, run 'return shared:get "n"')
  end)

  it("takes no option but that", function()
    assert.match("unknown option 'stor'", helper.load_error 'spate.shared("x", { stor = true })\n', 1, true)
    assert.match("store: expected true or false, got number", helper.load_error 'spate.shared("x", { store = 1 })\n', 1, true)
    assert.equal(1, run 'local d = spate.shared("late") d:set("a", 1) d = spate.shared("late", { store = true }) return d:get "a"')
    settle()
    server:close()
    serve()
    assert.equal(1, run 'return spate.shared("late"):get "a"')
  end)
end)
