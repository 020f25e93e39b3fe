-- SPDX-License-Identifier: MIT
-- spate.durable in memory: what is appended is read, once, by a long poll and as events; who may append next; ends and expiry.
local helper = require "spec.helper"

local APP = [[
local durable = require "spate.durable"
durable.streams({ poll = 20, authorize = function(req, path, action)
  if req.headers["X-Blind"] then return action ~= "read" end
  return not req.headers["X-Guest"] or action == "read" end }):serve(app, "/s")
]]

local server

local function put(path, headers, body) return server:request("PUT", "/s/" .. path, { headers = headers or { ["Content-Type"] = "text/plain" }, body = body }) end

local function post(path, body, headers)
  headers = headers or {}
  headers["Content-Type"] = headers["Content-Type"] or "text/plain"
  return server:post("/s/" .. path, { body = body, headers = headers })
end

local function get(path, query, headers) return server:get("/s/" .. path .. (query or ""), { headers = headers }) end

local function offset(res) return res:header "Stream-Next-Offset" end

describe("spate.durable", function()
  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close { tasks = 1, timers = 1 } end)

  it("keeps what is appended, and gives what is behind an offset", function()
    assert.equal(201, put("a"):status())
    assert.equal(200, put("a"):status())
    assert.equal(409, put("a", { ["Content-Type"] = "text/html" }):status())
    local first = post("a", "one\r\n\0")
    assert.equal(204, first:status())
    local second = post("a", "two")
    assert.is_true(offset(first) < offset(second))
    local all = get("a", "?offset=-1")
    assert.same({ "one\r\n\0two", offset(second), "true", "text/plain" }, { (all:body()), offset(all), all:header "Stream-Up-To-Date", all:header "Content-Type" })
    assert.equal("two", (get("a", "?offset=" .. offset(first)):body()))
    assert.equal("", (get("a", "?offset=now"):body()))
    assert.equal(304, get("a", "", { ["If-None-Match"] = get("a"):header "ETag" }):status())
    assert.equal(400, get("a", "?offset=x"):status())
    assert.equal(409, post("a", "{}", { ["Content-Type"] = "application/json" }):status())
    assert.same({ 404, 404 }, { get("b"):status(), post("b", "x"):status() })
    assert.same({ 201, 414 }, { put(("x"):rep(255)):status(), put(("x"):rep(256)):status() })
  end)

  it("takes JSON values and lists of them", function()
    local json = { ["Content-Type"] = "application/json" }
    put("j", json, "[]")
    post("j", '{"a":null}', json)
    post("j", "[1,[2]]", json)
    assert.equal('[{"a":null},1,[2]]', (get("j"):body()))
    assert.same({ 400, 400 }, { post("j", "[]", json):status(), post("j", "{", json):status() })
  end)

  it("waits for more, as long as it is told", function()
    put("a")
    local tail = offset(post("a", "x"))
    local res = get("a", "?live=long-poll&offset=" .. tail)
    server:advance(5)
    assert.is_nil(res:status())
    post("a", "y")
    assert.same({ 200, "y" }, { res:status(), (res:body()) })
    local late = get("a", "?live=long-poll&offset=now")
    server:advance(21)
    assert.equal(204, late:status())
  end)

  it("streams what comes, each with where that is, to its end", function()
    put("a")
    post("a", "one")
    local res = get("a", "?live=sse&offset=-1")
    post("a", "two")
    assert.equal(204, post("a", "three", { ["Stream-Closed"] = "true" }):status())
    local seen = {}
    for i, event in ipairs((res:events())) do
      local control = event.event == "control" and helper.json.decode(event.data)
      seen[i] = control and (control.streamClosed and "closed" or control.upToDate and "up to date") or event.data
    end
    assert.same({ "one", "up to date", "two", "up to date", "three", "closed" }, seen)
    assert.is_true(res:has_ended())
    assert.equal(409, post("a", "four"):status())
    assert.equal("true", get("a"):header "Stream-Closed")
  end)

  it("knows producers by their epochs and numbers", function()
    put("a")
    local function by(epoch, seq, body)
      return post("a", body or "x", { ["Producer-Id"] = "p", ["Producer-Epoch"] = tostring(epoch), ["Producer-Seq"] = tostring(seq) })
    end
    assert.same({ 200, 200, 204, 409, 200, 403, 400 }, { by(0, 0):status(), by(0, 1):status(), by(0, 1):status(), by(0, 3):status(), by(1, 0):status(),
      by(0, 2):status(), by(2, 1):status() })
    assert.equal("xxx", (get("a"):body()))
    assert.equal(400, post("a", "x", { ["Producer-Id"] = "p" }):status())
  end)

  it("forgets what has expired, and what is deleted", function()
    put("a", { ["Content-Type"] = "text/plain", ["Stream-TTL"] = "100" })
    post("a", "x")
    for _ = 1, 3 do
      server:advance(60)
      assert.equal("x", (get("a"):body()))
    end
    server:advance(101)
    assert.equal(404, get("a"):status())
    server:advance(120)
    assert.equal(0, server:stats().channels)
    put("b")
    post("b", "x")
    assert.equal(204, server:request("DELETE", "/s/b", {}):status())
    put("b")
    assert.equal("", (get("b"):body()))
  end)

  it("goes on when the client leaves in the midst of an append, and over a reload", function()
    put("a")
    post("a", "x")
    assert.is_true(server:reload(APP))
    assert.equal("x", (get("a"):body()))
    assert.equal(204, post("a", "y"):status())
    assert.equal("xy", (get("a"):body()))
  end)

  it("keeps so much, and says where something is missing", function()
    server:close { tasks = 1, timers = 1 }
    server = helper.serve((APP:gsub("poll = 20", "poll = 20, appends = 2")))
    put "a"
    local first = offset(post("a", "1"))
    for i = 2, 4 do post("a", tostring(i)) end
    assert.equal(410, get("a", "?offset=" .. first):status())
    assert.equal("34", (get("a", "?offset=-1"):body()))
  end)

  -- A fork of a stream: the answer.
  local function forked(path, from, headers, body)
    headers = headers or {}
    headers["Stream-Forked-From"] = "/s/" .. from
    return put(path, headers, body)
  end

  it("forks a stream, whose offsets go on meaning the same, also in a fork of the fork", function()
    put("a%20b")
    local one = offset(post("a%20b", "1"))
    local two = offset(post("a%20b", "2"))
    local three = offset(post("a%20b", "3"))
    local made = forked("f", "a%20b", { ["Stream-Fork-Offset"] = two }, "x")
    assert.same({ 201, "text/plain" }, { made:status(), made:header "Content-Type" })
    post("a%20b", "4")
    assert.same({ "12x", "2x", "x", "" }, { (get("f"):body()), (get("f", "?offset=" .. one):body()), (get("f", "?offset=" .. two):body()),
      (get("f", "?offset=" .. offset(made)):body()) })
    assert.equal(410, get("f", "?offset=" .. three):status()) -- is not of what it has
    assert.equal(201, forked("g", "f", { ["Stream-Fork-Offset"] = one, ["Stream-Fork-Sub-Offset"] = "1" }):status())
    post("g", "y")
    assert.same({ "12y", "2y", "1234" }, { (get("g"):body()), (get("g", "?offset=" .. one):body()), (get("a%20b"):body()) })
    assert.same({ 200, 409 }, { forked("f", "a%20b", { ["Stream-Fork-Offset"] = two }):status(), forked("f", "a%20b", { ["Stream-Fork-Offset"] = one }):status() })
    local live = get("g", "?live=sse&offset=" .. one)
    assert.same({ "2", "y" }, { (live:events())[1].data, (live:events())[3].data })
    live:close()
  end)

  it("keeps the name of a stream that has forks, for as long as there are any", function()
    put("a")
    post("a", "1")
    assert.same({ 201, 201 }, { forked("f", "a", { ["Stream-TTL"] = "100" }):status(), forked("g", "f"):status() })
    assert.same({ 204, 204 }, { server:request("DELETE", "/s/a", {}):status(), server:request("DELETE", "/s/f", {}):status() })
    assert.same({ 410, 410, 409, 409, "1" }, { get("a"):status(), post("f", "x"):status(), put("a"):status(), forked("h", "f"):status(), (get("g"):body()) })
    assert.equal(1, server:stats().channels) -- what they had is not kept for that
    server:advance(101) -- the fork's fork has the time to live of its source
    assert.same({ 404, 404, 404, 201 }, { get("g"):status(), get("a"):status(), get("f"):status(), put("a"):status() })
  end)

  it("forks nothing that may not be read, is not there, or is not kept, and leaves nothing of it", function()
    put("a")
    local one = offset(post("a", "12"))
    assert.equal(403, forked("f", "a", { ["X-Blind"] = "1" }):status())
    assert.same({ 404, 404, 404 }, { forked("f", "b"):status(), put("f", { ["Stream-Forked-From"] = "/a" }):status(), put("f", { ["Stream-Forked-From"] = "a" }):status() })
    assert.same({ 400, 400, 400, 409 }, { forked("f", "a", { ["Stream-Fork-Offset"] = "1" }):status(), forked("f", "a", { ["Stream-Fork-Sub-Offset"] = "1" }):status(),
      forked("f", "a", { ["Stream-Fork-Offset"] = one, ["Stream-Fork-Sub-Offset"] = "1" }):status(), forked("f", "a", { ["Content-Type"] = "text/html" }):status() })
    assert.equal(400, put("f", { ["Stream-Fork-Offset"] = one }):status())
    assert.same({ 404, 1 }, { get("f"):status(), server:stats().channels })
    server:close { tasks = 1, timers = 1 }
    server = helper.serve((APP:gsub("poll = 20", "poll = 20, appends = 2")))
    put "a"
    for i = 1, 3 do post("a", tostring(i)) end
    assert.same({ 410, 1 }, { forked("f", "a"):status(), server:stats().channels })
  end)

  it("asks who may do what", function()
    local guest = { ["X-Guest"] = "1" }
    assert.equal(403, put("a", { ["X-Guest"] = "1" }):status())
    put("a")
    assert.equal(200, get("a", "", guest):status())
    assert.equal(403, post("a", "x", guest):status())
  end)

  it("raises at the user's line what is wrong with it", function()
    helper.refuses {
      ['require("spate.durable").streams { pol = 1 }'] = "durable.streams: unknown option 'pol'; did you mean 'poll'?",
      ['require("spate.durable").streams { appends = "all" }'] = "durable.streams: appends: expected an integer of 0 or more, got \"all\"",
      ['require("spate.durable").streams { authorize = 1 }'] = "durable.streams: authorize: expected a function, got number",
      ['require("spate.durable").streams().serve(app, "/")'] = "streams:serve(...): write it with a colon",
    }
  end)
end)
