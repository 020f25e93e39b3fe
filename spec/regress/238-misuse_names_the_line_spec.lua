-- SPDX-License-Identifier: MIT
-- What was taken without a word, or raised in a line of the library: each is told while the script loads, at its line.
local helper = require "spec.helper"

local KEY = ("k"):rep(32)

describe("while a script loads, it is told at its line that", function()
  for call, message in pairs {
    ['require("spate.mcp").server { name = "a", version = "1" }:serve("/mcp")'] = "server:serve: expected an app, got string",
    [('spate.mercure.hub { key = %q }:serve("/hub")'):format(KEY)] = "hub:serve: expected an app, got string",
    ['spate.durable.streams {}:serve("/streams")'] = "streams:serve: expected an app, got string",
    ['spate.mercure.hub { key = "x" }'] = "mercure.hub: publisher: key: the secret has less than 32 bytes",
    ['spate.basic_auth { hashes = { ann = "secret" } }'] = "spate.basic_auth: hashes.ann: expected a hash of the password, as `spate password` prints one",
    ["app:use(spate.cors)"] = "app:use: spate.cors makes the function: spate.cors { ... }",
    ["app:group('/a', spate.session, print)"] = "app:group: spate.session makes the function: spate.session { ... }",
    ["app:get('/a', spate.rate_limit, print)"] = 'app:get("/a"): spate.rate_limit makes the function: spate.rate_limit { ... }',
    ["sse.channel('x', { history = '5' })"] = 'sse.channel: history: expected a number of 0 or more, got "5"',
  } do
    it(call .. " is none", function()
      local err = helper.load_error(call .. "\n")
      assert.truthy(err:find(":3: " .. message, 1, true), err)
    end)
  end
end)

describe("http.events", function()
  it("warns of no duration that it has chosen itself", function()
    local server = helper.serve([[app:get("/", function() require("spate.http").events("http://127.0.0.1:1/") return "x" end)]], { dev = true })
    server:get "/"
    assert.falsy(server:log():find("durations", 1, true), server:log())
    server:close()
  end)
end)

describe("send and publish", function()
  for call, message in pairs {
    ["return sse.reply(function(send) send('tick', 'x') end)"] = 'send: expected one event, got two values; a name and its data are { event = "tick", data = "x" }',
    ["sse.channel('x'):publish('tick', { a = 1 }) return ''"] = 'channel:publish: expected one event, got two values; a name and its data are { event = "tick", data = "x" }',
  } do
    it("take no second text: " .. call, function()
      local server = helper.serve("app:get('/', function()\n" .. call .. "\nend)")
      server:get "/"
      local log = server:log()
      assert.truthy(log:find(message, 1, true), log)
      server:close()
    end)
  end

  it("take what gsub returns", function()
    local server = helper.serve("app:get('/', function() return sse.reply(function(send) send(('a'):gsub('a', 'b')) end) end)")
    assert.truthy(server:get("/"):body():find("data: b", 1, true))
    server:close()
  end)
end)
