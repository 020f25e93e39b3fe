-- SPDX-License-Identifier: MIT
-- To read a durable stream with a time to live was to write down what is known of it, as it was before the read: another worker's
-- append in between was undone by that, with its producer's number and the stream's end.
local helper = require "spec.helper"

local APP = [[
local streams = require("spate.durable").streams()
local stored, meanwhile = streams.streams, nil
-- What another worker does between a look and what follows it.
streams.streams = setmetatable({ get = function(_, path)
  local text, why = stored:get(path)
  if meanwhile then meanwhile = meanwhile(path, text) end
  return text, why
end }, { __index = function(_, name) return function(_, ...) return stored[name](stored, ...) end end })
streams:serve(app, "/s")
app:post("/close/:path", function()
  meanwhile = function(path, text)
    local known = json.decode(text)
    known.closed = true
    stored:set(path, json.encode(known), { ttl = 100 })
  end
end)
]]

describe("a durable stream with a time to live", function()
  it("is as it was, but for its time, when it has been read", function()
    local server = helper.serve(APP)
    server:request("PUT", "/s/a", { headers = { ["Content-Type"] = "text/plain", ["Stream-TTL"] = "100" }, body = "x" })
    server:post "/close/a"
    server:get "/s/a?offset=-1"
    assert.equal("true", server:request("HEAD", "/s/a", {}):header "Stream-Closed")
    server:advance(60)
    assert.equal(200, server:get("/s/a?offset=-1"):status())
    server:advance(60)
    assert.equal(200, server:get("/s/a?offset=-1"):status())
    server:close { tasks = 1, timers = 1 }
  end)
end)
