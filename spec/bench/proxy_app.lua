-- SPDX-License-Identifier: MIT
-- What is between the load client and another server: its events, its bytes, its short answers.
local spate, sse, http = require "spate", require "spate.sse", require "spate.http"
local app, reply = spate.app(), spate.reply

local EVENTS, HELLO = spate.env "EVENTS", spate.env "HELLO"

app:get("/events", function() return sse.reply(assert(http.get(EVENTS)):events(), { keep_alive = false }) end)
app:get("/pass", function() return reply.pass(assert(http.get(EVENTS))) end)
app:get("/hello", function() return reply.proxy(HELLO) end)
app:get("/ready", function() return "yes" end)

return app
