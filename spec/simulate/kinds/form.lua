-- SPDX-License-Identifier: MIT
-- A form with a file, which the server may have to put on the disk.
local says = require "spec.simulate.promises"

local kind = { weight = 2, method = "POST", uses_disk = true }

function kind.random(r) return { bytes = r:pick { 0, 10, 3000, 90000 } } end

function kind.code() return [[local fields, files, status = req:form()
  if not fields then return reply.error(status, files) end
  local f = files.f
  return ("form %s %d %s"):format(fields.a, f and f.size or 0, f and f:text():sub(-3) or "")]] end

function kind.headers() return { "Content-Type: multipart/form-data; boundary=B" } end

function kind.body(route, token)
  return ('--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n%s\r\n--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n%s\r\n--B--\r\n')
    :format(token, ("f"):rep(route.bytes))
end

kind.statuses = { [408] = "partial", [503] = "descriptors", [507] = "full disk", [500] = "disk" }

function kind.on_end(model, request, how)
  if how ~= "end" or request.status ~= 200 then return end
  local bytes = request.route.bytes
  local expected = ("form %s %d %s"):format(request.token, bytes, ("f"):rep(math.min(bytes, 3)))
  model:expect(request.content == expected, says.FORMS, "%s: %q", request, request.content)
end

return kind
