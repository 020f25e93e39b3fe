-- SPDX-License-Identifier: MIT
-- The examples that stand on channels, as they are, in virtual time.
local helper = require "spec.helper"

local json = helper.json

local function serve(name, kept)
  local server = helper.serve("examples/" .. name)
  finally(function() server:close(kept) end)
  return server
end

-- Name and decoded data of each event.
local function decoded(res)
  local list = {}
  for i, event in ipairs((res:events())) do list[i] = { event.event, json.decode(event.data) or event.data } end
  return list
end

local function resume(server, target, res)
  local events = res:events()
  return server:get(target, { headers = { ["Last-Event-ID"] = events[#events].id } })
end

describe("examples/chat.lua", function()
  local EVENTS, MESSAGES = "/rooms/lua/events", "/rooms/lua/messages"

  local function say(server, text, room)
    local res = server:post(room and "/rooms/" .. room .. "/messages" or MESSAGES, { json = { from = "ann", text = text } })
    assert.equal(201, res:status())
    return res:json().id
  end

  local function texts(res)
    local list = {}
    for i, event in ipairs((res:events())) do list[i] = json.decode(event.data).text end
    return list
  end

  it("reaches everyone in the room and nobody else", function()
    local server = serve("chat.lua")
    local a, b, c = server:get(EVENTS), server:get(EVENTS), server:get("/rooms/c/events")
    local id = say(server, "hi")
    for _, res in ipairs { a, b } do
      local events = res:events()
      assert.same({ from = "ann", text = "hi" }, json.decode(events[1].data))
      assert.same({ { event = "message", id = id, data = events[1].data } }, events)
    end
    assert.same({}, (c:events()))
  end)

  it("resumes after Last-Event-ID without loss or repeat", function()
    local server = serve("chat.lua")
    local a = server:get(EVENTS)
    say(server, "one")
    a:close()
    for i = 2, 150 do say(server, tostring(i)) end -- more than the 20 that who comes gets
    local again = resume(server, EVENTS, a)
    local expected = {}
    for i = 2, 150 do expected[i - 1] = tostring(i) end
    assert.same(expected, texts(again))
    say(server, "live")
    assert.equal("live", texts(again)[150])
    assert.equal(1, server:stats().streams) -- the first one has left
  end)

  it("starts with the last 20", function()
    local server = serve("chat.lua")
    for i = 1, 30 do say(server, tostring(i)) end
    local seen = texts(server:get(EVENTS))
    assert.equal(20, #seen)
    assert.same({ "11", "30" }, { seen[1], seen[20] })
  end)

  it("says when messages are gone: a reset, then the 200 that are left", function()
    local server = serve("chat.lua")
    local a = server:get(EVENTS)
    say(server, "one")
    a:close()
    for i = 1, 201 do say(server, tostring(i)) end
    local events = resume(server, EVENTS, a):events()
    assert.equal(201, #events)
    assert.same({ "reset", "2" }, { events[1].event, json.decode(events[2].data).text })
    assert.is_nil(events[1].id)
  end)

  it("refuses what is no message", function()
    local server = serve("chat.lua")
    for body, what in pairs { ["{"] = "line 1, column", ["5"] = "text is required", ['{"text":5}'] = "text is required" } do
      local res = server:post(MESSAGES, { body = body })
      assert.equal(400, res:status())
      assert.truthy((res:body()):find(what, 1, true), (res:body()))
    end
    assert.same({}, texts(server:get(EVENTS)))
  end)

  it("has names that only differ in what is encoded in one room, and serves its page", function()
    local server = serve("chat.lua")
    local res = server:get("/rooms/a%20b/events")
    say(server, "hi", "a%20%62")
    assert.same({ "hi" }, texts(res))
    local page = server:get("/")
    assert.equal("text/html; charset=utf-8", page:header("Content-Type"))
    assert.truthy((page:body()):find("new EventSource", 1, true))
  end)
end)

describe("examples/presence.lua", function()
  local function live(server, user) return server:get("/docs/7/live?user=" .. user) end

  local function names(list)
    local ids = {}
    for i, member in ipairs(list) do ids[i] = member.id end
    return ids
  end

  local function readers(server) return names(server:get("/docs/7/readers"):json()) end

  it("shows who is there, and who comes and goes", function()
    local server = serve("presence.lua")
    local ann = live(server, "ann")
    local bob = live(server, "bob")
    assert.same({ "ann", "bob" }, readers(server))
    assert.same({ "ann" }, names(decoded(ann)[1][2]))
    assert.same({ "ann", "bob" }, names(decoded(bob)[1][2]))
    bob:close()
    assert.same({ "ann" }, readers(server))
    local seen = {}
    for i, event in ipairs(decoded(ann)) do seen[i] = event[1] .. " " .. (event[2].id or "") end
    assert.same({ "who ", "join ann", "join bob", "leave bob" }, seen)
  end)

  it("counts a user with two windows once, who leaves with the last", function()
    local server = serve("presence.lua")
    local ann, one = live(server, "ann"), live(server, "bob")
    local two = live(server, "bob")
    assert.same({ "ann", "bob" }, readers(server))
    one:close()
    assert.same({ "ann", "bob" }, readers(server))
    two.client:reset() -- a crash
    server:turn()
    assert.same({ "ann" }, readers(server))
    assert.equal(4, #ann:events())
  end)

  it("brings edits to all, in order, and forgets them with the last reader", function()
    local server = serve("presence.lua")
    local ann, bob = live(server, "ann"), live(server, "bob")
    for _, text in ipairs { "one", "two\nlines" } do
      assert.equal(202, server:post("/docs/7/edits", { body = text }):status())
    end
    for _, res in ipairs { ann, bob } do
      local seen = decoded(res)
      assert.same({ { "edit", "one" }, { "edit", "two\nlines" } }, { seen[#seen - 1], seen[#seen] })
    end
    ann:close()
    bob:close()
    server:advance(2)
    assert.equal(1, #live(server, "cay"):events() - 1) -- who and the own join
  end)
end)

describe("examples/job.lua", function()
  local function begin(server, pages)
    local res = server:post("/jobs", { json = { pages = pages } })
    assert.equal(202, res:status())
    assert.equal(res:json().events, res:header("Location"))
    return res:json().events
  end

  it("goes on while nobody reads, and who comes back misses nothing", function()
    local server = serve("job.lua")
    local url = begin(server, 10)
    local res = server:get(url)
    server:advance(1)
    assert.same({ { "progress", { page = 1, percent = 10 } }, { "progress", { page = 2, percent = 20 } } }, decoded(res))
    res:close()
    server:advance(2)
    local again = resume(server, url, res)
    local pages = {}
    for i, event in ipairs(decoded(again)) do pages[i] = event[2].page end
    assert.same({ 3, 4, 5, 6 }, pages)
    server:advance(3)
    assert.same({ "done", "ok" }, decoded(again)[9])
    assert.is_true(again:has_ended())
    assert.equal(204, resume(server, url, again):status())
    assert.equal(11, #server:get(url):events()) -- who was never there gets it all
    server:advance(600) -- then it is forgotten
  end)

  it("keeps its first events however long it takes", function()
    local server = serve("job.lua")
    local url = begin(server, 2000) -- 1,000 seconds
    local res = server:get(url)
    server:advance(900)
    local late = server:get(url)
    assert.equal(1, decoded(late)[1][2].page)
    assert.equal(1800, #late:events())
    server:advance(100)
    assert.is_true(late:has_ended())
    assert.equal(2001, #res:events())
    server:advance(600)
  end)

  it("is stopped when nobody comes for 30 seconds", function()
    local server = serve("job.lua")
    local url = begin(server, 1000)
    server:advance(32)
    assert.equal(0, server:stats().tasks)
    local again = server:get(url, { headers = { ["Last-Event-ID"] = "1-1" } }) -- starts anew, and says so
    assert.equal("reset", again:events()[1].event)
    again:close()
    server:advance(32)
    assert.equal(0, server:stats().tasks)
  end)

  it("is known for ten minutes after its end, not longer", function()
    local server = serve("job.lua")
    local url = begin(server, 2)
    server:advance(500)
    assert.equal(3, #server:get(url):events())
    server:advance(110) -- 610 seconds since the start, 609 since the end
    assert.equal(404, server:get(url):status())
    assert.equal(404, server:get("/jobs/x"):status())
  end)

  it("refuses an order without pages", function()
    local server = serve("job.lua")
    for _, body in ipairs { "{", "{}", "5", '{"pages":"x"}' } do
      assert.equal(400, server:post("/jobs", { body = body }):status())
    end
  end)
end)

describe("examples/board.lua", function()
  it("samples every two seconds for all; who comes gets the newest at once", function()
    local server = serve("board.lua", { tasks = 1, timers = 1 })
    local early = server:get("/live")
    assert.same({}, (early:events()))
    server:advance(4)
    assert.equal(2, #early:events())
    local late = server:get("/live")
    assert.same({ early:events()[2] }, (late:events()))
    server:advance(2)
    assert.same(early:events()[3], late:events()[2])
    assert.equal(2, json.decode(late:data()[2]).readers)
    assert.is_number(json.decode(late:data()[2]).load)
    assert.truthy((server:get("/"):body()):find('EventSource("/live")', 1, true))
  end)
end)

describe("examples/htmx.lua", function()
  it("sends news as items of HTML, escaped, and resumes by the ids of the news", function()
    local server = serve("htmx.lua", { tasks = 1 }) -- the one that derives
    for i = 1, 7 do assert.equal(202, server:post("/news", { body = "<" .. i .. ">" }):status()) end
    local res = server:get("/news")
    assert.equal("item", res:events()[1].event)
    assert.same({ "<li>&lt;3&gt;</li>", "<li>&lt;4&gt;</li>", "<li>&lt;5&gt;</li>", "<li>&lt;6&gt;</li>", "<li>&lt;7&gt;</li>" }, res:data())
    res:close()
    server:post("/news", { body = "two\nlines" })
    local again = resume(server, "/news", res)
    assert.same({ "<li>two\nlines</li>" }, again:data())
    server:post("/news", { body = "live" })
    assert.same({ "<li>two\nlines</li>", "<li>live</li>" }, again:data())
  end)
end)
