-- SPDX-License-Identifier: MIT
-- spate.mercure as its clients have it: those from npm that the hub's own documents name (eventsource, fetch-event-source, tokens by
-- jose), and the EventSource of a browser.
local browser = require "spec.browser"
local clients = require "spec.clients"
local helper = require "spec.helper"
local process = require "spec.process"

local json = helper.json
local KEY, HUB = ("k"):rep(32), "/.well-known/mercure"
local BOOKS, BOOK = "https://example.com/books/{id}", "https://example.com/books/1"
local APP = [[
local hub = require("spate.mercure").hub { key = ("k"):rep(32), anonymous = true, subscriptions = true }
hub:serve(app)
app:get("/page", hub:link { topic = "https://example.com/books/1" }, function() return reply.html "<!doctype html><title>page</title>" end)
local function part(text) return spate.crypto.base64(text, { url = true, pad = false }) end
app:post("/login", function(req)
  local text = part '{"alg":"HS256"}' .. "." .. part(req:body())
  local token = text .. "." .. spate.crypto.hmac("sha256", ("k"):rep(32), text, "base64url")
  return reply.status(204):cookie("mercureAuthorization", token, { http_only = true, same_site = "Strict", path = "/.well-known/mercure" })
end)
]]
local SETTINGS = "{ reload = { max_age = 0.1 }, shutdown = { window = 0.1, retry = 0.1, grace = 5 } }"

local installed = clients.are_installed "spec/e2e_mercure_spec.lua"
local has_node = installed and clients.node_version() >= 20 -- jose needs it
local needs = installed and not has_node and ": needs Node 20" or ""
local it_with_node = has_node and it or pending

describe("a hub of Mercure", function()
  local directory, server

  before_each(function()
    directory = process.enter()
    server = process.serve(APP, { settings = SETTINGS })
  end)

  after_each(function()
    clients.leave()
    process.leave()
  end)

  local function start(what, claims, argument)
    return clients.start(directory, "mercure", { ("http://127.0.0.1:%d%s"):format(server.port, HUB), what, json.encode(claims or json.null), argument },
      "MERCURE_KEY=" .. KEY)
  end

  -- Each update a list of { name, value }: the answers.
  local function publish(claims, ...)
    return start("publish", claims, json.encode { ... }):finish()
  end

  local function open(what, claims, topics)
    local client = start(what, claims, json.encode(json.array(topics)))
    process.eventually("it is open", function()
      local first = client:seen()[1]
      return first and (first.open or error(json.encode(first)))
    end)
    return client
  end

  local function updates(seen)
    local list = {}
    for _, line in ipairs(seen) do
      if line.data and line.event ~= "mercure" then list[#list + 1] = { line.event, line.id, line.data } end
    end
    return list
  end

  for _, name in ipairs { "eventsource", "fetch-event-source" } do
    it_with_node("brings updates to " .. name .. ", private ones to who may read them, and goes on where it was" .. needs, function()
      local all = { publish = json.array { "*" } }
      local reader = open(name, { subscribe = json.array { BOOKS }, payload = { name = "ann" } }, { BOOKS, "bye" })
      local stranger = open(name, nil, { BOOKS, "bye" })
      local before = publish(all, { { "topic", BOOK }, { "topic", "alt" }, { "data", "two\nlines" }, { "type", "changed" } },
        { { "topic", BOOK }, { "data", "secret" }, { "private", "on" }, { "id", "urn:uuid:1" } },
        { { "topic", "https://example.com/films/1" }, { "data", "another" } })
      local first, second = before[1], before[2]
      assert.same({ 200, 200, "urn:uuid:1" }, { first.status, second.status, second.id })
      process.eventually("both are there", function() return #updates(reader:seen()) == 2 and #updates(stranger:seen()) == 1 end)
      server:kill "HUP"
      process.eventually("they are back", function() return select(2, server:stderr():gsub("open [^\n]*target=/%.well", "")) >= 4 end)
      local third, last = table.unpack(publish(all, { { "topic", BOOK }, { "data", "again" } }, { { "topic", "bye" }, { "data", "bye" } }))
      assert.same({ { "changed", first.id, "two\nlines" }, { "message", "urn:uuid:1", "secret" }, { "message", third.id, "again" }, { "message", last.id, "bye" } },
        updates(reader:finish()))
      assert.same({ { "changed", first.id, "two\nlines" }, { "message", third.id, "again" }, { "message", last.id, "bye" } }, updates(stranger:finish()))
    end)
  end

  it_with_node("refuses tokens that do not allow it" .. needs, function()
    local update = { { "topic", BOOK } }
    assert.same({ 401, 403, 403 }, { publish(nil, update)[1].status, publish({ subscribe = json.array { "*" } }, update)[1].status,
      publish({ publish = json.array { "https://example.com/films/{id}" } }, update)[1].status })
    assert.equal(403, start("subscriptions", { subscribe = json.array { BOOKS } }):finish()[1].status)
  end)

  it_with_node("lists who reads, and tells of those who come and go" .. needs, function()
    local every = { subscribe = json.array { HUB .. "/subscriptions{/topic}{/subscriber}" } }
    local watcher = open("eventsource", every, { HUB .. "/subscriptions/{topic}/{subscriber}", "bye" })
    local reader = open("eventsource", { payload = { name = "ann" } }, { BOOKS, "stop" })
    local listed = start("subscriptions", every):finish()[1]
    assert.same({ 200, "application/ld+json", 4 }, { listed.status, listed.type, #listed.found.subscriptions })
    local one
    for _, each in ipairs(listed.found.subscriptions) do
      if each.topic == BOOKS then one = each end
    end
    assert.same({ active = true, payload = { name = "ann" } }, { active = one.active, payload = one.payload })
    local found = start("subscriptions", every, one.id):finish()[1].found
    assert.same({ one.id, one.subscriber, listed.found.lastEventID }, { found.id, found.subscriber, found.lastEventID })
    publish({ publish = json.array { "*" } }, { { "topic", "stop" }, { "data", "bye" } })
    reader:finish()
    process.eventually("it is told", function()
      local told = {}
      for _, line in ipairs(watcher:seen()) do
        local document = line.event == "mercure" and json.decode(line.data)
        if document and document.topic == BOOKS then told[#told + 1] = document.active end
      end
      return #told == 2 and told[1] == true and told[2] == false
    end)
    publish({ publish = json.array { "*" } }, { { "topic", "bye" }, { "data", "bye" } })
    watcher:finish()
  end)
end)

local it_in_browser = browser.is_installed "spec/e2e_mercure_spec.lua" and it or pending

describe("a page that reads a hub of Mercure", function()
  it_in_browser("is told of the hub and the topic, has private updates by its cookie, and publishes", function()
    local directory = process.enter()
    local server = process.serve(APP, { settings = SETTINGS })
    browser.open(directory)
    local tab = browser.tab(("http://127.0.0.1:%d/page"):format(server.port))
    tab:run([[
      window.seen = []
      ;(async () => {
        await fetch('/login', { method: 'POST', body: arguments[0] })
        const link = (await fetch('/page')).headers.get('Link')
        const hub = new URL(link.match(/<([^>]+)>; rel="mercure"/)[1], location)
        hub.searchParams.append('topic', link.match(/<([^>]+)>; rel="self"/)[1])
        const source = new EventSource(hub)
        source.onmessage = e => seen.push([e.lastEventId, e.data])
        source.onopen = async () => {
          for (const data of ['for all', 'for some']) {
            const body = new URLSearchParams({ topic: 'https://example.com/books/1', data, id: 'urn:' + data.length })
            if (data === 'for some') body.set('private', 'on')
            await fetch('/.well-known/mercure', { method: 'POST', body })
          }
        }
      })()]], json.encode { mercure = { publish = json.array { "*" }, subscribe = json.array { BOOKS } } })
    tab:await "seen.length === 2"
    assert.same({ { "urn:7", "for all" }, { "urn:8", "for some" } }, tab:run "return seen")
    browser.close()
    process.leave()
  end)
end)
