-- SPDX-License-Identifier: MIT
-- A key of a dictionary from its begin to its end.
local says = require "spec.simulate.promises"

local kind = { weight = 1, method = "POST", prelude = 'local things = spate.shared "things"\n' }

function kind.code()
  return [[local key = t .. "."
  local ok = things:set(key .. "a", 7) and things:set(key .. "b", true)
  local n, keys = things:incr(key .. "a", 2), things:keys(key)
  local was = things:delete(key .. "a")
  things:set(key .. "b", nil)
  local is_empty = things:count() == 0 and things:bytes() == 0
  return ("things %s %s %s %d %s %s %s"):format(t, tostring(ok), tostring(n), #keys, tostring(was), tostring(things:get(key .. "b")), tostring(is_empty))]]
end

-- Others have none there between two waits.
function kind.on_end(model, request, how)
  if how ~= "end" then return end
  local wanted = ("things %s true 9 2 true nil "):format(request.token)
  local content = request.content or ""
  model:expect(content:sub(1, #wanted) == wanted and (content == wanted .. "true" or model:excused("things", "unsaid")), says.SHARED, "%s: %q", request, content)
end

return kind
