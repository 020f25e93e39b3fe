-- SPDX-License-Identifier: MIT
-- The body of a request, whole or in chunks of some length, comes back.
local says = require "spec.simulate.promises"

local kind = { weight = 2, method = "POST" }

function kind.random(r) return { bytes = r:pick { 0, 1, 300, 70000 }, chunk = r:pick { false, false, 1, 100, 100000 } or nil } end

function kind.code() return [[local body, why = req:body()
  if not body then return reply.error(413, why) end
  return "echo " .. t .. " " .. body]] end

function kind.text(route, token) return (token .. " "):rep(route.bytes // 4):sub(1, route.bytes) end

local function in_chunks(whole, len)
  local parts = {}
  for at = 1, #whole, len do
    local part = whole:sub(at, at + len - 1)
    parts[#parts + 1] = ("%x\r\n%s\r\n"):format(#part, part)
  end
  return table.concat(parts) .. "0\r\n\r\n"
end

-- As it is sent; a chunked one says so in its head. HTTP/2 has no chunks.
function kind.body(route, token, is_http2)
  local whole = kind.text(route, token)
  if is_http2 or not route.chunk then return whole end
  return in_chunks(whole, route.chunk), "Transfer-Encoding: chunked"
end

kind.statuses = { [408] = "partial", [413] = "too large" }

function kind.on_end(model, request, how)
  if how ~= "end" or request.status ~= 200 then return end
  local most = model.plan.settings.limits.body
  model:expect(not most or request.route.bytes <= most, says.BODY_LIMIT, "%s: %d bytes", request, request.route.bytes)
  local wanted = ("echo %s %s"):format(request.token, kind.text(request.route, request.token))
  model:expect(request.content == wanted, says.BODY, "%s: %q", request, (request.content or ""):sub(1, 60))
end

return kind
