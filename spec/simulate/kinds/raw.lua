-- SPDX-License-Identifier: MIT
-- A body that is written piece by piece: to its end, with or without a length, or to an error.
local kind = { weight = 2 }

function kind.random(r)
  return { count = r:int(0, 6), bytes = r:pick { 1, 10, 3000, 20000 }, pause = r:pick { 0, 0, 0.5 }, how = r:pick { "open", "open", "length", "error", "short" } }
end

local function piece(route, i) return (string.char(96 + i)):rep(route.bytes) end

function kind.code(r)
  local length = r.how == "length" and r.count * r.bytes or r.how == "short" and r.count * r.bytes + 1
  return ([[return reply.stream(function(write)
    for i = 1, %d do
      write((string.char(96 + i)):rep(%d))
      %s
    end
    %s
  end, { type = "text/plain"%s })]]):format(r.count, r.bytes, r.pause > 0 and ("sse.sleep(%g)"):format(r.pause) or "", r.how == "error" and 'error "on purpose"' or "",
    length and (", length = %d"):format(length) or "")
end

function kind.may_be_cut(request) return request.route.how == "error" or request.route.how == "short" end

function kind.on_end(model, request, how)
  local route, parts = request.route, {}
  for i = 1, route.count do parts[i] = piece(route, i) end
  local all, got = table.concat(parts), request.content or ""
  model:expect(all:sub(1, #got) == got, "Bodies of any type that are written piece by piece", "%s: %d bytes are others", request, #got)
  if how ~= "end" then return end
  model:expect(not kind.may_be_cut(request), "An error cuts the body, so that the client can tell it from the end", "%s: a clean end", request)
  model:expect(#got == #all, "An error cuts the body, so that the client can tell it from the end", "%s: ends after %d of %d bytes", request, #got, #all)
end

return kind
