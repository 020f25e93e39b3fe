-- SPDX-License-Identifier: MIT
-- spate.mercure: selectors, who may publish and read, where a subscriber goes on, subscriptions, discovery.
local helper = require "spec.helper"
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local selector = require "spate.mercure.selector"

describe("a topic selector of Mercure", function()
  it("means itself, everything, or the expansions of a template", function()
    local means = {
      ["*"] = { "a", "https://example.com/x" }, ["a"] = { "a" }, ["https://example.com/{id}"] = { "https://example.com/1", "https://example.com/", "https://example.com/a%20b" },
      ["https://example.com/{a}/{b}"] = { "https://example.com/1/2" }, ["https://example.com/{+path}"] = { "https://example.com/a/b?c=d#e" },
      ["https://example.com{/list*}"] = { "https://example.com", "https://example.com/a", "https://example.com/a/b" },
      ["/x{?q,r}"] = { "/x", "/x?q=1&r=2" }, ["/x{#f}"] = { "/x", "/x#a/b" }, ["/x{.ext}"] = { "/x.html", "/x" }, ["/x{;p}"] = { "/x;p=1" }, ["/x?a=1{&q}"] = { "/x?a=1&q=2" },
      ["{a}x{b}"] = { "x", "xxx", "axb" }, ["/{a}"] = { "/{a}", "/1" }, ["/{a:3}"] = { "/{a:3}" }, ["/{"] = { "/{" },
    }
    for text, topics in pairs(means) do
      for _, topic in ipairs(topics) do assert.is_true(selector.matches(text, topic), text .. " means " .. topic) end
    end
  end)

  it("means nothing else", function()
    local other = {
      ["a"] = { "b", "A", "aa", "" }, ["https://example.com/{id}"] = { "https://example.com/1/2", "https://example.com/1?q", "http://example.com/1" },
      ["/x{?q}"] = { "/xq=1", "/x#f", "/x?q=/" }, ["/x{#f}"] = { "/xy" }, ["/x{/p}"] = { "/xa", "/x?p" }, ["{a}x{b}"] = { "", "abc", "a/xb" }, ["/{a:3}"] = { "/abc", "/abcd" },
      ["/{"] = { "/a" }, ["/{}"] = { "/" }, ["/{a b}"] = { "/a" }, ["/}"] = { "/" }, ["**"] = { "a" },
    }
    for text, topics in pairs(other) do
      for _, topic in ipairs(topics) do assert.is_false(selector.matches(text, topic), text .. " means " .. topic) end
    end
  end)

  it("is read once, whatever it is", function()
    local text = ("{a}x"):rep(200)
    assert.is_false(selector.matches(text, ("x"):rep(199) .. ("a"):rep(300))) -- by backtracking this would never end
    assert.is_true(selector.matches(text, ("ax"):rep(200)))
  end)
end)

local APP = [[
local mercure = require "spate.mercure"
local hub = mercure.hub { key = ("k"):rep(32), alg = "HS256", anonymous = %s, subscriptions = %s, history = 5 }
local function part(value) return spate.crypto.base64(json.encode(value), { url = true, pad = false }) end
app:post("/token", function(req)
  local text = part { alg = "HS256" } .. "." .. part(req:json())
  return text .. "." .. spate.crypto.base64(spate.crypto.hmac("sha256", ("k"):rep(32), text, "raw"), { url = true, pad = false })
end)
app:get("/books/:id", hub:link { topic = function(req) return "https://example.com" .. req.path end }, function() return "a book" end)
app:post("/direct", function() return hub:publish { topic = { "https://example.com/books/1", "alt" }, data = "by hand", type = "note", private = true } end)
hub:serve(app)
]]

local HUB = "/.well-known/mercure"

local function escaped(text) return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)) end

local server

local function token(claims) return (server:post("/token", { json = claims }):body()) end

local function bearer(kind, selectors, more)
  local claims = more or {}
  claims.mercure = claims.mercure or {}
  claims.mercure[kind] = helper.json.array(selectors)
  return { Authorization = "Bearer " .. token(claims) }
end

local function subscribe(topics, headers, query)
  local list = {}
  for i, topic in ipairs(topics) do list[i] = "topic=" .. escaped(topic) end
  return server:get(HUB .. "?" .. table.concat(list, "&") .. (query or ""), { headers = headers })
end

local function publish(fields, headers)
  local list = {}
  for _, field in ipairs(fields) do list[#list + 1] = field[1] .. "=" .. escaped(field[2]) end
  headers = headers or bearer("publish", { "*" })
  headers["Content-Type"] = "application/x-www-form-urlencoded"
  return server:post(HUB, { body = table.concat(list, "&"), headers = headers })
end

describe("spate.mercure", function()
  local function serve(anonymous, subscriptions) server = helper.serve(APP:format(anonymous, subscriptions or "true")) end

  before_each(function() serve "true" end)
  after_each(function() server:close() end)

  it("brings an update to who has asked for one of its topics, with type, retry and id", function()
    local book, all, other = subscribe { "https://example.com/books/{id}" }, subscribe { "x", "*" }, subscribe { "https://example.com/films/{id}" }
    local res = publish { { "topic", "https://example.com/books/1" }, { "topic", "alt" }, { "data", "two\nlines" }, { "type", "changed" }, { "retry", "1500" } }
    local id = res:body()
    assert.same({ 200, "#" }, { res:status(), id:sub(1, 1) })
    for _, one in ipairs { book, all } do assert.same({ { id = id, event = "changed", retry = "1500", data = "two\nlines" } }, (one:events())) end
    assert.same({}, (other:events()))
    local twice = subscribe { "alt", "https://example.com/books/1" }
    publish { { "topic", "https://example.com/books/1" }, { "topic", "alt" } }
    assert.same({ "" }, twice:data())
    for _, one in ipairs { book, all, other, twice } do one:close() end
  end)

  it("lets only tokens publish, and only what they name", function()
    assert.equal(401, publish({ { "topic", "a" } }, {}):status())
    assert.equal(401, publish({ { "topic", "a" } }, { Authorization = "Bearer x.y.z" }):status())
    assert.equal(403, publish({ { "topic", "a" } }, bearer("subscribe", { "*" })):status())
    local some = bearer("publish", { "https://example.com/{id}" })
    assert.equal(200, publish({ { "topic", "https://example.com/1" } }, some):status())
    assert.equal(403, publish({ { "topic", "https://example.com/1" }, { "topic", "a" } }, some):status())
    local cookie = { Cookie = "mercureAuthorization=" .. token { mercure = { publish = { "*" } } } }
    assert.equal(403, publish({ { "topic", "a" } }, { Cookie = cookie.Cookie, Origin = "https://evil.example" }):status())
    assert.equal(200, publish({ { "topic", "a" } }, { Cookie = cookie.Cookie, Origin = "http://spec" }):status())
  end)

  it("refuses updates that are none", function()
    for _, fields in ipairs { {}, { { "topic", "" } }, { { "topic", "*" } }, { { "topic", "https://x" .. HUB .. "/subscriptions/a/b" } }, { { "topic", "/.well-known/%6Dercure/x" } }, { { "topic", "a\1" } }, { { "topic", "a" }, { "retry", "soon" } }, { { "topic", "a" }, { "type", "a\nb" } },
      { { "topic", "a" }, { "id", "a\nb" } }, { { "topic", "a" }, { "id", "#1" } }, { { "topic", "a" }, { "id", "earliest" } }, { { "topic", "a" }, { "id", ("x"):rep(2001) } },
      { { "topic", "a" }, { "data", "\255" } } } do
      assert.equal(400, publish(fields):status())
    end
    assert.equal(400, server:get(HUB):status())
    assert.equal(400, subscribe { ("x"):rep(2001) }:status())
  end)

  it("keeps private updates to tokens that name one of their topics", function()
    local anybody, reader, stranger = subscribe { "*" }, subscribe({ "*" }, bearer("subscribe", { "alt" })), subscribe({ "*" }, bearer("subscribe", { "b" }))
    publish { { "topic", "a" }, { "topic", "alt" }, { "private", "" }, { "data", "secret" } }
    assert.same({ {}, { "secret" }, {} }, { anybody:data(), reader:data(), stranger:data() })
    server:post "/direct"
    assert.same({ event = "note", data = "by hand" }, { event = (reader:events())[2].event, data = (reader:events())[2].data })
    for _, one in ipairs { anybody, reader, stranger } do one:close() end
  end)

  it("asks everybody for a token unless told otherwise", function()
    server:close()
    serve "false"
    assert.equal(401, subscribe { "*" }:status())
    local res = subscribe({ "*" }, { Cookie = "mercureAuthorization=" .. token { mercure = { subscribe = {} } } })
    assert.equal(200, res:status())
    res:close()
  end)

  it("keeps the id that a publisher gives, and goes on behind it", function()
    server:close()
    serve("true", "false")
    for i = 1, 3 do assert.equal("urn:é " .. i, publish({ { "topic", "a" }, { "data", tostring(i) }, { "id", "urn:é " .. i } }):body()) end
    local own = publish({ { "topic", "a" }, { "data", "4" } }):body()
    local res = subscribe({ "a" }, { ["Last-Event-ID"] = "urn:é 1" })
    assert.equal("urn:é 1", res:header "Last-Event-ID")
    assert.same({ { id = "urn:é 2", data = "2" }, { id = "urn:é 3", data = "3" }, { id = own, data = "4" } }, (res:events()))
    res:close()
    publish { { "topic", "a" }, { "data", "5" }, { "id", "urn:é 1" } } -- one that was used before is the newest of its name
    for _, case in ipairs { { "urn:é 1", {} }, { own, { "5" } }, { "urn:é 4", { "1", "2", "3", "4", "5" } } } do
      res = subscribe({ "a" }, { ["Last-Event-ID"] = case[1] })
      assert.same(case[2], res:data())
      res:close()
    end
  end)

  it("goes on behind an id, from the beginning, and says so where it does not have the id", function()
    server:close()
    serve("true", "false") -- each that comes and goes is an update, too
    local ids = {}
    for i = 1, 3 do ids[i] = publish({ { "topic", "a" }, { "data", tostring(i) } }):body() end
    local function again(headers, query)
      local res = subscribe({ "a" }, headers, query)
      local list = { res:header "Last-Event-ID", table.unpack(res:data()) }
      res:close()
      return list
    end
    assert.same({ ids[1], "2", "3" }, again { ["Last-Event-ID"] = ids[1] })
    assert.same({ ids[2], "3" }, again({}, "&lastEventID=" .. escaped(ids[2])))
    assert.same({ "earliest", "1", "2", "3" }, again { ["Last-Event-ID"] = "earliest" })
    assert.same({ "earliest", "1", "2", "3" }, again { ["Last-Event-ID"] = "#0-1" })
    assert.same({}, again {})
    for i = 4, 9 do publish { { "topic", "a" }, { "data", tostring(i) } } end
    assert.same({ "earliest", "5", "6", "7", "8", "9" }, again { ["Last-Event-ID"] = ids[1] })
  end)

  it("has a list of subscriptions, and tells who may know as they come and go", function()
    local watcher = subscribe({ HUB .. "/subscriptions/{topic}/{subscriber}" }, bearer("subscribe", { HUB .. "/subscriptions/{topic}/{subscriber}" }))
    local ann = subscribe({ "https://example.com/{id}" }, bearer("subscribe", {}, { mercure = { payload = { name = "ann" } } }))
    local list = bearer("subscribe", { HUB .. "/subscriptions{/topic,subscriber}" })
    local all = server:get(HUB .. "/subscriptions", { headers = list }):json()
    assert.same({ "Subscriptions", HUB .. "/subscriptions", 2 }, { all.type, all.id, #all.subscriptions })
    local topic = HUB .. "/subscriptions/" .. escaped "https://example.com/{id}":gsub("%%2E", ".")
    local of_topic = server:get(topic, { headers = list })
    assert.equal("application/ld+json", of_topic:header "Content-Type")
    local one = of_topic:json().subscriptions[1]
    assert.same({ "Subscription", "https://example.com/{id}", true, { name = "ann" }, of_topic:json().id .. "/" .. escaped(one.subscriber):gsub("%%2D", "-") },
      { one.type, one.topic, one.active, one.payload, one.id })
    assert.equal(one.subscriber, server:get(one.id, { headers = list }):json().subscriber)
    assert.equal(404, server:get(topic .. "/x", { headers = list }):status())
    assert.equal(403, server:get(HUB .. "/subscriptions", { headers = bearer("subscribe", { "a" }) }):status())
    assert.equal(401, server:get(HUB .. "/subscriptions"):status())
    ann:close()
    server:turn()
    local told = {}
    for i, event in ipairs((watcher:events())) do
      local document = helper.json.decode(event.data)
      told[i] = { event.event, document.topic, document.active }
    end
    assert.same({ "mercure", "https://example.com/{id}", true }, told[#told - 1])
    assert.same({ "mercure", "https://example.com/{id}", false }, told[#told])
    watcher:close()
  end)

  it("has subscriptions of long topics", function()
    local res = subscribe { ("ä"):rep(1000) }
    assert.equal(200, res:status())
    res:close()
  end)

  it("is named by what it is about", function()
    assert.equal('</.well-known/mercure>; rel="mercure", <https://example.com/books/1>; rel="self"', server:get("/books/1"):header "Link")
  end)

  it("raises at the user's line what is wrong with it", function()
    local hub = 'require("spate.mercure").hub'
    helper.refuses {
      [hub .. " {}"] = "mercure.hub: publisher: expected key and alg", [hub .. ' { key = "x", keys = 1 }'] = "mercure.hub: unknown option 'keys'",
      [hub .. ' { key = ("k"):rep(32), anonymous = 1 }'] = "mercure.hub: anonymous: expected true or false, got 1",
      [hub .. ' { key = ("k"):rep(32) }:publish { topic = "x", id = "#x" }'] = "hub:publish: id: one line that does not begin with '#' is expected",
      [hub .. ' { key = ("k"):rep(32) }:publish { data = "x" }'] = "hub:publish: topic: expected a list of strings, got none",
      [hub .. ' { key = ("k"):rep(32), query = "authorization" }'] = "spate.jwt: query: the log would have the value of 'authorization'",
    }
  end)
end)
