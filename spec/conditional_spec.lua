-- SPDX-License-Identifier: MIT
-- Conditions on a file: what a client has already, or goes on with, is what there is.
local folder = require "spec.static_folder"
local write, serve, static, get, NOW, DATE, TEXT = folder.write, folder.serve, folder.static, folder.get, folder.NOW, folder.DATE, folder.TEXT

before_each(folder.open)
after_each(folder.close)

describe("conditions", function()
  local server, etag

  before_each(function()
    server = static '{ cache = 60 }'
    etag = get(server, "/assets/a.txt"):header "ETag"
  end)

  local function status(headers, target) return get(server, target or "/assets/a.txt", headers):status() end

  it("answer 304 where the client has it", function()
    local res = get(server, "/assets/a.txt", { ["If-None-Match"] = etag })
    assert.equal(304, res:status())
    assert.equal(etag, res:header "ETag")
    assert.equal("max-age=60", res:header "Cache-Control")
    assert.equal("Accept-Encoding", res:header "Vary")
    assert.is_nil(res:header "Content-Type")
    assert.is_nil(res:header "Content-Length")
    assert.truthy(res:raw():match "\r\n\r\n$")
    assert.equal(304, server:head("/assets/a.txt", { headers = { ["If-None-Match"] = etag } }):status())
  end)

  it("compare tags weakly in If-None-Match, and lists of them", function()
    for value, expected in pairs {
      ["W/" .. etag] = 304, ["*"] = 304, ['"x", ' .. etag] = 304, ['W/"x" ,, W/' .. etag .. ' , "y"'] = 304, ['"a,b",' .. etag] = 304, ['"",' .. etag] = 304, ['W/"",W/' .. etag] = 304, ["\t,\t" .. etag] = 304, ["a" .. etag] = 200, ["W" .. etag] = 200, ['"x" y' .. etag] = 200,
      ['"x"'] = 200, [etag:gsub('"', "")] = 200, [""] = 200, ['"'] = 200, ["W/"] = 200, [etag:sub(1, -2)] = 200, ["w/" .. etag] = 200,
    } do
      assert.equal(expected, status { ["If-None-Match"] = value }, value)
    end
  end)

  it("take the tag before the date", function()
    assert.equal(200, status { ["If-None-Match"] = '"x"', ["If-Modified-Since"] = DATE })
    assert.equal(304, status { ["If-None-Match"] = etag, ["If-Modified-Since"] = "Sat, 05 Nov 1994 08:49:37 GMT" })
    assert.equal(200, status { ["If-Match"] = etag, ["If-Unmodified-Since"] = "Sat, 05 Nov 1994 08:49:37 GMT" })
  end)

  it("know the three forms of a date", function()
    for value, expected in pairs {
      [DATE] = 304, ["Sunday, 06-Nov-94 08:49:37 GMT"] = 304, ["Sun Nov  6 08:49:37 1994"] = 304,
      ["Mon, 07 Nov 1994 08:49:37 GMT"] = 304, ["Sun, 06 Nov 1994 08:49:36 GMT"] = 200,
      [DATE:gsub("06", (" "):rep(18) .. "06")] = 304, [DATE:gsub("06", (" "):rep(19) .. "06")] = 200, [DATE .. "!"] = 200, [DATE:sub(1, -2)] = 200,
      ["yesterday"] = 200, [""] = 200, ["Sun, 06 Nov 1994 08:49:37"] = 200, [("x"):rep(200)] = 200,
    } do
      assert.equal(expected, status { ["If-Modified-Since"] = value }, value)
    end
  end)

  it("answer 412 where it is not what the client expects", function()
    assert.equal(200, status { ["If-Match"] = etag })
    assert.equal(200, status { ["If-Match"] = "*" })
    assert.equal(200, status { ["If-Match"] = '"x", ' .. etag })
    assert.equal(412, status { ["If-Match"] = '"x"' })
    assert.equal(412, status { ["If-Match"] = "W/" .. etag })
    assert.equal(200, status { ["If-Unmodified-Since"] = DATE })
    assert.equal(412, status { ["If-Unmodified-Since"] = "Sat, 05 Nov 1994 08:49:37 GMT" })
    for _, none in ipairs { "soon", "", ("x"):rep(48), ("x"):rep(200), "Sat, 05 Nov 1994 08:49:37 GMT!" } do assert.equal(200, status { ["If-Unmodified-Since"] = none }, none) end
    local res = get(server, "/assets/a.txt", { ["If-Match"] = '"x"' })
    assert.equal("Precondition Failed\n", res:body())
    assert.is_nil(res:header "Cache-Control")
  end)

  it("have refusals say what the file is, and keep what the script has said but how to keep and to name it", function()
    local own = serve(([[app:get("/own", function()
      return reply.file("%s/public/a.txt", { cache = 60, download = "b.txt", headers = { ["X-A"] = "b", ["X-B"] = "c" } })
    end)]]):format(folder.path))
    local whole = get(own, "/own")
    assert.same({ 'attachment; filename="b.txt"', "max-age=60", "b", "c" },
      { whole:header "Content-Disposition", whole:header "Cache-Control", whole:header "X-A", whole:header "X-B" })
    local etag_of = whole:header "ETag"
    for code, headers in pairs { [412] = { ["If-Match"] = '"x"' }, [416] = { Range = "bytes=20-" } } do
      local res = get(own, "/own", headers)
      assert.equal(code, res:status())
      assert.same({ etag_of, DATE, "b", "c", "text/plain; charset=utf-8", "Accept-Encoding" },
        { res:header "ETag", res:header "Last-Modified", res:header "X-A", res:header "X-B", res:header "Content-Type", res:header "Vary" })
      assert.is_nil(res:header "Content-Disposition")
      assert.is_nil(res:header "Cache-Control")
      assert.equal(tostring(#res:body()), res:header "Content-Length")
      assert.is_nil(res:header "Content-Encoding")
    end
  end)

  it("reach back to the first second there is", function()
    local first = "Thu, 01 Jan 1970 00:00:00 GMT"
    assert.equal(412, status { ["If-Unmodified-Since"] = first })
    assert.equal(200, status { ["If-Modified-Since"] = first })
    write("public/a.txt", TEXT, 0)
    assert.equal(first, get(server, "/assets/a.txt"):header "Last-Modified")
    assert.equal(304, status { ["If-Modified-Since"] = first })
    assert.equal(200, status { ["If-Unmodified-Since"] = first })
  end)

  it("see each change of the file", function()
    local path = write("public/a.txt", TEXT)
    assert.equal(304, status { ["If-None-Match"] = etag })
    assert(os.execute(("touch -d '1994-11-06 08:49:37.000000001 UTC' %s"):format(path)))
    assert.equal(200, status { ["If-None-Match"] = etag })
    write("public/a.txt", TEXT .. "!")
    assert.equal(200, status { ["If-None-Match"] = etag })
  end)

  it("do without a date that is in the future", function()
    write("public/a.txt", TEXT, NOW + 1000)
    local res = get(server, "/assets/a.txt", { ["If-Modified-Since"] = os.date("!%a, %d %b %Y %H:%M:%S GMT", NOW + 2000) })
    assert.equal(200, res:status())
    assert.is_nil(res:header "Last-Modified")
    write("public/a.txt", TEXT, NOW + 1)
    assert.is_nil(get(server, "/assets/a.txt"):header "Last-Modified")
    write("public/a.txt", TEXT, NOW)
    assert.equal(os.date("!%a, %d %b %Y %H:%M:%S GMT", NOW), get(server, "/assets/a.txt"):header "Last-Modified")
    write("public/a.txt", TEXT, 0)
    assert.equal("Thu, 01 Jan 1970 00:00:00 GMT", get(server, "/assets/a.txt"):header "Last-Modified")
    write("public/a.txt", TEXT, -1)
    assert.is_nil(get(server, "/assets/a.txt"):header "Last-Modified")
  end)

  it("do not concern a reply with another status, or another method", function()
    local other = serve(([[
      app:get("/gone", function() return reply.file("%s/public/a.txt", { status = 410 }) end)
      app:post("/post", function() return reply.file("%s/public/a.txt") end)
      app:get("/whole", function() return reply.file("%s/public/a.txt") end)
      app:get("/nothing/:status", function(req) return reply.file("%s/public/a.txt", { status = tonumber(req.params.status) }) end)
    ]]):format(folder.path, folder.path, folder.path, folder.path))
    for _, code in ipairs { 204, 205, 304 } do
      local res = get(other, "/nothing/" .. code)
      assert.same({ code, "" }, { res:status(), (res:body()) })
      assert.equal(200, other:get("/whole", { client = res.client }):status())
    end
    assert.equal(410, get(other, "/gone", { ["If-None-Match"] = "*", Range = "bytes=0-0" }):status())
    assert.equal(TEXT, get(other, "/gone"):body())
    assert.equal(200, other:post("/post", { headers = { ["If-None-Match"] = "*", Range = "bytes=0-0" } }):status())
  end)

  it("ask again by If-Range whether it is the same file", function()
    local function ask(value) return status { Range = "bytes=0-1", ["If-Range"] = value } end
    assert.equal(206, ask(nil))
    for value, expected in pairs {
      [etag] = 206, ["W/" .. etag] = 200, ['"x"'] = 200, [DATE] = 206, ["Sun, 06 Nov 1994 08:49:38 GMT"] = 200, ["x"] = 200,
      ["Sunday, 06-Nov-94 08:49:37 GMT"] = 206, ["Wed, 06 Nov 1994 08:49:37 GMT"] = 206, ["Wed, 09 Nov 1994 08:49:37 GMT"] = 200, [""] = 200, ["W"] = 200, ["W/"] = 200,
    } do
      assert.equal(expected, ask(value), value)
    end
    write("public/a.txt", TEXT, 0)
    assert.equal(206, ask("Thu, 01 Jan 1970 00:00:00 GMT"))
    assert.equal(200, ask("soon"))
    write("public/a.txt", TEXT, -1)
    assert.equal(200, ask("soon"))
    write("public/a.txt", TEXT, NOW) -- it may change in this second once more
    assert.equal(200, ask(os.date("!%a, %d %b %Y %H:%M:%S GMT", NOW)))
  end)
end)
