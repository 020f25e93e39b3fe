-- SPDX-License-Identifier: MIT
-- A body that is read as it comes.
local echo = require "spec.simulate.kinds.echo"
local says = require "spec.simulate.promises"

local kind = { weight = 1, method = "POST", random = echo.random, body = echo.body, statuses = echo.statuses }

function kind.code() return [[local parts = {}
  for piece in req:chunks() do parts[#parts + 1] = piece end
  local all = table.concat(parts)
  return ("upload %s %d %s"):format(t, #all, all:sub(-4))]] end

function kind.on_end(model, request, how)
  if how ~= "end" or request.status ~= 200 then return end
  local bytes = request.route.bytes
  local tail = (request.token .. " "):rep(bytes // 4):sub(1, bytes):sub(-4)
  local wanted = ("upload %s %d %s"):format(request.token, #echo.text(request.route, request.token), tail)
  model:expect(request.content == wanted, says.CHUNKS, "%s: %q", request, request.content)
end

return kind
