-- SPDX-License-Identifier: MIT
-- The store in a file under the real program: it is killed, its disk is full or cannot be written to, its end is
-- regular; and what the command line makes of the file. STORE_ROUNDS: how often it is killed (20).
local process = require "spec.process"
local publishers = require "spec.publishers"

local ROUNDS = tonumber(os.getenv "STORE_ROUNDS") or 20
local APP = [[
local news = sse.channel("news", { history = 10000000 })
app:post("/publish", function(req)
  local id, why, code = news:publish(req:body())
  return id or reply.error(503, why .. " " .. tostring(code))
end)
app:get("/all", function(req) return sse.reply(news:subscribe { after = req.last_event_id, replay = "all" }) end)
app:post("/finish", function() return tostring(news:finish()) end)
app:get("/stats", function() return spate.stats() end)
]]

describe("a store in a file", function()
  local directory, path

  before_each(function()
    directory = process.enter()
    path = directory .. "/events.db"
  end)
  after_each(process.leave)

  local function serve(store, workers)
    return process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "-w", workers or "1", "--store", "sqlite:" .. (store or path) },
      settings = "{ log = { access = false } }" })
  end

  local function publish(server, text)
    local answer
    publishers.run(server.port, 1, function() return text end, function(_, status, body) answer = { status, body } end)
    return table.unpack(answer)
  end

  -- All events of the channel, as { id =, data = }, behind an id.
  local function read_all(server, after, count)
    local client = server:connect(("GET /all HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(after and "Last-Event-ID: " .. after .. "\r\n" or ""))
    local list, id, reset = {}, nil, false
    while #list < count do
      local line = assert(client:receive "*l")
      reset = reset or line:find "^event: reset" ~= nil
      id = line:match "^id: (.*)" or id
      local data = line:match "^data: (.*)"
      if data and id then list[#list + 1] = { id = id, data = data } end
    end
    client:close()
    return list, reset
  end

  local function number_of(id) return tonumber(id:match "%-(%d+)$") end

  it(("has every acknowledged event, in order, however often it is killed while 64 publish (%d times)"):format(ROUNDS), function()
    local acknowledged, count, last = {}, 0, nil
    math.randomseed(os.time())
    for round = 1, ROUNDS do
      local server = serve()
      local limit, answers = math.random(1, 400), 0
      publishers.run(server.port, 64, function(i, n) return ("%d.%d.%d"):format(round, i, n) end, function(payload, status, id)
        assert(status == 200, id)
        acknowledged[id] = payload
        count, answers = count + 1, answers + 1
        if not last or number_of(id) > number_of(last) then last = id end
        if answers == limit then server:kill "KILL" end
        return true
      end)
      server:wait()
    end
    local server = serve()
    local status, marker = publish(server, "marker")
    assert.equal(200, status)
    local all = read_all(server, nil, number_of(marker))
    local found, newest = 0, {}
    for i, event in ipairs(all) do
      assert.equal(i, number_of(event.id))
      if acknowledged[event.id] then
        assert.equal(acknowledged[event.id], event.data)
        found = found + 1
      end
      local round, who, n = event.data:match "^(%d+)%.(%d+)%.(%d+)$"
      if round then -- of one publisher in the order of its publishing, also what nobody was told of
        local key = round .. "." .. who
        assert.equal((newest[key] or 0) + 1, tonumber(n))
        newest[key] = tonumber(n)
      end
    end
    assert.equal(count, found)
    local rest, reset = read_all(server, last, number_of(marker) - number_of(last))
    assert.is_false(reset)
    assert.equal("marker", rest[#rest].data)
    assert.equal(number_of(last) + 1, number_of(rest[1].id))
    server:stop()
  end)

  it("commits what waits before it ends, of all workers, and leaves one file", function()
    local server = serve(nil, "2")
    local last, stopped = nil, false
    publishers.run(server.port, 32, function(i, n) return ("%d.%d"):format(i, n) end, function(_, status, id)
      if status ~= 200 then return end
      last = id
      if number_of(id) > 200 and not stopped then
        stopped = true
        server:kill "TERM"
      end
      return true
    end)
    assert.equal(0, (server:wait()))
    local f <close> = assert(io.popen(("ls %s | grep events; %s/spate store export %s | grep -c '\"id\"'"):format(directory, process.BUILD, path)))
    assert.equal("events.db", f:read "l")
    assert.is_true(tonumber(f:read "l") >= number_of(last))
  end)

  it("is one server's", function()
    local server = serve()
    local second = process.spawn({ "serve", directory .. "/app.lua", "-l", "127.0.0.1:0", "--store", "sqlite:" .. path })
    assert.equal(3, (second:wait()))
    assert.match("events.db: another process uses it: a store belongs to one server", second:stderr(), 1, true)
    assert.equal(200, (publish(server, "x")))
    server:stop()
  end)

  for _, case in ipairs {
    { { "--store", "sqlite:" }, 2, '--store: expected "sqlite:PATH" or "redis://HOST:PORT/DB?prefix=spate", got "sqlite:"' },
    { { "--store", "mysql:x" }, 2, '--store: expected "sqlite:PATH" or "redis://HOST:PORT/DB?prefix=spate", got "mysql:x"' },
    { { "--durable", "often" }, 2, '--durable: expected "commit" or "async", got "often"' },
    { { "--store", "sqlite:/none/such/x.db" }, 3, "it cannot be opened or made: is its folder there, and writable?" },
  } do
    it("is refused as " .. table.concat(case[1], " "), function()
      process.write_file(directory .. "/app.lua", process.PRELUDE .. "return app")
      local refused = process.spawn { "serve", directory .. "/app.lua", "-l", "127.0.0.1:0", table.unpack(case[1]) }
      assert.equal(case[2], (refused:wait()))
      assert.match(case[3], refused:stderr(), 1, true)
    end)
  end

  it("is counted", function()
    local server = serve()
    for i = 1, 3 do publish(server, tostring(i)) end
    local status, text = server:get "/stats"
    assert.equal(200, status)
    assert.match('"store_kept_total":3', text)
    assert.match('"store_commits_total":3', text)
    assert.match('"store_bytes":%d%d%d%d', text)
    server:stop()
  end)

  it("says that it is not known where the disk fails as it commits, and goes on in a new epoch", function()
    if not os.execute "strace -D -o /dev/null true 2>/dev/null" then return pending "no strace" end
    local server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "--store", "sqlite:" .. path },
      environment = "ASAN_OPTIONS=detect_leaks=0", -- which is not done below strace
      wrapper = "strace -D -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO:when=12" })
    local ids, failures = {}, {}
    for i = 1, 15 do
      local status, answer = publish(server, tostring(i))
      if status == 200 then ids[#ids + 1] = answer else failures[#failures + 1] = answer end
    end
    assert.same({ "unavailable failed\n" }, failures)
    assert.is_true(ids[#ids]:match "^%x+" > ids[1]:match "^%x+")
    server:says "disk I/O error (failed)"
    local all, reset = read_all(server, ids[1], #ids - 1)
    assert.is_false(reset)
    local seen = {}
    for _, event in ipairs(all) do seen[event.id] = event.data end
    for i = 2, #ids - 1 do assert.is_truthy(seen[ids[i]]) end
    server:stop()
  end)

  describe("on a disk", function()
    local disk, is_mounted

    before_each(function()
      disk = directory .. "/disk"
      process.shell("mkdir %s", disk)
      is_mounted = os.execute(("mount -t tmpfs -o size=1m tmpfs %s 2>/dev/null"):format(disk))
    end)

    after_each(function() if is_mounted then os.execute("umount -l " .. disk) end end)

    it("that is full is unavailable, and goes on once there is room", function()
      if not is_mounted then return pending "no right to mount a file system" end
      local server = serve(disk .. "/events.db")
      local text, ids = ("x"):rep(20000), {}
      local status, id
      repeat
        status, id = publish(server, text)
        ids[#ids + 1] = status == 200 and id or nil
      until status ~= 200
      assert.same({ 503, "unavailable full\n" }, { status, id })
      assert.is_true(#ids > 5)
      assert.same({ 503, "unavailable full\n" }, { publish(server, text) })
      server:says "database or disk is full (full)"
      process.shell("mount -o remount,size=16m %s", disk)
      local _, next_id = publish(server, "small")
      assert.equal(number_of(ids[#ids]) + 1, number_of(next_id))
      assert.equal("small", read_all(server, ids[#ids], 1)[1].data)
      server:says "goes on"
      server:kill "KILL"
      server:wait()
      server = serve(disk .. "/events.db")
      assert.equal(#ids + 1, #read_all(server, nil, #ids + 1))
      server:stop()
    end)

    it("that is full at the start serves, and opens it once there is room", function()
      if not is_mounted then return pending "no right to mount a file system" end
      local filler, block = assert(io.open(disk .. "/filler", "wb")), ("x"):rep(4096)
      filler:setvbuf "no"
      repeat until not filler:write(block)
      filler:close()
      local server = serve(disk .. "/events.db")
      assert.same({ 503, "unavailable full\n" }, { publish(server, "x") })
      os.remove(disk .. "/filler")
      process.eventually("room", function() return publish(server, "y") == 200 end)
      server:stop()
    end)

    it("that may not be written to is refused", function()
      if not is_mounted then return pending "no right to mount a file system" end
      process.write_file(directory .. "/app.lua", process.PRELUDE .. "return app")
      process.shell("mount -o remount,ro %s", disk)
      local refused = process.spawn { "serve", directory .. "/app.lua", "-l", "127.0.0.1:0", "--store", "sqlite:" .. disk .. "/events.db" }
      assert.equal(3, (refused:wait()))
      assert.match("is its folder there, and writable?", refused:stderr(), 1, true)
    end)
  end)

  describe("on the command line", function()
    local function spate(arguments, input)
      local f <close> = assert(io.popen(("%s/spate %s 2>&1 %s; echo $?"):format(process.BUILD, arguments, input and "< " .. input or "")))
      local text = f:read "a"
      return text:match "(.*)\n?%f[%d](%d+)\n$"
    end

    it("tells what is in it, and takes it elsewhere and back", function()
      local server = serve()
      local ids = {}
      for i = 1, 12 do ids[i] = select(2, publish(server, i == 12 and "\255\0" or "event " .. i)) end
      local text, code = spate("store info " .. path)
      assert.equal("1", code)
      assert.match("another process uses it", text)
      publish(server, "last")
      server:get "/all"
      server:stop()
      text = spate("store info " .. path)
      assert.match("channels 1\nevents 13\n", text)
      assert.match("ended clean", text)
      text = spate("store tail " .. path .. " -n 1")
      assert.match("^news %x+%-13 ", text)
      assert.match("data: last", text)
      process.shell("%s/spate store export %s > %s/dump", process.BUILD, path, directory)
      assert.equal("", (spate("store import " .. directory .. "/other.db", directory .. "/dump")))
      process.shell("%s/spate store export %s/other.db | cmp - %s/dump", process.BUILD, directory, directory)
      text, code = spate("store import " .. directory .. "/other.db", directory .. "/dump")
      assert.equal("1", code)
      assert.match("line 1: the channel is there already, and further on", text)
      assert.equal("", (spate("store vacuum " .. directory .. "/other.db")))
      path = directory .. "/other.db"
      server = serve()
      assert.equal("event 3", read_all(server, ids[2], 1)[1].data)
      assert.equal(14, number_of(select(2, publish(server, "next"))))
      server:stop()
    end)

    it("says what it cannot", function()
      assert.match("there is no such file", (spate("store info " .. path)))
      process.write_file(directory .. "/bad", '{"channel":"a"\n')
      assert.match("line 1: .*nothing was imported", (spate("store import " .. path, directory .. "/bad")))
      process.write_file(directory .. "/bad", '{"channel":"a","id":"x","data":"1"}\n')
      assert.match("line 1: no id of spate's", (spate("store import " .. path, directory .. "/bad")))
      assert.match("there is no such file", (spate("store info " .. path))) -- it goes with what was not imported
      process.shell("%s/spate store import %s </dev/null", process.BUILD, path)
      assert.match("line 1: no id of spate's", (spate("store import " .. path, directory .. "/bad")))
      assert.match("channels 0\n", (spate("store info " .. path))) -- one that was there before stays
    end)
  end)
end)
