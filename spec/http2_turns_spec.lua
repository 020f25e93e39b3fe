-- SPDX-License-Identifier: MIT
-- Whose turn it is on a connection of HTTP/2: by urgency, by turns, or one whole after the other.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"
local frames = http2.frames

local APP = [[
app:get("/count/:n", function(req)
  return sse.reply(function(send)
    for i = 1, tonumber(req.params.n) do send(("%d "):format(i) .. ("x"):rep(100)) end
  end)
end)
app:get("/file", function() return reply.file(FILE) end)
app:get("/download", function() return ("x"):rep(100000) end)
app:get("/big", function() return ("x"):rep(200000) end)
app:get("/:len[%d]", function(req) return ("x"):rep(tonumber(req.params.len)) end)
]]

local FRAME_HEAD = 9 -- bytes
local server, client
local FILE = os.tmpname()

local function serve(settings, announced)
  server = helper.serve(APP:gsub("FILE", ("%q"):format(FILE)), { settings = settings })
  client = http2.connect(server, announced)
end

describe("HTTP/2", function()
  after_each(function() server:close() end)
  teardown(function() os.remove(FILE) end)

  it("sends what is more urgent first, and by turns what is alike", function()
    serve(nil, { [4] = 1000000 })
    client:get(1, "/count/2000") -- has used up the connection's window
    client:get(3, "/count/2000"):get(5, "/count/2000", { { "priority", "u=1" } })
    local before = {}
    local function grown(id)
      local n = #client:stream(id).body
      local by = n - (before[id] or 0)
      before[id] = n
      return by
    end
    local function more(n)
      client:window(0, n)
      return { grown(1), grown(3), grown(5) }
    end
    assert.equal(65535, grown(1))
    assert.same({ 0, 0, 60000 }, more(60000))
    local function urgency(id, value) client:frame("PRIORITY_UPDATE", 0, 0, string.pack(">I4", id) .. value) end
    urgency(3, "u=0, i")
    assert.same({ 0, 40000, 0 }, more(40000))
    urgency(3, "u=3")
    urgency(5, "u=7")
    local by = more(64000)
    assert.equal(0, by[3])
    assert.is_true(math.abs(by[1] - by[2]) <= 16384)
  end)

  describe("of downloads that are asked for one after the other", function()
    local before

    local function serve_downloads(streams)
      before = {}
      serve(nil, { [4] = streams or 1000000 })
      client:get(1, "/count/20000") -- has used up the connection's window
      client:reset(1)
    end

    local function ask(path, ...)
      for i, priority in ipairs { ... } do client:get(2 * i + 1, path, priority ~= "" and { { "priority", priority } } or nil) end
    end

    local function more(n, count)
      client:window(0, n)
      local grown = {}
      for i = 1, count do
        local len = #client:stream(2 * i + 1).body
        grown[i] = len - (before[i] or 0)
        before[i] = len
      end
      return grown
    end

    it("sends each whole before the next, in the order that they were asked for", function()
      serve_downloads()
      ask("/download", "u=3", "u=3", "u=2", "u=3")
      assert.same({ 0, 0, 60000, 0 }, more(60000, 4))
      assert.same({ 20000, 0, 40000, 0 }, more(60000, 4))
      assert.same({ 80000, 20000, 0, 0 }, more(100000, 4))
      assert.same({ 0, 80000, 0, 20000 }, more(100000, 4))
      assert.same({ 0, 0, 0, 80000 }, more(100000, 4))
    end)

    it("does so with files too, of which it reads a part at a time", function()
      local f <close> = assert(io.open(FILE, "w"))
      f:write(("x"):rep(100000)):flush()
      serve_downloads()
      ask("/file", "u=3", "u=3")
      assert.same({ 60000, 0 }, more(60000, 2))
      assert.same({ 40000, 60000 }, more(100000, 2))
      assert.same({ 0, 40000 }, more(100000, 2))
    end)

    it("has those take turns that say so, or nothing, and one of the others with them", function()
      serve_downloads()
      ask("/download", "u=3", "u=3", "u=3, i", "", "i=?0")
      local grown = more(64000, 5)
      assert.same({ 0, 0 }, { grown[2], grown[5] })
      for _, i in ipairs { 1, 3, 4 } do assert.is_true(math.abs(grown[i] - 21333) < 16384, table.concat(grown, " ")) end
    end)

    it("has streams of events take turns, whatever they are asked for as, since they have no end", function()
      serve_downloads()
      ask("/count/20000", "u=3", "u=3")
      client:get(7, "/download", { { "priority", "u=3" } })
      local grown = more(60000, 3)
      for i = 1, 3 do assert.is_true(grown[i] >= 4000, table.concat(grown, " ")) end
    end)

    it("goes on with the next where the window of the one before is closed", function()
      serve_downloads(30000)
      ask("/download", "u=3", "u=3", "u=3")
      assert.same({ 30000, 30000, 30000 }, more(400000, 3))
      client:window(5, 10000)
      assert.same({ 0, 10000, 0 }, more(1, 3))
      client:window(7, 70000):window(5, 60000):window(3, 70000)
      assert.same({ 70000, 60000, 70000 }, more(1, 3))
      for id = 3, 7, 2 do assert.is_true(client:stream(id)["end"]) end
    end)

    it("goes on with the next where one is given up, or is to take turns from now on", function()
      serve_downloads()
      ask("/download", "u=3", "u=3", "u=3")
      assert.same({ 10000, 0, 0 }, more(10000, 3))
      client:reset(3)
      assert.same({ 0, 10000, 0 }, more(10000, 3))
      client:frame("PRIORITY_UPDATE", 0, 0, string.pack(">I4", 7) .. "u=3, i")
      local grown = more(60000, 3)
      assert.is_true(math.abs(grown[2] - grown[3]) <= 16384, table.concat(grown, " "))
      client:window(0, 200000)
      for id = 5, 7, 2 do assert.same({ 100000, true }, { #client:stream(id).body, client:stream(id)["end"] }) end
    end)
  end)
end)

describe("who waits for another's turn on HTTP/2", function()
  after_each(function() server:close() end)

  -- Which of two is given up after timeouts.send, where the connection's window is used up and `move` is what its client does then.
  local function given_up(move)
    serve({ timeouts = { send = 5 } }, { [4] = 1000000 })
    client:get(1, "/count/20000", { { "priority", "u=0" } }):get(3, "/count/20", { { "priority", "u=5" } })
    assert.same({ 65535, 0 }, { #client:stream(1).body, #client:stream(3).body })
    move()
    server:advance(2.2)
    return client:stream(1).reset and 1 or client:stream(3).reset and 3
  end

  it("waits on where a fair part has moved meanwhile: what is taken in timeouts.send at 512 bytes a second", function()
    for taken, expected in pairs { [2560] = false, [2559] = 1, [100] = 1, [0] = 1 } do
      local which = given_up(function()
        server:advance(3)
        if taken > 0 then client:window(0, taken - FRAME_HEAD) end
      end)
      assert.equal(expected or nil, which or nil, taken)
      server:close()
    end
    assert.is_falsy(given_up(function() -- little by little
      for _ = 1, 3 do
        server:advance(1)
        client:window(0, 1000 - FRAME_HEAD)
      end
    end))
    server:advance(2) -- 5 seconds after the last of it
    server:advance(1)
    assert.equal(8, client:stream(1).reset)
    client:window(0, 10000)
    assert.equal(20, #client:data(3))
  end)

  it("has no use of what the server says by itself", function()
    assert.equal(1, given_up(function()
      for _ = 1, 3 do
        server:advance(1)
        client:send(frames.frame("PING", 0, 0, "12345678"):rep(100)):read()
      end
    end))
  end)
end)

describe("priorities", function()
  after_each(function() server:close() end)

  -- Clients of 200,000 bytes each, in the order of their numbers; which of them the next 5,000 bytes are for.
  local function ask(...)
    serve(nil, { [4] = 1000000 })
    client:get(1, "/big"):reset(1) -- has used up the connection's window
    for i, priority in ipairs { ... } do client:get(2 * i + 1, "/big", { { "priority", priority } }) end
  end

  local function next_of(count)
    local before = {}
    for i = 1, count do before[i] = #client:stream(2 * i + 1).body end
    client:window(0, 5000)
    for i = 1, count do
      local grown = #client:stream(2 * i + 1).body - before[i]
      if grown == 5000 then return i end
      assert.equal(0, grown)
    end
  end

  it("are of eight kinds, and three where they say nothing that is one", function()
    for urgency = 0, 7 do
      if urgency < 7 then
        ask("u=" .. urgency + 1, "u=" .. urgency)
        assert.equal(2, next_of(2), urgency)
        server:close()
      end
    end
    for _, none in ipairs { "u", "u=", "u=8", "u=/", "u=:", "u=10", "U=1", "x=1", "u 1", "u=-1", "u1", "uu=1", "v=1", "u:1", "uuu" } do
      ask("u=4", none .. ",i=?0", "u=2")
      assert.equal(3, next_of(3), none)
      client:reset(7)
      assert.equal(2, next_of(2), none)
      server:close()
    end
    ask("u=4", "u=3")
    assert.equal(2, next_of(2))
  end)

  it("are members with blanks and parameters, of which the last counts", function()
    for _, first in ipairs { "u=1", "u=1;a=b;c", "x, \tu=1 ,y", "u=1 ;a", "u=5, u=1", "u=1,,", "u=1, u=9" } do
      ask("u=2", first)
      assert.equal(2, next_of(2), first)
      server:close()
    end
    for value, is_queued in pairs { ["u=3"] = true, ["u=3, i"] = false, ["u=3, i=?1"] = false, ["u=3, i=?0"] = true, ["u=3, i, i=?0"] = true, ["u=3, i=?0, i"] = false, ["u=3, i;a"] = false } do
      ask("u=3", value)
      client:window(0, 60000)
      assert.equal(is_queued and 0 or nil, is_queued and #client:stream(5).body or nil, value)
      if not is_queued then assert.is_true(#client:stream(5).body > 0, value) end
      server:close()
    end
    ask("u=3", "u=3")
    assert.equal(1, next_of(2))
  end)

  it("told before their requests are kept of eight, the latest of each", function()
    ask()
    local function tell(id, value) client:frame("PRIORITY_UPDATE", 0, 0, string.pack(">I4", id) .. value) end
    for i = 1, 9 do tell(2 * i + 1, "u=" .. (i == 9 and 0 or 1)) end
    tell(7, "u=6") -- of the third, once more
    for i = 1, 9 do client:get(2 * i + 1, "/big", { { "priority", i == 1 and "u=7" or "u=5" } }) end
    local order = {}
    for turn = 1, 9 do
      order[turn] = next_of(9)
      client:reset(2 * order[turn] + 1)
    end
    assert.same({ 9, 2, 4, 5, 6, 7, 8, 3, 1 }, order)
  end)

  it("wait for a window of one byte", function()
    serve(nil, { [4] = 1 })
    client:get(1, "/10", { { "priority", "u=3" } }):get(3, "/10", { { "priority", "u=3" } })
    assert.same({ 1, 1 }, { #client:stream(1).body, #client:stream(3).body })
    client:window(3, 1):window(1, 1)
    assert.same({ 2, 2 }, { #client:stream(1).body, #client:stream(3).body })
    client:window(1, 8):window(3, 8)
    assert.same({ true, true }, { client:stream(1)["end"], client:stream(3)["end"] })
  end)
end)
