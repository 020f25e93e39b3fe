-- SPDX-License-Identifier: MIT
-- Who is on a stream, and its end from elsewhere: req:tag, spate.kick.
local helper = require "spec.helper"

local APP = [[
local news = sse.channel("news", { history = 10 })
app:get("/user/:name", function(req)
  req:tag("user:" .. req.params.name, "all")
  req:on_close(function(reason) spate.log.info("gone", { reason = reason, name = req.params.name }) end)
  return sse.reply(sse.never())
end)
app:get("/late", function(req) req:tag "late" sse.sleep(5) return sse.reply(sse.never()) end)
app:get("/bare", function(req) req:tag "late" sse.sleep(5) return sse.reply(sse.never(), { keep_alive = false }) end)
app:get("/raw", function(req) req:tag "raw" return reply.stream(function(write) write "x" sse.sleep(1000) end) end)
app:get("/news", function(req) return sse.reply(news:subscribe { after = req.last_event_id }) end)
app:get("/hesitant", function() local sub = news:subscribe() sse.sleep(2) return sse.reply(sub) end)
app:get("/other", function(req) return sse.reply(sse.channel("other"):subscribe()) end)
app:get("/mapped", function(req) return sse.reply(news:subscribe():map(function(e) return e.data end)) end)
app:get("/slowly", function(req) return sse.reply(news:subscribe():map(function(e) sse.sleep(1) return e.data end)) end)
app:get("/twice", function(req) return { req:tag("a", "a"):tag("a") == req } end)
app:post("/publish", function(req) news:publish(req:body()) return "" end)
app:post("/kick", function(req) return { ok = spate.kick(req:json()) } end)]]

local QUIET = { log = { access = false } }

-- The event that tells of it, without its retry, and that.
local function farewell(res)
  local events = res:events()
  local last = events[#events]
  local retry = tonumber(last.retry)
  last.retry = nil
  return last, retry
end

describe("spate.kick", function()
  local server, two
  before_each(function()
    server = helper.serve(APP, { settings = { log = { level = "info" } } })
    server:get("/other"):close() -- makes the keep-alive comment, which would count as one of the other's events
    two = helper.serve(APP, { with = server.core, worker = 1, settings = QUIET })
  end)
  after_each(function()
    two:close()
    server:close()
  end)

  local function kick(what)
    assert.same({ ok = true }, server:post("/kick", { json = what }):json())
    server:turn()
    two:turn()
  end

  it("ends the streams of a tag, on all workers, with an event, a retry and a clean end", function()
    local ann, bob, other = server:get "/user/ann", server:get "/user/bob", two:get "/user/ann"
    kick { tag = "user:ann", reason = "signed out" }
    for _, res in ipairs { ann, other } do
      assert.is_true(res:has_ended())
      local event, retry = farewell(res)
      assert.same({ event = "kick", data = "signed out" }, event)
      assert.is_true(retry >= 1000 and retry <= 2000, retry)
    end
    assert.is_false(bob:has_ended())
    local log = server:log()
    assert.truthy(log:find("gone name=ann reason=kicked", 1, true), log)
    assert.truthy(log:find("closed=kicked", 1, true) or log:find("reason=kicked", 1, true), log)
  end)

  it("takes the retry that it is told, one to two times", function()
    local res = server:get "/user/ann"
    kick { tag = "all", retry = 60 }
    local event, retry = farewell(res)
    assert.same({ event = "kick", data = "" }, event)
    assert.is_true(retry >= 60000 and retry <= 120000, retry)
  end)

  it("takes a retry of less than a second too", function()
    local res = server:get "/user/ann"
    kick { tag = "all", retry = 0.5 }
    local _, retry = farewell(res)
    assert.is_true(retry >= 500 and retry <= 1000, retry)
  end)

  it("has all but so many come back at a time of their own, and none at the others'", function()
    local list, times = {}, {}
    for i = 1, 40 do list[i] = server:get "/user/ann" end
    kick { tag = "all", retry = 1000 }
    for i, res in ipairs(list) do times[i] = select(2, farewell(res)) end
    local seen, count = {}, 0
    for _, retry in ipairs(times) do
      count = count + (seen[retry] and 0 or 1)
      seen[retry] = true
    end
    assert.equal(16, count) -- events that say goodbye
    local most = 0
    for retry in pairs(seen) do
      local of = 0
      for _, other in ipairs(times) do of = of + (other == retry and 1 or 0) end
      most = math.max(most, of)
    end
    assert.equal(3, most) -- each for as many as any other
  end)

  it("does not have all come back at once", function()
    local seen, count, list = {}, 0, {}
    for i = 1, 20 do list[i] = server:get "/user/ann" end
    kick { tag = "all", retry = 60 }
    for _, res in ipairs(list) do
      local _, retry = farewell(res)
      count = count + (seen[retry] and 0 or 1)
      seen[retry] = true
    end
    assert.is_true(count > 1)
  end)

  it("reaches nobody by a tag that nobody has, nor those who have gone", function()
    server:get("/user/ann"):close()
    local bob = server:get "/user/bob"
    kick { tag = "user:ann" }
    kick { tag = "user:" }
    assert.is_false(bob:has_ended())
  end)

  it("ends a stream whose handler has not answered yet as soon as it has begun", function()
    for _, target in ipairs { "/late", "/bare" } do
      local res = server:get(target)
      kick { tag = "late" }
      server:advance(6)
      assert.equal(200, res:status())
      assert.is_true(res:has_ended(), target)
    end
  end)

  it("cuts a body that is no event stream", function()
    local res = server:get "/raw"
    kick { tag = "raw" }
    assert.is_false((select(2, res:body())))
    assert.equal("closed", res.client:state())
  end)

  it("ends the subscribers of a channel behind what they have", function()
    local here, there, other, mapped = server:get "/news", two:get "/news", server:get "/other", server:get "/mapped"
    server:post("/publish", { body = "one" })
    kick { channel = "news", reason = "moved" }
    for _, res in ipairs { here, there } do
      local events = res:events()
      assert.equal("one", events[1].data)
      assert.same({ event = "kick", data = "moved" }, (farewell(res)))
      assert.is_true(res:has_ended())
    end
    assert.same({ "one" }, mapped:data())
    assert.is_true(mapped:has_ended())
    assert.is_false(other:has_ended())
    local back = server:get("/news", { headers = { ["Last-Event-ID"] = here:events()[1].id } })
    server:post("/publish", { body = "two" })
    assert.same({ "two" }, back:data())
  end)

  it("leaves a task that reads a channel what it has not read yet, and nothing that comes then", function()
    local res = server:get "/slowly"
    for _, data in ipairs { "one", "two" } do server:post("/publish", { body = data }) end
    kick { channel = "news" }
    server:post("/publish", { body = "three" })
    server:advance(5)
    assert.same({ "one", "two" }, res:data())
    assert.is_true(res:has_ended())
  end)

  it("says goodbye to a subscriber whose answer has not begun yet, behind what it has", function()
    local res = server:get "/hesitant"
    server:post("/publish", { body = "one" })
    kick { channel = "news", reason = "moved" }
    server:post("/publish", { body = "two" })
    server:advance(3)
    assert.equal("one", res:events()[1].data)
    assert.same({ event = "kick", data = "moved" }, (farewell(res)))
    assert.equal(2, #res:events())
    assert.is_true(res:has_ended())
  end)

  it("leaves a channel without who takes nothing, although that has time for the rest", function()
    local client = server:connect()
    server:get("/news", { client = client })
    client:window(0)
    server:post("/publish", { body = "one" })
    assert.equal("1", (server.core:run 'return tostring(require("spate.sse").channel.find("news"):count())'))
    kick { tag = "none" }
    kick { channel = "news" }
    assert.equal("0", (server.core:run 'return tostring(require("spate.sse").channel.find("news"):count())'))
    server:advance(4.9)
    assert.equal(1, server:stats().streams)
    server:advance(0.2)
    assert.equal(0, server:stats().streams)
  end)

  it("knows no channel that is not there", function()
    local res = server:get "/other"
    kick { channel = "nowhere" }
    assert.is_false(res:has_ended())
  end)

  it("ends thousands before anybody else gets more, in few turns", function()
    local all, other = {}, server:get "/other"
    for i = 1, 2000 do all[i] = server:get("/user/" .. i) end
    assert.equal(200, two:post("/kick", { json = { tag = "all" } }):status())
    local turns = server.core:turn()
    assert.is_true(turns <= (helper.http == 2 and 20 or 5), turns) -- what HTTP/2 has to write goes with all else that it has
    for i = 1, 2000 do assert.is_true(all[i]:has_ended(), i) end
    assert.is_false(other:has_ended())
  end)

  -- As another process writes it to the store that both have.
  local function tell(what, name, reason, retry)
    server.core:told(("kick 7b %d %.3f %d\n%s%s"):format(what, retry or 0, #name, name, reason or ""))
    server:turn()
    two:turn()
  end

  it("does what another process tells", function()
    local ann, bob, news = server:get "/user/ann", two:get "/user/ann", two:get "/news"
    tell(0, "user:ann", "elsewhere", 60)
    for _, res in ipairs { ann, bob } do
      local event, retry = farewell(res)
      assert.same({ event = "kick", data = "elsewhere" }, event)
      assert.is_true(retry >= 60000 and retry <= 120000, retry)
    end
    assert.is_false(news:has_ended())
    tell(1, "news")
    assert.same({ event = "kick", data = "" }, (farewell(news)))
    tell(2, "0123456789abcdef") -- nobody's
  end)

  it("does nothing for what is no such message", function()
    local res = server:get "/user/ann"
    for _, message in ipairs { "", "kick", "kick 7b 0 0 3", "kick 7b 0 0 3 all", "kick 7b 0 0 4\nall", "kick 7b 0 0 99999999999999999999\nall", "kick 7b 3 0 3\nall",
      "kick 7b -1 0 3\nall", "kick 7b 0 x 3\nall", "kick x 0 0 3\nall", "lick 7b 0 0 3\nall", "kick 7b 0 0 3\n", ("kick 7b 0 0 %s3\nall"):format(("0"):rep(100)) } do
      server.core:told(message)
    end
    server:turn()
    assert.is_false(res:has_ended())
    server.core:told "kick 7b 0 0 3\nall"
    server:turn()
    assert.is_true(res:has_ended())
  end)

  it("has a tag once", function()
    assert.same({ true }, server:get("/twice"):json())
  end)
end)

describe("a kick where a store is shared", function()
  local server
  before_each(function() server = helper.serve(APP, { store = true, settings = QUIET }) end)
  after_each(function() server:close() end)

  local function told(what)
    server:post("/kick", { json = what })
    return server.core:store():told()
  end

  it("is told to the others, with what they need to do the same", function()
    assert.equal("", server.core:store():told())
    local self = told({ tag = "user:ann", reason = "bye", retry = 2.5 }):match "^kick (%x+) 0 2%.500 8\nuser:annbye$"
    assert.is_not_nil(self)
    assert.not_equal("0", self)
    assert.equal("kick " .. self .. " 1 0.000 7\nnowhere", told { channel = "nowhere" })
    assert.equal("kick " .. self .. " 2 0.000 2\nidwhy", told { stream = "id", reason = "why" })
  end)

  it("is not done again when it comes back to who has told it", function()
    local message = told { tag = "all" }
    local res = server:get "/user/ann"
    server.core:told(message)
    server:turn()
    assert.is_false(res:has_ended())
    server.core:told((message:gsub("kick %x", "kick 7%0", 1):gsub("7kick ", "7")))
    server:turn()
    assert.is_true(res:has_ended())
  end)

  it("is told by the inspector too, which says so", function()
    local inspected = helper.serve([[
app:get("/user", function(req) req:tag "all" return sse.reply(sse.never()) end)
app:mount("/-", spate.admin { hosts = { "spec" }, authorize = function() return true end })]], { store = true, settings = QUIET })
    inspected:get "/user"
    local res = inspected:post("/-/api/kick", { json = { tag = "all", reason = "so" }, headers = { ["content-type"] = "application/json" } })
    inspected:turn()
    assert.same({ kicked = 1, others_told = true }, res:json())
    assert.matches("^kick %x+ 0 0%.000 3\nallso$", inspected.core:store():told())
    inspected:close()
  end)
end)

describe("what is wrong with a tag or a kick", function()
  for code, message in pairs {
    ["req:tag()"] = "req:tag: expected one tag or more, got none",
    ["req:tag(1)"] = "req:tag: expected a string, got number",
    ["req:tag('')"] = "req:tag: expected 1 to 200 bytes, got 0",
    ["req:tag(('x'):rep(201))"] = "req:tag: expected 1 to 200 bytes, got 201",
    ["for i = 1, 17 do req:tag('t' .. i) end"] = "req:tag: a request has 16 tags at most",
    ["spate.kick()"] = "spate.kick: expected a table of options, got nil",
    ["spate.kick { tga = 'x' }"] = "spate.kick: unknown option 'tga'; did you mean 'tag'?",
    ["spate.kick {}"] = "spate.kick: expected one of tag, channel and stream",
    ["spate.kick { tag = 'x', channel = 'y' }"] = "spate.kick: expected one of tag, channel and stream",
    ["spate.kick { tag = 1 }"] = "spate.kick: tag: expected a string, got number",
    ["spate.kick { tag = 'x', reason = 1 }"] = "spate.kick: reason: expected a string, got number",
    ["spate.kick { tag = 'x', reason = ('x'):rep(1001) }"] = "spate.kick: reason: expected 1000 bytes at most, got 1001",
    ["spate.kick { tag = 'x', retry = 0 }"] = "spate.kick: retry: expected more than 0 seconds, got 0",
    ["spate.kick { tag = 'x', retry = 1e9 }"] = "spate.kick: retry: expected less than 1e9 seconds, got 1000000000.0",
  } do
    it(code .. " says so", function()
      local server = helper.serve("app:get('/', function(req)\n" .. code .. "\nend)")
      assert.equal(500, server:get("/"):status())
      local log = server:log()
      assert.truthy(log:find(":4: " .. message, 1, true), log)
      server:close()
    end)
  end
end)
