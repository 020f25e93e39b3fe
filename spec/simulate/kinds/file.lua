-- SPDX-License-Identifier: MIT
-- A file, whole or a range of it.
local says = require "spec.simulate.promises"

local kind = { weight = 2, uses_disk = true }

kind.BYTES = 100000

local function numbered_lines()
  local lines = {}
  for i = 1, kind.BYTES // 10 do lines[i] = ("%09d\n"):format(i) end
  return table.concat(lines)
end

local content = numbered_lines()

function kind.content() return content end

-- Its tag and its date would be the disk's.
function kind.code() return [[return reply.file(FILE, { type = "text/plain" }):header("ETag", '"numbers"'):header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")]] end

-- Header lines of a request, by a number.
function kind.headers(number)
  local from, to = number % 100000, number // 100000 % 100000
  if number % 3 == 0 then return {} end
  if number % 3 == 1 then return { ("Range: bytes=%d-"):format(from) } end
  return { ("Range: bytes=%d-%d"):format(math.min(from, to), math.max(from, to)) }
end

kind.statuses = { [206] = "always", [503] = "descriptors", [500] = "disk" }

-- What cannot be read behind its head.
function kind.may_be_cut(request) return request.of_disk ~= nil end

function kind.on_end(model, request, how)
  if request.status == 503 then return end
  local got, from, to = request.content or "", 0, #content - 1
  if request.status == 206 then
    from, to = (request.fields["content-range"] or ""):match "^bytes (%d+)%-(%d+)/100000$"
    model:expect(from, says.RANGE, "%s: no Content-Range", request)
    from, to = math.tointeger(tonumber(from)), math.tointeger(tonumber(to))
    local asked_from, asked_to = (request.headers[1] or ""):match "bytes=(%d+)%-(%d*)$"
    model:expect(from == tonumber(asked_from) and to == (tonumber(asked_to) or #content - 1), says.RANGE, "%s: %d-%d", request, from, to)
  end
  model:expect(content:sub(from + 1, from + #got) == got, says.FILE, "%s: other bytes", request)
  if how == "end" then model:expect(#got == to - from + 1, says.FILE, "%s: %d bytes", request, #got) end
end

return kind
