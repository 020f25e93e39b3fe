-- SPDX-License-Identifier: MIT
-- What waits for a client, event by event and byte by byte: what leaves is in order and whole, whatever parts of it leave at a time,
-- and what is left is counted to the byte.
local helper = require "spec.helper"

local APP = [[
local list = {}
for i = 1, 12 do list[i] = ("%02d"):format(i) .. ("abcdefghij"):rep(i * i % 7) end
app:get("/list", function() return sse.reply(sse.from(list):chain(sse.never()), { keep_alive = false }) end)
app:get("/ended", function() return sse.reply(sse.from(list)) end)
app:get("/many", function() return sse.reply(function(send) for i = 1, 300 do send(i) end end) end)
app:get("/collect", function() collectgarbage() collectgarbage() return "" end)
app:get("/left", function()
  for _, each in ipairs(spate.streams {}) do
    if each.target == "/list" then return { each.queued, each.queued_bytes } end
  end
end)]]

local DATA = {}
for i = 1, 12 do DATA[i] = ("%02d"):format(i) .. ("abcdefghij"):rep(i * i % 7) end

describe("what waits for a client", function()
  local server
  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  -- A response of a client that takes so many bytes at a time, to its end or so many times.
  local function taken(target, step, times)
    local client = server:connect()
    client:window(0)
    local res = server:get(target, { client = client })
    for _ = 1, times or 100000 do
      client:window(step)
      server:turn()
      if res:has_ended() then break end
    end
    return res
  end

  for _, step in ipairs { 1, 2, 3, 7, 64, 1000 } do
    it("leaves in order and whole, " .. step .. " bytes at a time", function()
      for _, version in ipairs { "1.1", "1.0" } do
        local client = server:connect()
        client:window(0)
        local res = server:get("/ended", { client = client, version = version })
        local rounds = 0
        repeat
          client:window(step)
          server:turn()
          rounds = rounds + 1
        until client:state() ~= "open" or version == "1.1" and res:has_ended() or rounds > 5000
        assert.same(DATA, res:data())
        assert.is_true(res:has_ended())
      end
    end)
  end

  it("leaves whole where there is more of it than a write takes", function()
    for _, step in ipairs { 100, 1000, 100000 } do
      local data = taken("/many", step):data()
      assert.equal(300, #data)
      for i = 1, 300 do assert.equal(tostring(i), data[i]) end
    end
  end)

  it("is counted by the event and by the byte", function()
    local whole = server:get "/list"
    local _, head = whole:raw():find("\r\n\r\n", 1, true)
    local lengths, at = { head }, head + 1 -- of the head and of each event with its frame
    while at <= #whole:raw() do
      local size, from = whole:raw():match("^(%x+)\r\n()", at)
      local stop = from + tonumber(size, 16) + 2
      lengths[#lengths + 1], at = stop - at, stop
    end
    assert.equal(13, #lengths)
    whole:close()
    local client = server:connect()
    client:window(0)
    server:get("/list", { client = client })
    local other, left, bytes = server:connect(), #lengths, 0
    for _, len in ipairs(lengths) do bytes = bytes + len end
    local gone, first = 0, 1
    while first <= #lengths do
      assert.same({ left, bytes }, server:get("/left", { client = other }):json())
      client:window(1)
      server:turn()
      gone, bytes = gone + 1, bytes - 1
      if gone == lengths[first] then gone, first, left = 0, first + 1, left - 1 end
    end
    assert.same({ 0, 0 }, server:get("/left", { client = other }):json())
  end)

  it("is let go of with a client that leaves at any byte", function()
    for step = 1, 400, 13 do taken("/list", step, 1):close() end
    assert.equal(0, server:stats().streams)
  end)

  it("leaves no memory behind with a client that leaves when there is much of it", function()
    assert.is_true(server:comes_to_rest(function()
      for _ = 1, 10 do taken("/many", 1, 1):close() end
      server:get("/collect"):close()
      server:log()
    end))
  end)
end)

-- A client of the harness's protocol of many streams; has the bytes of each.
local function mux(server)
  local client, rest, bodies, over = server:connect(nil, "mux"), "", {}, {}
  local self = { bodies = bodies, over = over }

  function self.say(text)
    client:send(text .. "\n")
    server:turn()
    rest = rest .. client:take()
    while true do
      local id, word, value, at = rest:match("^(%d+) (%l+) ?(%d*)\n()")
      if not id then return end
      if word == "data" then
        bodies[id] = (bodies[id] or "") .. rest:sub(at, at + value - 1)
        at = at + math.tointeger(value)
      end
      over[id] = over[id] or word == "end"
      rest = rest:sub(at)
    end
  end

  return self
end

it("what waits for one stream of many leaves in order and whole, as its window is opened", function()
  local server = helper.serve(APP)
  for _, step in ipairs { 1, 2, 5, 33, 500 } do
    local client = mux(server)
    client.say "open 1 /ended\nwindow 1 0\nopen 2 /ended\nwindow 2 0"
    assert.same({}, client.bodies)
    local rounds = 0
    while not (client.over["1"] and client.over["2"]) do
      client.say(("window 1 %d\nwindow 2 %d"):format(step, step + 1))
      rounds = rounds + 1
      assert.is_true(rounds < 3000)
    end
    for _, id in ipairs { "1", "2" } do
      local list = {}
      for data in client.bodies[id]:gmatch "data: ([^\n]*)\n" do list[#list + 1] = data end
      assert.same(DATA, list)
    end
  end
  server:close()
end)
