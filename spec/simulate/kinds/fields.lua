-- SPDX-License-Identifier: MIT
-- A form without files, as pages send it.
local says = require "spec.simulate.promises"

local kind = { weight = 1, method = "POST" }

function kind.random(r) return { bytes = r:pick { 0, 10, 3000 } } end

function kind.code() return [[local fields, why, status = req:form()
  if not fields then return reply.error(status, why) end
  return ("fields %s %d %s %d"):format(fields.a, #fields.b, fields.c, #req:form_all "c")]] end

function kind.headers() return { "Content-Type: application/x-www-form-urlencoded" } end

function kind.body(route, token) return ("a=%s&b=%s&c=%%26%%3d+x&c=2"):format(token, ("b"):rep(route.bytes)) end

kind.statuses = { [408] = "partial", [413] = "too large" }

function kind.on_end(model, request, how)
  if how ~= "end" or request.status ~= 200 then return end
  local wanted = ("fields %s %d &= x 2"):format(request.token, request.route.bytes)
  model:expect(request.content == wanted, says.FORMS, "%s: %q", request, request.content)
end

return kind
