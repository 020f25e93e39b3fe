-- SPDX-License-Identifier: MIT
-- The example of uploads and downloads as it stands.
local helper = require "spec.helper"
local lfs = require "lfs"

describe("examples/upload.lua", function()
  local server
  before_each(function() server = helper.serve "examples/upload.lua" end)
  after_each(function() server:close() end)

  -- The files in /tmp whose names are UUIDs.
  local function uuids()
    local found = {}
    for name in lfs.dir "/tmp" do
      if name:match "^%x+%-%x+%-4%x+%-%x+%-%x+$" then found[name] = true end
    end
    return found
  end

  -- The file that fn leaves behind: its text.
  local function stored(fn)
    local before = uuids()
    fn()
    for name in pairs(uuids()) do
      if not before[name] then
        local f <close> = assert(io.open("/tmp/" .. name, "rb"))
        assert(os.remove("/tmp/" .. name))
        return f:read "a"
      end
    end
  end

  it("stores the file of a form", function()
    local body = '--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--B\r\n' ..
      'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nsome text\r\n--B--\r\n'
    local headers = { ["Content-Type"] = "multipart/form-data; boundary=B" }
    assert.equal("some text", stored(function()
      local res = server:post("/files", { body = body, headers = headers })
      assert.equal(201, res:status())
      assert.same({ name = "a.txt", size = 9, note = "hello" }, res:json())
    end))
    assert.equal("expected a file\n", (server:post("/files", { body = "--B--", headers = headers }):body()))
    assert.matches("expected a form", (server:post("/files", { body = "x" }):body()))
  end)

  it("stores a body", function()
    local text = ("x"):rep(300000)
    assert.equal(text, stored(function()
      local res = server:put("/blobs/big.bin", { body = text })
      assert.same({ name = "big.bin", size = 300000 }, res:json())
    end))
  end)

  it("sends rows", function()
    local res = server:get "/rows.csv"
    assert.equal("text/csv", res:header "Content-Type")
    local body, ended = res:body()
    assert.is_true(ended)
    assert.matches("^id,square\r\n1,1\r\n2,4\r\n.*\r\n1000,1000000\r\n$", body)
    res = server:get "/rows.ndjson"
    server:advance(0.01)
    assert.is_false(res:has_ended())
    server:advance(1)
    local sum = 0
    for line in (res:body()):gmatch "[^\n]+" do sum = sum + helper.json.decode(line).id end
    assert.equal(500500, sum)
  end)
end)
