-- SPDX-License-Identifier: MIT
-- Uploads where the disk is full: the server's fault, and said so. Needs the right to mount a file system.
local process = require "spec.process"

local APP = [[
app:post("/", function(req)
  local fields, files, status = req:form()
  if not fields then return reply.error(status, files) end
  return tostring(files.f.size)
end)
app:get("/", function() return "here" end)
]]

local function body(size) return '--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' .. ("x"):rep(size) .. "\r\n--B--\r\n" end

local function post(server, size)
  local bytes = body(size)
  local client = server:connect(("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=B\r\nConnection: close\r\nContent-Length: %d\r\n\r\n")
    :format(#bytes) .. bytes)
  local text, _, rest = client:receive "*a"
  client:close()
  return tonumber((text or rest):match "^HTTP/1%.1 (%d+)"), (text or rest):match "\r\n\r\n(.*)$"
end

describe("a full disk", function()
  local dir, is_mounted

  setup(function()
    process.enter()
    dir = os.tmpname()
    os.remove(dir)
    process.shell("mkdir %s", dir)
    is_mounted = os.execute(("mount -t tmpfs -o size=256k tmpfs %s 2>/dev/null"):format(dir))
  end)

  teardown(function()
    process.leave()
    if is_mounted then os.execute("umount " .. dir) end
    os.execute("rmdir " .. dir)
  end)

  it("is answered with 507, and no more than that: smaller uploads pass", function()
    if not is_mounted then return pending "no right to mount a file system" end
    local server = process.serve(APP, { environment = "TMPDIR=" .. dir })
    local status, text = post(server, 1 << 20)
    assert.same({ 507, "cannot store the upload: No space left on device\n" }, { status, text })
    process.eventually("the log's line", function() return server:stderr():find("req:form: cannot store the upload: No space", 1, true) end)
    assert.same({ 200, tostring(100 << 10) }, { post(server, 100 << 10) })
    assert.same({ 200, "here" }, { server:get "/" })
    server:stop()
  end)

  it("is a 500 where there is no disk at all", function()
    local server = process.serve(APP, { environment = "TMPDIR=" .. dir .. "/none" })
    assert.same({ 500, "cannot store the upload: No such file or directory\n" }, { post(server, 1 << 20) })
    server:stop()
  end)
end)
