-- SPDX-License-Identifier: MIT
-- What is no event is told with the place where the stream has it from; an event is no list of events.
local helper = require "spec.helper"

local server

local function failure(handler, dev)
  server = helper.serve("app:get('/', function(req)\n" .. handler .. "\nend)\n", { dev = dev })
  local res = server:get "/"
  server:advance(5)
  return server:log(), res
end

describe("an event that is none", function()
  after_each(function() server:close() end)

  for _, case in ipairs {
    { "in a list", "local r = sse.reply { 1, { evnt = 'x' } }\nreturn r", 4 },
    { "in a list that is returned at once", "return sse.reply { { data = 1, json = 2 } }", 4 },
    { "out of map", "local s = sse.interval(1):take(2):map(function()\nreturn { x = 1 } end)\nreturn sse.reply(s)", 4 },
    { "out of map of ticks", "\n\nreturn sse.reply(sse.interval(1):map(function() return { x = 1 } end))", 6 },
    { "out of an interval's function", "\nreturn sse.reply(sse.interval(1, function() return { x = 1 } end))", 5 },
    { "out of an iterator", "local f = function() return {} end\nreturn sse.reply(sse.from(f):take(1))", 4 },
    { "behind map and filter", "local s = sse.from { 1 }:map(function() return { x = 1 } end)\nreturn sse.reply(s:filter(function() return true end))", 4 },
    { "in the second of a chain", "local a = sse.from { 1 }\nlocal b = sse.from { {} }\nreturn sse.reply(a:chain(b))", 5 },
    { "at the start", "local s = sse.never():start_with({ x = 1 })\nreturn sse.reply(s)", 4 },
    { "out of merge", "local s = sse.merge(sse.from { {} }, sse.never())\nreturn sse.reply(s)", 4 },
    { "that JSON cannot say", "local s = sse.from { { json = print } }\nreturn sse.reply(s)", 4 },
    { "in a stream with a keep-alive", "local r = sse.keep_alive():stream { {} }\nreturn sse.reply(r)", 4 },
  } do
    it(case[1] .. " is told with its line", function()
      local log, res = failure(case[2])
      assert.truthy(log:find(("[%%w_]:%d: "):format(case[3])), log)
      assert.is_false(res:has_ended())
    end)
  end

  it("has its line in spate dev's event as well", function()
    local _, res = failure("local r = sse.reply { { evnt = 'x' } }\nreturn r", true)
    local events = res:events()
    assert.equal("error", events[#events].event)
    assert.truthy(events[#events].data:find ":4: unknown event field 'evnt'; did you mean 'event'%?")
  end)
end)

describe("sse.reply", function()
  after_each(function() server:close() end)

  it("takes no event for a list of them", function()
    for call, what in pairs {
      ["sse.reply { event = 'x', data = 1 }"] = "sse.reply", ["sse.from { data = 1 }"] = "sse.from", ["sse.reply { 'a', retry = 1 }"] = "sse.reply",
      ["sse.keep_alive():stream { json = 1 }"] = "keep_alive:stream",
    } do
      local log, res = failure("local r = " .. call .. "\nreturn r")
      assert.equal(500, res:status(), call)
      assert.truthy(log:find(":4: " .. what .. ": expected a list of events, got a table with '", 1, true), log)
      assert.truthy(log:find("a list of one event is { { ... } }", 1, true), log)
      server:close()
    end
    local _, res = failure("return sse.reply {}")
    assert.is_true(res:has_ended())
  end)
end)
