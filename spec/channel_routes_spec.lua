-- SPDX-License-Identifier: MIT
-- app:channel: the endpoint pair of channels.
local helper = require "spec.helper"

local JSON = { ["Content-Type"] = "application/json; charset=utf-8" }

local function serve(source, options)
  local server = helper.serve(source, options)
  finally(function() server:close() end)
  return server
end

local function post_json(server, target, body) return server:post(target, { headers = JSON, body = body }) end

local function refuses(status, text, res)
  assert.equal(status, res:status(), (res:body()))
  assert.truthy((res:body()):find(text, 1, true), (res:body()))
end

describe("app:channel", function()
  it("subscribes by GET, and publishes a raw body by POST: 201 and the id", function()
    local server = serve 'app:channel "/events/:name"'
    local a, b, other = server:get("/events/a"), server:get("/events/a"), server:get("/events/b")
    assert.equal("text/event-stream", a:header("Content-Type"))
    local res = server:post("/events/a", { body = "two\nlines" })
    assert.equal(201, res:status())
    assert.same({ { id = res:json().id, data = "two\nlines" } }, (a:events()))
    assert.same(a:events(), (b:events()))
    assert.same({}, (other:events()))
  end)

  it("takes an event's fields as JSON", function()
    local server = serve 'app:channel "/events"'
    local res = server:get("/events")
    assert.equal(201, post_json(server, "/events", '{"event":"x","data":"text"}'):status())
    assert.equal(201, post_json(server, "/events", '{"json":{"a":[1,2.5]},"event":null}'):status())
    assert.equal(201, post_json(server, "/events", '{"data":42}'):status())
    assert.equal(201, server:post("/events", { body = '{"data":1}', headers = { ["Content-Type"] = "text/json" } }):status())
    assert.same({ "text", '{"a":[1,2.5]}', "42", '{"data":1}' }, res:data())
    assert.equal("x", res:events()[1].event)
    assert.is_nil(res:events()[2].event)
  end)

  it("refuses other JSON, and publishes nothing", function()
    local server = serve 'app:channel "/events"'
    local res = server:get("/events")
    for body, what in pairs {
      ['{"data":\n "x",}'] = "line 2, column 6", [""] = "line 1, column 1", ["[1]"] = "expected an object", ["[]"] = "expected an object",
      ["null"] = "expected an object", ['"x"'] = "expected an object", ["{}"] = "data or json is required",
      ['{"data":"x","id":"1"}'] = "unknown field 'id'", ['{"data":"x","json":1}'] = "not both",
      ['{"data":{}}'] = "use json for a value", ['{"data":true}'] = "data: expected a string", ['{"data":"x","event":1}'] = "event: expected a string",
      ['{"data":"x","event":"a\\nid: 9"}'] = "event: must be one line", ['{"data":"x","event":"a\\rb"}'] = "event: must be one line",
    } do refuses(400, what, post_json(server, "/events", body)) end
    assert.same({}, (res:events()))
    assert.equal(nil, server:log():match("error [^\n]*"))
  end)

  it("resumes by Last-Event-ID, else replays what it was told to", function()
    local server = serve 'app:channel("/events/:name", { history = 10, replay = 2 })'
    for i = 1, 4 do server:post("/events/a", { body = tostring(i) }) end
    local res = server:get("/events/a")
    assert.same({ "3", "4" }, res:data())
    server:post("/events/a", { body = "5" })
    local id = res:events()[1].id
    assert.same({ "4", "5" }, server:get("/events/a", { headers = { ["Last-Event-ID"] = id } }):data())
    assert.same({ "4", "5" }, server:get("/events/a?last_event_id=" .. id):data())
    assert.equal("reset", server:get("/events/a", { headers = { ["Last-Event-ID"] = "f-1" } }):events()[1].event)
  end)

  it("names a channel by what stands before the parameters, or the prefix, and the parameters", function()
    local server = serve [[
app:channel "/events/:name"
app:channel("/rooms/:room/topics/:topic", { prefix = "room:" })
app:channel "/files/*path"
app:channel "/n/:id[%d]"
app:get("/say/*name", function(req) return { id = sse.channel(req.params.name):publish "x" } end)]]
    local function reaches(target, name)
      local res = server:get(target)
      server:get("/say/" .. name)
      assert.same({ "x" }, res:data(), target)
    end
    reaches("/events/a%20b", "%2Fevents%2Fa%20b")
    reaches("/rooms/lua/topics/sse", "room:lua/sse")
    reaches("/files/a/b", "%2Ffiles%2Fa/b")
    reaches("/n/5", "%2Fn%2F5")
  end)

  it("refuses names that would be two channels' or none's", function()
    local server = serve 'app:channel("/:a/:b", { prefix = "" })'
    refuses(400, "a must not contain '/'", server:get("/x%2Fy/z"))
    assert.equal(400, server:get("/x/y%01z"):status())
    refuses(400, "longer than 255 bytes", server:get("/x/" .. ("y"):rep(300)))
    assert.equal(200, server:get("/x/y%2Fz"):status())
    assert.equal(1, server:stats().channels)
  end)

  it("asks authorize before anything else", function()
    local server = serve [[
asked = {}
app:channel("/events/:name", { authorize = function(req, name, action)
  asked[#asked + 1] = action .. " " .. name
  local key = req.headers.authorization
  if key == "redirect" then return reply.redirect("/login") end
  if key == "odd" then return "yes" end
  return key == action
end })
app:get("/asked", function() return asked end)
app:get("/channels", function() return { there = sse.channel.find "/events/a" ~= nil } end)]]
    local function with(key) return { headers = { Authorization = key, ["Content-Type"] = "application/json" }, body = "{" } end
    refuses(403, "Forbidden", server:get("/events/a"))
    refuses(403, "Forbidden", server:post("/events/a", with "subscribe"))
    assert.equal(303, server:get("/events/a", { headers = { Authorization = "redirect" } }):status())
    assert.equal(500, server:get("/events/a", { headers = { Authorization = "odd" } }):status())
    assert.is_false(server:get("/channels"):json().there)
    assert.equal(400, server:post("/events/a", with "publish"):status())
    assert.equal(200, server:get("/events/a", { headers = { Authorization = "subscribe" } }):status())
    assert.same({ "subscribe /events/a", "publish /events/a" }, { table.unpack(server:get("/asked"):json(), 1, 2) })
  end)

  it("is 403 where authorize says nothing", function()
    local server = serve 'app:channel("/events", { authorize = function() end })'
    assert.equal(403, server:get("/events"):status())
    assert.equal(403, server:post("/events", { body = "x" }):status())
  end)

  it("is 413 for an event over limits.event, and for a body over limits.body", function()
    local server = serve('app:channel("/events", { history = 1 })', { settings = { limits = { event = 2000, body = 5000 } } })
    assert.equal(413, server:post("/events", { body = ("x"):rep(2000) }):status())
    assert.equal(413, server:post("/events", { body = ("x"):rep(6000) }):status())
    assert.equal(201, server:post("/events", { body = ("x"):rep(1000) }):status())
  end)

  it("is 503 where there are as many channels as may be", function()
    local server = serve('app:channel("/events/:name", { history = 1 })', { settings = { limits = { channels = 1 } } })
    assert.equal(201, server:post("/events/a", { body = "x" }):status())
    refuses(503, "full", server:post("/events/b", { body = "x" }))
    refuses(503, "full", server:get("/events/b"))
  end)

  it("is 503 where the channel's store is unavailable", function()
    local server = serve('app:channel("/events", { history = 1 })', { store = true })
    local store = server.core:store()
    for _, method in ipairs { "get", "post" } do
      local res = server[method](server, "/events", { body = method == "post" and "x" or nil })
      store:refuse()
      server:turn()
      refuses(503, "unavailable", res)
    end
  end)

  it("is 409 by POST and, read to its end, 204 by GET once the channel is finished", function()
    local server = serve [[
app:channel("/events", { history = 5, replay = "all" })
app:post("/finish", function() sse.channel "/events":finish "bye" return "ok" end)]]
    server:post("/events", { body = "x" })
    server:post("/finish")
    refuses(409, "finished", server:post("/events", { body = "y" }))
    local res = server:get("/events")
    assert.same({ "x", "bye" }, res:data())
    assert.is_true(res:has_ended())
    assert.equal(204, server:get("/events", { headers = { ["Last-Event-ID"] = res:events()[2].id } }):status())
  end)

  it("stands in groups behind their middleware, and in mounted apps", function()
    local server = serve [[
app:group("/api", function(req, next) if req.query.no then return reply.error(401) end return next() end, function(g)
  g:channel "/events/:name"
end)
local other = spate.app():channel "/events/:name"
app:mount("/other", other)]]
    assert.equal(401, server:get("/api/events/a?no=1"):status())
    local res = server:get("/other/events/a")
    assert.equal(201, server:post("/api/events/a", { body = "x" }):status())
    assert.same({ "x" }, res:data()) -- the path as it was given: the same channel
  end)

  for source, message in pairs {
    ["app:channel()"] = "app:channel: expected a path, got nil",
    ['app.channel("/x")'] = "app:channel(...): write it with a colon",
    ['app:channel("/x", 5)'] = "app:channel: expected a table of options, got number",
    ['app:channel("/x", { histroy = 5 })'] = "app:channel: unknown option 'histroy'",
    ['app:channel("/x", { history = -1 })'] = "history: expected a number",
    ['app:channel("/x", { on_full = "wait" })'] = "on_full: expected",
    ['app:channel("/x", { replay = -1 })'] = 'app:channel: replay: expected a number of events or "all", got -1',
    ['app:channel("/x", { prefix = 1 })'] = "app:channel: prefix: expected a string, got number",
    ['app:channel("/x", { authorize = true })'] = "app:channel: authorize: expected a function(req, name, action), got boolean",
    ['app:get("/x", print) app:channel("/x")'] = "GET /x is defined already",
  } do
    it("says what is wrong with " .. source, function()
      local err = helper.load_error(source .. "\n")
      assert.truthy(err:find(message, 1, true), err)
      assert.truthy(err:find(":3: ", 1, true), err) -- the line of the mistake
    end)
  end
end)
