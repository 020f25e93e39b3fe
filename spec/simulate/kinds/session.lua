-- SPDX-License-Identifier: MIT
-- A table per visitor that lives in a signed cookie.
local says = require "spec.simulate.promises"

local kind = { weight = 1 }

kind.middleware = 'spate.session { secret = ("k"):rep(32) }, '

function kind.code() return [[local n = (req.session and req.session.n or 0) + 1
  req.session = { n = n }
  return "visit " .. n]] end

-- The visitor's cookie, of the client's slot. A request that code without sessions was to have has none.
function kind.headers(_, visitor)
  return visitor.cookie and { "Cookie: " .. visitor.cookie } or {}
end

function kind.on_end(model, request, how)
  if how ~= "end" or request.client.is_mux and not request.client.is_http2 then return end -- which has no header fields
  local sent_to = model:route_of(request, request.served)
  if not sent_to or sent_to.kind ~= "session" then return end
  local n = tonumber((request.content or ""):match "^visit (%d+)$")
  local cookie = (request.fields["set-cookie"] or ""):match "^[^;]+"
  model:expect(n == request.visits_sent + 1, says.SESSION, "%s: %q, expected %d", request, request.content, request.visits_sent + 1)
  model:expect(cookie, says.COOKIE, "%s: no cookie", request)
  request.visitor.cookie, request.visitor.visits = cookie, n
end

return kind
