-- SPDX-License-Identifier: MIT
-- HEAD of what others are asked for by GET. It is no route of its own.
local says = require "spec.simulate.promises"

local kind = {}

-- Bytes that a body would have; false: it has none, and no length is said; nil: nobody knows.
local LENGTHS = {
  text = function(_, request) return #("text " .. request.token) end,
  late = function(_, request) return #("late " .. request.token) end,
  file = function(_, request) return request.status == 200 and 100000 or nil end,
  raw = function(route)
    local bytes = route.count * route.bytes
    return route.how == "length" and bytes or route.how == "short" and bytes + 1
  end,
  channel = function() return false end, derived = function() return false end, pipeline = function() return false end, events = function() return false end,
}

kind.of = LENGTHS -- by kinds that may be asked so

function kind.on_end(model, request, how)
  if how ~= "end" then return end
  model:expect((request.content or "") == "", says.HEAD, "%s: a body of %d bytes", request, #(request.content or ""))
  if request.fields["content-encoding"] or request.status ~= 200 then return end
  local wanted, length = LENGTHS[request.route.kind](request.route, request), request.fields["content-length"]
  model:expect(length == (wanted and ("%d"):format(wanted) or nil), says.HEAD, "%s: length %s, expected %s", request, tostring(length), tostring(wanted))
end

return kind
