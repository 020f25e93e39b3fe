-- SPDX-License-Identifier: MIT
-- An application for the specs of channels: POST /lua runs code of the spec, whose globals last; GET /sub/:name
-- subscribes to a channel that is there.
local helper = require "spec.helper"

local channels = {}

channels.APP = [[
local env = setmetatable({ sse = sse, spate = spate, json = json }, { __index = _G })
app:post("/lua", function(req)
  local values, list = table.pack(assert(load(req:body(), "=lua", "t", env))()), json.array {}
  for i = 1, values.n do list[i] = values[i] == nil and json.null or values[i] end
  return reply.json(list)
end)
app:get("/sub/:name", function(req)
  local replay = math.tointeger(tonumber(req.query.replay)) or req.query.replay
  local sub = sse.channel.find(req.params.name):subscribe { after = req.last_event_id, replay = replay }
  return sse.reply(req.query.lua and sub:map(function(event) return event end) or sub)
end)
]]

-- What the code returns in the server.
function channels.run(server, code)
  local res = server:post("/lua", { body = code })
  if res:status() ~= 200 then error("the code failed: " .. server:log(), 2) end
  local list = res:json()
  for i = 1, #list do if list[i] == helper.json.null then list[i] = nil end end
  return table.unpack(list, 1, 4)
end

-- A subscriber; options: query, after, client.
function channels.subscribe(server, name, options)
  options = options or {}
  local headers = options.after and { ["Last-Event-ID"] = options.after }
  return server:get("/sub/" .. name .. (options.query or ""), { headers = headers, client = options.client })
end

-- The names of events, or what they carry where they have none.
function channels.names(res)
  local list = {}
  for i, event in ipairs((res:events())) do list[i] = event.event or event.data end
  return list
end

return channels
