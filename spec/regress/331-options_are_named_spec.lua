-- SPDX-License-Identifier: MIT
-- Messages about options left out what else there is: the options of http.events itself, and that a timeout may be a number.
local helper = require "spec.helper"

describe("spate.http", function()
  for call, message in pairs {
    ['http.events("http://a/x", { reconect = true })'] = "http.events: unknown option 'reconect'; did you mean 'reconnect'?",
    ['http.events("http://a/x", { last_event = "1" })'] = "http.events: unknown option 'last_event'; ",
    ['http.events("http://a/x", { zzzzzz = "1" })'] = "it has method, reconnect, last_event_id, on_open, on_error, headers, query, ",
    ['http.events("http://a/x", { timeout = "5" })'] = "http.events: timeout: expected seconds or a table of options, got string",
    ['http.get("http://a/x", { timeout = "5" })'] = "http.get: timeout: expected seconds or a table of options, got string",
    ['http.get("http://a/x", { max = 5000000.0 })'] = "http.get: max: expected an integer of 0 or more, got 5000000.0",
    ['http.post("http://a/x", { body = function() end, length = 5.0 })'] = "http.post: length: expected an integer of 0 or more, got 5.0",
  } do
    it("says what it has: " .. call, function()
      local server = helper.serve(('local http = require "spate.http"\napp:get("/", function() return %s end)'):format(call))
      assert.equal(500, server:get("/"):status())
      local log = server:log()
      assert.truthy(log:find(message, 1, true), log)
      server:close()
    end)
  end
end)
