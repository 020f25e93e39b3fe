-- SPDX-License-Identifier: MIT
-- Members of a channel, who they are and how they come and go.
local harness = require("spec.helper").harness
local says = require "spec.simulate.promises"

local IN_DOUBT = 130 -- seconds after which the server has noticed that a client is gone

local kind = { weight = 2, makes_channels = true, publishes = true }

function kind.random(r) return { room = r:int(1, 2) } end

function kind.code(r)
  return ([[local room = sse.channel "room%d"
  return sse.reply(function(send)
    local feed <close> = room:subscribe()
    local _me <close> = room:join(req.query.u, { v = V })
    send { event = "who", json = room:members() }
    for event in feed:each() do send(event) end
  end)]]):format(r.room)
end

local function room_of(model, request, route)
  local name = "room" .. (route or request.route).room
  model.rooms[name] = model.rooms[name] or { requests = {}, gone = {}, asked = {} }
  return model.rooms[name]
end

function kind.on_request(model, request, route)
  local room = room_of(model, request, route)
  room.asked[#room.asked + 1] = request
end

function kind.on_head(model, request)
  local room = room_of(model, request)
  room.requests[#room.requests + 1] = request
end

function kind.on_event(model, request, event)
  local value = assert(harness.json.decode(event.data))
  if event.event == "who" then
    request.members = {}
    for _, each in ipairs(value) do request.members[each.id] = true end
    return model:expect(request.members[request.user], says.MEMBERS, "%s: is no member itself", request)
  end
  model:expect(request.members, says.MEMBERS, "%s: %s before who", request, event.event)
  local is_join = event.event == "join"
  model:expect(is_join or event.event == "leave", says.MEMBERS, "%s: an event %s", request, tostring(event.event))
  local is_own = is_join and value.id == request.user and not request.has_joined -- which came before it asked who there is
  request.has_joined = request.has_joined or is_own
  model:expect(is_own or is_join ~= (request.members[value.id] or false) or model:excused(request, "store"), says.MEMBERS, "%s: %s of %s, who was %s member", request, event.event, value.id, is_join and "a" or "no")
  request.members[value.id] = is_join or nil
end

function kind.on_end(model, request, how, now)
  local room = room_of(model, request)
  model.remove(room.requests, request)
  if how == "end" then model:expect(model:is_left(request), says.STAYS, "%s: ended", request) end
  room.gone[request.user] = now
end

-- Whether one who is asked for may have come unseen: it was sent to code that is replaced, and waited; or a task without memory has left its
-- member to the collector.
local function may_be_there(model, room, id)
  for _, each in ipairs(model.asked) do
    local route = each.user == id and not each.status and not each.ended and model:route_of(each, model.served)
    if route and route.kind == kind.name and room_of(model, each, route) == room then return true end
  end
  for _, each in ipairs(room.asked) do
    if each.user == id and model:excused(each, "refused") then return true end
  end
end

-- At rest: who reads all has the same members as are there, but for those whose leaving the server may not know yet, and
-- those of old code, which the server may have ended.
function kind.check(model, request, now)
  if not request.members then return end
  local function is_excused() return model:excused(request, "refused", "store") or model:is_left(request) end
  local room, is_there = room_of(model, request), {}
  for _, each in ipairs(room.requests) do
    if each.client.is_reading and not each.client.is_over and each.members then
      is_there[each.user] = true
      model:expect(request.members[each.user] or is_excused() or model:is_left(each) or model:excused(each, "refused"), says.MEMBERS, "%s: has not seen %s come", request, each.user)
    end
  end
  for user = 1, 4 do
    local id = "u" .. user
    local in_doubt = room.gone[id] and now - room.gone[id] < IN_DOUBT
    for _, each in ipairs(room.requests) do in_doubt = in_doubt or each.user == id end
    for _, each in ipairs(room.asked) do in_doubt = in_doubt or each.user == id and not each.status and not each.ended end
    model:expect(not request.members[id] or is_there[id] or in_doubt or is_excused() or may_be_there(model, room, id), says.VANISHES, "%s: %s is a member still", request, id)
  end
end

return kind
