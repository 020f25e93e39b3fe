-- SPDX-License-Identifier: MIT
-- Hints named what was written ("header" for "header"), what merely resembles it ("tag" for "tak"), or nothing, where it is known what is meant.
local helper = require "spec.helper"

local HEAD = [[
local http, fs = require "spate.http", require "spate.fs"
]]

local function hint_of(handler)
  local server = helper.serve(HEAD .. "app:get('/', function(req)\n" .. handler .. "\nend)", { dev = true })
  server:get("/", { headers = { Accept = "text/html" } })
  local log = server:log()
  server:close()
  local hint = log:match("hint: ([^\n]*)") or "none in " .. log
  return (hint:gsub(" handler=.*", ""))
end

describe("a hint", function()
  for handler, hint in pairs {
    ['return req:header "X-A"'] = 'req.headers["X-A"] is a field of the request; answer:header(name, value) sets one of the answer',
    ['return req:param "id"'] = "req.params.id is a part of the path, req.query.id one of the query",
    ['return req.querry.a'] = "did you mean 'query'?",
    ['return req.param.id'] = "did you mean 'params'?",
    ['return req.query "a"'] = "req.query is a table: req.query.name",
    ['return req.body.text'] = "req:body() and req:json() read the body",
    ['spate.log "x"'] = 'spate.log is a table: spate.log.info "text"',
    ['sse.never():tak(3)'] = "did you mean 'take'?",
    ['sse.keep_alive():intervall(5)'] = "did you mean 'interval'?",
    ['sse.channel("x"):send "y"'] = "channel:publish(event) sends to all who have subscribed",
    ['sse.channel("x"):broadcast "y"'] = "channel:publish(event) sends to all who have subscribed",
    ['return sse.event("x"):json {}'] = "event:json_data(value) sets what an event says; a table that a handler returns is JSON",
    ['return json.parse "1"'] = "did you mean 'decode'?",
    ['return json.stringify {}'] = "did you mean 'encode'?",
    ['return fs.raed "x"'] = "did you mean 'read'?",
    ['return http.gte "x"'] = "did you mean 'get'?",
    ['spate.shared("x").k = 5'] = "dictionary:set(name, value) sets, dictionary:get(name) gets",
    ['send "x"'] = "send is what sse.reply(function(send) ... end) hands to its function",
  } do
    it("says what is meant by " .. handler, function() assert.equal(hint, hint_of(handler)) end)
  end

  it("names no method of the same name, nor one beside it where it is another's", function()
    assert.falsy(hint_of('local x = {} return x:header()'):find("'header'", 1, true))
    assert.equal("that method does not exist: check its name against README's API", hint_of('local x = {} return x:get "a"'))
    assert.equal('redis:command("GET", ...) asks by any command', hint_of('local redis = {} return redis:get "a"'))
  end)
end)

describe("a stream that is none", function()
  for handler, what in pairs {
    ["return sse.reply(42)"] = "sse.reply: expected a stream, a function(send) or a list, got number",
    ['return sse.reply(sse.channel "x")'] = "sse.reply: expected a stream, got a channel; channel:subscribe() is one",
    ['return sse.channel "x"'] = "returned a channel; return sse.reply(channel:subscribe())",
    ['return sse.reply(sse.from({ 1, 2 }):batch(2))'] = "expected an event, got a list; { json = list } is one, :map(fn) makes it",
    ['return sse.reply { { "a" } }'] = "expected an event, got a list; { json = list } is one, :map(fn) makes it",
  } do
    it("is told apart: " .. handler, function()
      local server = helper.serve("app:get('/', function(req)\n" .. handler .. "\nend)")
      server:get "/"
      local log = server:log()
      assert.truthy(log:find(what, 1, true), log)
      server:close()
    end)
  end
end)
