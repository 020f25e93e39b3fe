-- spate serve examples/aggregator.lua (with examples/ticks.lua at 8081, 8082 and 8083), then:
--   curl -N localhost:8080/events; curl -N 'localhost:8080/events?from=paris'
-- SPDX-License-Identifier: MIT
-- Three streams of other servers as one: each is read once for all who look, while somebody does, and is come back to
-- where it breaks off. An event is named after where it comes from.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

local SOURCES = {
  berlin = spate.env("BERLIN", "http://localhost:8081/ticks"),
  paris = spate.env("PARIS", "http://localhost:8082/ticks"),
  rome = spate.env("ROME", "http://localhost:8083/ticks"),
}

local channels = {}
for city, url in pairs(SOURCES) do
  channels[city] = sse.channel("from " .. city, { history = 1 }):relay(url, {
    on_error = function(message, _, seconds) spate.log.warn(("%s: %s; again in %.0f s"):format(city, message, seconds)) end,
  })
end

-- A city's events, the newest of them at once.
local function events_of(city)
  return channels[city]:subscribe({ replay = 1 }):map(function(event) return { event = city, data = event.data } end)
end

app:get("/events", function(req)
  local wanted = req.query.from
  if wanted and not channels[wanted] then return reply.error(404, "no such city") end
  if wanted then return sse.reply(events_of(wanted)) end
  return sse.reply(sse.merge(events_of "berlin", events_of "paris", events_of "rome"))
end)

return app
