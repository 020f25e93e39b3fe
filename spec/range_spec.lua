-- SPDX-License-Identifier: MIT
-- Parts of a file: which of its bytes a Range field asks for, and which asks for none that there are.
local folder = require "spec.static_folder"
local static, get, TEXT = folder.static, folder.get, folder.TEXT

before_each(folder.open)
after_each(folder.close)

describe("ranges", function()
  local server

  before_each(function() server = static '{ cache = 60 }' end)

  local function ask(range, headers)
    headers = headers or {}
    headers.Range = range
    return get(server, "/assets/a.txt", headers)
  end

  it("send the part that is asked for", function()
    for range, expected in pairs {
      ["bytes=0-0"] = { "0", "0-0" }, ["bytes=0-19"] = { TEXT, "0-19" }, ["bytes=5-9"] = { "56789", "5-9" },
      ["bytes=18-"] = { "ij", "18-19" }, ["bytes=18-1000"] = { "ij", "18-19" }, ["bytes=18-20"] = { "ij", "18-19" }, ["bytes=18-19"] = { "ij", "18-19" }, ["bytes=19-"] = { "j", "19-19" }, ["bytes=-1"] = { "j", "19-19" }, ["bytes=-3"] = { "hij", "17-19" },
      ["bytes=-1000"] = { TEXT, "0-19" }, ["bytes= 1-2 "] = { "12", "1-2" }, ["Bytes=1-2"] = { "12", "1-2" },
      ["bytes=,,1-2,"] = { "12", "1-2" }, ["bytes=1-2,50-60"] = { "12", "1-2" }, ["bytes=0-99999999999999999999999"] = { TEXT, "0-19" },
      ["bytes=0-18446744073709551615"] = { TEXT, "0-19" }, ["bytes=0-18446744073709551616"] = { TEXT, "0-19" }, ["bytes=0-18446744073709551621"] = { TEXT, "0-19" },
      ["bytes=-20"] = { TEXT, "0-19" }, ["bytes=-21"] = { TEXT, "0-19" }, ["bytes=-18446744073709551617"] = { TEXT, "0-19" }, ["bytes=0019-0099"] = { "j", "19-19" },
    } do
      local res = ask(range)
      assert.equal(206, res:status(), range)
      assert.equal(expected[1], res:body(), range)
      assert.equal("bytes " .. expected[2] .. "/20", res:header "Content-Range")
      assert.equal(tostring(#expected[1]), res:header "Content-Length")
      assert.equal("text/plain; charset=utf-8", res:header "Content-Type")
      assert.truthy(res:header "ETag" and res:header "Last-Modified")
    end
  end)

  it("answer 416 where none of it is there", function()
    for _, range in ipairs { "bytes=20-", "bytes=20-30", "bytes=-0", "bytes=100-,200-300", "bytes=99999999999999999999999-", "bytes=18446744073709551616-", "bytes=18446744073709551617-" } do
      local res = ask(range)
      assert.equal(416, res:status(), range)
      assert.equal("bytes */20", res:header "Content-Range")
      assert.equal("Range Not Satisfiable\n", res:body())
      assert.is_nil(res:header "Cache-Control")
    end
    assert.equal(416, get(server, "/assets/empty.txt", { Range = "bytes=0-" }):status())
    assert.equal("bytes */0", get(server, "/assets/empty.txt", { Range = "bytes=0-" }):header "Content-Range")
    assert.equal(200, get(server, "/assets/empty.txt", { Range = "bytes=-5" }):status())
  end)

  it("send the whole where the field says nothing, or too much", function()
    local many = {}
    for i = 1, 17 do many[i] = ("%d-%d"):format(i, i) end
    for _, range in ipairs {
      "", "bytes", "bytes=", "bytes=,", "lines=1-2", "bytes=a-b", "bytes=5-4", "bytes=1", "bytes=--1", "bytes=1-2-3", "bytes=+1-2",
      "bytes=0x1-2", "bytes=0-:", "bytes=/-", "bytes=-:", "bytes=0-0,5-9,9-10", "bytes=5-9,0-5", "bytes=0-4,6-9,4-4", "bytes=1 - 2", "bytes=-", "bytes=0-5,3-9", "bytes=0-,0-", "bytes=-5,-5", "bytes=1-2,x",
      "bytes=" .. table.concat(many, ","), "bytes=" .. ("50-60,"):rep(17),
    } do
      local res = ask(range)
      assert.equal(200, res:status(), range)
      assert.equal(TEXT, res:body(), range)
      assert.is_nil(res:header "Content-Range")
    end
  end)

  it("have a boundary that nobody knows before", function()
    local seen = {}
    for _ = 1, 20 do
      local boundary = ask("bytes=0-1,5-9"):header("Content-Type"):match "boundary=(%x+)$"
      assert.equal(16, #boundary)
      for _, half in ipairs { boundary:sub(1, 8), boundary:sub(9) } do
        assert.is_nil(seen[half], half)
        seen[half] = true
      end
    end
  end)

  it("send several as parts, in the order asked for", function()
    local res = ask "bytes=-2, 0-1 ,5-9"
    assert.equal(206, res:status())
    assert.is_nil(res:header "Content-Range")
    local boundary = res:header("Content-Type"):match "^multipart/byteranges; boundary=(%w+)$"
    local parts = { "--" .. boundary }
    for _, part in ipairs { { "18-19", "ij" }, { "0-1", "01" }, { "5-9", "56789" } } do
      parts[#parts + 1] = ("\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes %s/20\r\n\r\n%s\r\n--%s"):format(
        part[1], part[2], boundary)
    end
    local expected = table.concat(parts) .. "--\r\n"
    assert.equal(expected, res:body())
    assert.equal(tostring(#expected), res:header "Content-Length")
  end)

  it("send as many as sixteen, of which none has a byte of another's", function()
    local asked, starts = {}, { 5, 4, 6, 19, 0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14 }
    for i, start in ipairs(starts) do asked[i] = ("%d-%d"):format(start, start) end
    local res, got = ask("bytes=" .. table.concat(asked, ",")), {}
    for start, byte in res:body():gmatch "Content%-Range: bytes (%d+)%-%d+/20\r\n\r\n(.)\r\n" do
      got[#got + 1] = tonumber(start)
      assert.equal(TEXT:sub(start + 1, start + 1), byte)
    end
    assert.same(starts, got)
    assert.truthy(ask("bytes=5-9,0-4,10-"):body():find "56789.*01234.*abcdefghij")
  end)

  it("are for GET only", function()
    local res = server:head("/assets/a.txt", { headers = { Range = "bytes=0-1" } })
    assert.equal(200, res:status())
    assert.equal("20", res:header "Content-Length")
  end)

  it("come after the conditions", function()
    local etag = ask("bytes=0-0"):header "ETag"
    assert.equal(304, ask("bytes=0-1", { ["If-None-Match"] = etag }):status())
    assert.equal(412, ask("bytes=0-1", { ["If-Match"] = '"x"' }):status())
    assert.equal(304, ask("bytes=50-", { ["If-None-Match"] = etag }):status())
  end)
end)
