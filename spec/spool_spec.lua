-- SPDX-License-Identifier: MIT
-- What a form keeps on the disk, where that is not as it should be.
local helper = require "spec.helper"
local lfs = require "lfs"

local harness = helper.harness
local FOLDER = os.getenv "TMPDIR" or "/tmp"

describe("a file of a form that goes to the disk", function()
  local server

  before_each(function()
    server = helper.serve([[
      app:post("/x", function(req)
        local fields, files, status = req:form()
        if not fields then return reply.error(status, files) end
        sse.sleep(1)
        local text, why = files.f:text()
        return text or reply.error(500, why)
      end)
    ]], { settings = { limits = { spool = 1000 } } })
  end)

  after_each(function() server:close() end)

  local function post(text)
    local body = '--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' .. text .. "\r\n--B--\r\n"
    return server:post("/x", { headers = { ["Content-Type"] = "multipart/form-data; boundary=B" }, body = body })
  end

  -- Names in the folder for what is there for a while.
  local function left()
    local list = {}
    for name in lfs.dir(FOLDER) do
      if name:find "^spate%-%w%w%w%w%w%w$" then list[#list + 1] = name end
    end
    table.sort(list)
    return list
  end

  for _, error in ipairs { "EOPNOTSUPP", "EINVAL" } do
    it("has no name either where the file system knows none without: " .. error, function()
      local before, open = left(), harness.descriptors()
      local text = ("0123456789"):rep(5000)
      local res = harness.refused("openat of O_TMPFILE", error, function() return post(text) end)
      assert.same(before, left())
      assert.equal(open + 1, harness.descriptors())
      server:advance(1)
      assert.is_true(res:body() == text)
      assert.equal(open, harness.descriptors())
    end)
  end

  it("is refused where it cannot be made, and nothing is made instead", function()
    local open = harness.descriptors()
    for error, status in pairs { ENOSPC = 507, EACCES = 500, ENFILE = 503, EMFILE = 503, ENOMEM = 503 } do
      local res = harness.refused("openat of O_TMPFILE", error, function() return post(("x"):rep(5000)) end)
      assert.equal(status, res:status(), error)
      assert.equal(open, harness.descriptors())
    end
  end)

  it("is refused where it cannot be written, at its beginning and further on", function()
    local open = harness.descriptors()
    for error, status in pairs { ENOSPC = 507, EIO = 500 } do
      local res = harness.refused("write", error, function() return post(("x"):rep(5000)) end)
      assert.equal(status, res:status(), error)
      assert.equal(open, harness.descriptors())
      local head = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 999999\r\n\r\n"
      res = server:send(head .. '--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' .. ("x"):rep(100000))
      assert.equal(open + 1, harness.descriptors())
      harness.refused("write", error, function() server:send(("y"):rep(100000), res.client) end)
      assert.equal(status, res:status(), error)
      assert.equal(open, harness.descriptors())
    end
  end)

  it("says so where it cannot be read", function()
    local res = post(("x"):rep(5000))
    harness.refused("pread", "EIO", function() server:advance(1) end)
    assert.equal(500, res:status())
  end)
end)
