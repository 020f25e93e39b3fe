-- SPDX-License-Identifier: MIT
-- reply.file and app:static: what a client gets of a file, and of which files.
local helper = require "spec.helper"
local lfs = require "lfs"
local harness = helper.harness

local NOW = 1700000000     -- the wall clock's
local MODIFIED = 784111777 -- Sun, 06 Nov 1994 08:49:37 GMT
local DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
local TEXT = "0123456789abcdefghij"

local directory
local servers = {}

local function write(name, text, modified)
  local path = directory .. "/" .. name
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  lfs.touch(path, modified or MODIFIED, modified or MODIFIED)
  return path
end

local function serve(source, options)
  options = options or {}
  options.epoch = options.epoch or NOW
  local path = write("app.lua", [[
    local spate, sse = require "spate", require "spate.sse"
    local app, reply = spate.app(), spate.reply
    ]] .. source .. "\nreturn app\n")
  local server = helper.serve(path, options)
  servers[#servers + 1] = server
  return server
end

local function static(options) return serve(('app:static("/assets", "public", %s)'):format(options or "nil")) end

-- Descriptors of this process.
local function descriptors()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end

local opened -- how many there were before a spec

local function get(server, target, headers) return server:get(target, { headers = headers }) end

before_each(function()
  directory = os.tmpname()
  os.remove(directory)
  lfs.mkdir(directory)
  lfs.mkdir(directory .. "/public")
  lfs.mkdir(directory .. "/public/sub")
  lfs.mkdir(directory .. "/public/empty")
  lfs.mkdir(directory .. "/public/.git")
  write("secret.txt", "secret")
  write("public/a.txt", TEXT)
  write("public/empty.txt", "")
  write("public/index.html", "<h1>root</h1>")
  write("public/sub/index.html", "<h1>sub</h1>")
  write("public/.hidden", "hidden")
  write("public/.git/config", "config")
  collectgarbage()
  opened = descriptors()
end)

after_each(function()
  os.execute("rm -rf " .. directory)
  while servers[1] do table.remove(servers):close() end
  collectgarbage()
  assert.equal(opened, descriptors())
end)

describe("reply.file", function()
  it("of a file that has fewer bytes than it says is a 500, and lets the file go", function()
    local path = "/sys/kernel/uevent_seqnum" -- of 4096 bytes, as it says
    if lfs.attributes(path, "size") ~= 4096 then return pending "no such file here" end
    local server = serve(('app:get("/", function() return reply.file %q end)'):format(path))
    local res = get(server, "/")
    assert.equal(500, res:status())
    assert.equal("0", res:header "Content-Length")
    assert.equal(200, server:head("/"):status())
  end)
end)

describe("app:static", function()
  it("says of a file that cannot be opened why", function()
    local server = static()
    local function status(error) return harness.refused("openat2", error, function() return get(server, "/assets/a.txt"):status() end) end
    for _, error in ipairs { "EACCES", "EPERM" } do assert.equal(403, status(error), error) end
    for _, error in ipairs { "EMFILE", "ENFILE", "ENOMEM", "EIO", "EAGAIN" } do assert.equal(503, status(error), error) end
    assert.equal(404, status "ENOENT")
    assert.equal(200, get(server, "/assets/a.txt"):status())
  end)

  it("serves a file with its type, length and validators", function()
    local res = get(static(), "/assets/a.txt")
    assert.equal(200, res:status())
    assert.equal(TEXT, res:body())
    assert.equal("text/plain; charset=utf-8", res:header "Content-Type")
    assert.equal("20", res:header "Content-Length")
    assert.equal(DATE, res:header "Last-Modified")
    assert.equal("bytes", res:header "Accept-Ranges")
    assert.equal("nosniff", res:header "X-Content-Type-Options")
    assert.truthy(res:header("ETag"):match '^"[%x-]+"$')
    assert.is_nil(res:header "Cache-Control")
  end)

  it("says to HEAD what it says to GET", function()
    local server = static()
    local res = server:head("/assets/a.txt")
    assert.equal(200, res:status())
    assert.equal("20", res:header "Content-Length")
    assert.truthy(res:raw():match "\r\n\r\n$")
    assert.equal(get(server, "/assets/a.txt"):head():gsub("\r\nDate: [^\r]*", ""), res:head():gsub("\r\nDate: [^\r]*", ""))
  end)

  it("serves an empty file", function()
    local res = get(static(), "/assets/empty.txt")
    assert.equal(200, res:status())
    assert.equal("0", res:header "Content-Length")
    assert.is_true(res:has_ended())
  end)

  it("knows other methods as not allowed", function()
    local server = static()
    for _, method in ipairs { "post", "put", "patch", "delete" } do
      local res = server[method](server, "/assets/a.txt")
      assert.equal(405, res:status())
      assert.equal("GET, HEAD, OPTIONS", res:header "Allow")
    end
    assert.equal(204, server:options("/assets/a.txt"):status())
  end)

  it("serves a folder's index at its address with a slash, and sends others there", function()
    local server = static()
    assert.equal("<h1>root</h1>", get(server, "/assets/"):body())
    assert.equal("text/html; charset=utf-8", get(server, "/assets/"):header "Content-Type")
    assert.equal("<h1>sub</h1>", get(server, "/assets/sub/"):body())
    for from, to in pairs {
      ["/assets"] = "/assets/", ["/assets?a=1"] = "/assets/?a=1",
      ["/assets/sub"] = "/assets/sub/", ["/assets/sub?a=1&b=?"] = "/assets/sub/?a=1&b=?", ["/assets/s%75b"] = "/assets/s%75b/",
    } do
      local res = get(server, from)
      assert.equal(301, res:status())
      assert.equal(to, res:header "Location")
    end
  end)

  it("lists no folder and knows nothing of what is not there", function()
    local server = static()
    for _, target in ipairs { "/assets/empty", "/assets/empty/", "/assets/none", "/assets/a.txt/", "/assets/none/", "/assets/a.txt./" } do
      assert.equal(404, get(server, target):status(), target)
    end
  end)

  it("serves nothing outside its folder, however it is named", function()
    local server = static()
    for _, target in ipairs {
      "/assets/../secret.txt", "/assets/%2e%2e/secret.txt", "/assets/..%2fsecret.txt", "/assets/..%5csecret.txt",
      "/assets/%252e%252e/secret.txt", "/assets//secret.txt", "/assets//a.txt", "/assets/sub//index.html", "/assets/./a.txt",
      "/assets/a.txt.", "/assets/a.txt%00", "/assets/a.txt%0a", "/assets/%zz", "/assets/%2", "/assets/%c0%ae%c0%ae/secret.txt",
      "/assets/sub\\index.html", "/assets/sub%5cindex.html", "/assets/%2fetc/passwd", "/assets//etc/passwd", "/../secret.txt",
      "/assets/sub/../../../secret.txt", "/assets/" .. ("x"):rep(300), "/assets/" .. ("x/"):rep(2000) .. "y",
    } do
      local res = get(server, target)
      assert.truthy(res:status() == 404 or res:status() == 400, target .. " " .. res:status())
      assert.is_nil((res:raw():find("secret\n", 1, true)))
    end
  end)

  it("follows a symbolic link that stays beneath the folder, and no other", function()
    lfs.link("a.txt", directory .. "/public/inside", true)
    lfs.link("../a.txt", directory .. "/public/sub/up", true)
    lfs.link("../secret.txt", directory .. "/public/outside", true)
    lfs.link("/etc", directory .. "/public/etc", true)
    lfs.link(directory .. "/public/a.txt", directory .. "/public/absolute", true)
    lfs.link("loop", directory .. "/public/loop", true)
    local server = static()
    assert.equal(TEXT, get(server, "/assets/inside"):body())
    assert.equal(TEXT, get(server, "/assets/sub/up"):body())
    for _, name in ipairs { "outside", "etc/passwd", "etc", "absolute", "loop" } do
      assert.equal(404, get(server, "/assets/" .. name):status(), name)
    end
  end)

  it("does not wait for a FIFO, and serves no device", function()
    assert(os.execute(("mkfifo %s/public/fifo"):format(directory)))
    local server = serve [[
      app:static("/assets", "public")
      app:static("/dev", "/dev")
      app:get("/null", function() return reply.file "/dev/null" end)
    ]]
    for _, target in ipairs { "/assets/fifo", "/dev/null", "/null" } do
      assert.equal(404, get(server, target):status(), target)
    end
  end)

  it("keeps names that begin with a dot to itself unless told", function()
    local server = static()
    for _, name in ipairs { ".hidden", ".git/config", ".git", ".git/", "sub/.x" } do
      assert.equal(404, get(server, "/assets/" .. name):status(), name)
    end
    assert.equal("hidden", get(static "{ dotfiles = true }", "/assets/.hidden"):body())
  end)

  it("stands at the root as well, behind every other route", function()
    local server = serve [[
      app:get("/api", function() return "api" end)
      app:static("/", "public")
      app:not_found(function() return reply.text("mine", 404) end)
    ]]
    assert.equal("<h1>root</h1>", get(server, "/"):body())
    assert.equal(TEXT, get(server, "/a.txt"):body())
    assert.equal("api", get(server, "/api"):body())
    assert.equal("/sub/", get(server, "/sub"):header "Location")
    assert.equal("mine", get(server, "/none"):body())
    assert.equal(404, get(server, "//example.org/sub"):status())
  end)

  it("leaves alone the address that has a handler", function()
    local server = serve [[
      app:get("/", function() return "own" end)
      app:static("/", "public")
    ]]
    assert.equal("own", get(server, "/"):body())
    assert.equal(TEXT, get(server, "/a.txt"):body())
  end)

  it("goes into groups and mounted apps, through their middleware", function()
    local server = serve [[
      local function auth(req, next) return req.query.key and next() or reply.error(401) end
      app:group("/g", auth, function(g) g:static("/", "public") end)
      local other = spate.app()
      other:static("/", "public")
      other:not_found(function() return reply.text("theirs", 404) end)
      app:mount("/m", other)
    ]]
    assert.equal(401, get(server, "/g/a.txt"):status())
    assert.equal(TEXT, get(server, "/g/a.txt?key=1"):body())
    assert.equal("/g/?key=1", get(server, "/g?key=1"):header "Location")
    assert.equal("<h1>root</h1>", get(server, "/g/?key=1"):body())
    assert.equal(TEXT, get(server, "/m/a.txt"):body())
    assert.equal("<h1>root</h1>", get(server, "/m/"):body())
    assert.equal("/m/", get(server, "/m"):header "Location")
    assert.equal("theirs", get(server, "/m/none"):body())
  end)

  it("says at load which folder there is not", function()
    local err = helper.load_error [[app:static("/x", "no-such-folder")]]
    assert.truthy(err:find("app:static: ", 1, true) and err:find("no-such-folder: No such file or directory", 1, true), err)
    assert.truthy(helper.load_error([[app:static("/x", "/etc/passwd")]]):find("Not a directory", 1, true))
  end)

  it("says what is wrong with an argument, at the caller's line", function()
    for source, problem in pairs {
      ['app:static(1, "/tmp")'] = "app:static: expected a path, got number",
      ['app:static("/x")'] = "app:static: expected the path of a folder, got nil",
      ['app:static("/x", "/tmp", 1)'] = "app:static: expected a table of options, got number",
      ['app:static("/x", "/tmp", { maxage = 1 })'] = "app:static: unknown option 'maxage'",
      ['app:static("/x", "/tmp", { dotfiles = 1 })'] = "app:static: dotfiles: expected true or false, got number",
      ['app:static("/x", "/tmp", { cache = "1h" })'] = 'app:static: cache: expected seconds, "immutable" or false, got "1h"',
      ['app:static("/x", "/tmp", { cache = -1 })'] = 'app:static: cache: expected seconds, "immutable" or false, got -1',
      ['app:static("/x", "/tmp", { status = 99 })'] = "app:static: status: expected an integer from 200 to 599, got 99",
      ['app:static("/x", "/tmp", { download = "a/b" })'] = "app:static: download: expected true or a file's name, got a/b",
      ['app:static("/x", "/tmp", { headers = 1 })'] = "app:static: headers: expected a table, got number",
      ['app:static("/x", "/tmp", { headers = { ["a b"] = 1 } })'] = "the name may hold letters, digits and '-' only",
      ['app.static("/x", "/tmp")'] = "write it with a colon",
    } do
      local err = helper.load_error(source .. " -- :")
      assert.truthy(err:find(problem, 1, true), err)
      assert.truthy(err:match ":3:", err)
    end
  end)

  it("sets what it is told to", function()
    local server = static '{ cache = 3600.5, headers = { ["X-A"] = "b" }, type = "text/x-mine" }'
    local res = get(server, "/assets/a.txt")
    assert.equal("max-age=3600", res:header "Cache-Control")
    assert.equal("b", res:header "X-A")
    assert.equal("text/x-mine", res:header "Content-Type")
    assert.equal("public, max-age=31536000, immutable", get(static '{ cache = "immutable" }', "/assets/a.txt"):header "Cache-Control")
    assert.equal("no-store", get(static "{ cache = false }", "/assets/a.txt"):header "Cache-Control")
    assert.equal('attachment; filename="a.txt"', get(static "{ download = true }", "/assets/a.txt"):header "Content-Disposition")
  end)

  it("tells the type by the name", function()
    local server = static()
    for name, type in pairs {
      ["x.html"] = "text/html; charset=utf-8", ["x.js"] = "text/javascript; charset=utf-8", ["x.mjs"] = "text/javascript; charset=utf-8",
      ["x.json"] = "application/json; charset=utf-8", ["X.SVG"] = "image/svg+xml; charset=utf-8", ["x.css"] = "text/css; charset=utf-8",
      ["x.png"] = "image/png", ["x.wasm"] = "application/wasm", ["x.woff2"] = "font/woff2", ["x.tar.gz"] = "application/gzip",
      ["x.7z"] = "application/x-7z-compressed", ["x.zst"] = "application/zstd", ["x.md"] = "text/markdown; charset=utf-8",
      ["x.nothing"] = "application/octet-stream", ["x"] = "application/octet-stream", ["x."] = "application/octet-stream",
      ["html"] = "application/octet-stream", ["x.averyverylongextension"] = "application/octet-stream",
      ["x.h"] = "text/x-c; charset=utf-8", ["x.ht"] = "application/octet-stream", ["x.htm"] = "text/html; charset=utf-8", ["x.htmlx"] = "application/octet-stream",
      ["a.html.gz2"] = "application/octet-stream", ["x.WebManifest"] = "application/manifest+json; charset=utf-8",
    } do
      write("public/" .. name, "x")
      assert.equal(type, get(server, "/assets/" .. name):header "Content-Type", name)
    end
  end)
end)

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
    ]]):format(directory, directory, directory, directory))
    for _, code in ipairs { 204, 205, 304 } do
      local res = get(other, "/nothing/" .. code)
      assert.same({ code, "" }, { res:status(), (res:body()) })
      assert.equal(200, other:get("/whole", { client = res.client }):status())
    end
    assert.equal(410, get(other, "/gone", { ["If-None-Match"] = "*", Range = "bytes=0-0" }):status())
    assert.equal(TEXT, get(other, "/gone"):body())
    assert.equal(200, other:post("/post", { headers = { ["If-None-Match"] = "*", Range = "bytes=0-0" } }):status())
  end)
end)

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

  it("ask again by If-Range whether it is the same file", function()
    local etag = ask("bytes=0-0"):header "ETag"
    for value, expected in pairs {
      [etag] = 206, ["W/" .. etag] = 200, ['"x"'] = 200, [DATE] = 206, ["Sun, 06 Nov 1994 08:49:38 GMT"] = 200, ["x"] = 200,
      ["Sunday, 06-Nov-94 08:49:37 GMT"] = 206, ["Wed, 06 Nov 1994 08:49:37 GMT"] = 206, ["Wed, 09 Nov 1994 08:49:37 GMT"] = 200, [""] = 200, ["W"] = 200, ["W/"] = 200,
    } do
      assert.equal(expected, ask("bytes=0-1", { ["If-Range"] = value }):status(), value)
    end
    write("public/a.txt", TEXT, 0)
    assert.equal(206, ask("bytes=0-1", { ["If-Range"] = "Thu, 01 Jan 1970 00:00:00 GMT" }):status())
    assert.equal(200, ask("bytes=0-1", { ["If-Range"] = "soon" }):status())
    write("public/a.txt", TEXT, -1)
    assert.equal(200, ask("bytes=0-1", { ["If-Range"] = "soon" }):status())
    write("public/a.txt", TEXT, NOW) -- it may change in this second once more
    assert.equal(200, ask("bytes=0-1", { ["If-Range"] = os.date("!%a, %d %b %Y %H:%M:%S GMT", NOW) }):status())
  end)

  it("come after the conditions", function()
    local etag = ask("bytes=0-0"):header "ETag"
    assert.equal(304, ask("bytes=0-1", { ["If-None-Match"] = etag }):status())
    assert.equal(412, ask("bytes=0-1", { ["If-Match"] = '"x"' }):status())
    assert.equal(304, ask("bytes=50-", { ["If-None-Match"] = etag }):status())
  end)
end)

describe("neighbours", function()
  local server

  before_each(function()
    write("public/app.js", "plain")
    write("public/app.js.br", "brotli")
    write("public/app.js.gz", "zipped")
    write("public/photo.png", "plain")
    write("public/photo.png.gz", "zipped")
    server = static()
  end)

  local function body(accepted, target) return (get(server, target or "/assets/app.js", { ["Accept-Encoding"] = accepted }):body()) end

  it("go out in the coding that the client prefers", function()
    for accepted, expected in pairs {
      ["gzip, deflate, br"] = "brotli", ["gzip"] = "zipped", ["x-gzip"] = "zipped", ["br;q=0.5, gzip;q=0.8"] = "zipped",
      ["GZIP"] = "zipped", ["*"] = "brotli", ["*;q=0.5, br;q=0"] = "zipped", ["gzip;q=0"] = "plain", ["deflate"] = "plain", [""] = "plain",
      ["identity"] = "plain", ["gzip;q=0.5, identity"] = "plain", ["br ; q=0.001"] = "brotli", ["br;q=x"] = "plain", ["br;q=0.000"] = "plain",
      ["gzip;q=1.000, br;q=1"] = "brotli",
    } do
      assert.equal(expected, body(accepted), accepted)
    end
    assert.equal("plain", get(server, "/assets/app.js"):body())
  end)

  it("say what they are, with a tag of their own", function()
    local plain, packed = get(server, "/assets/app.js"), get(server, "/assets/app.js", { ["Accept-Encoding"] = "gzip" })
    assert.equal("gzip", packed:header "Content-Encoding")
    assert.equal("text/javascript; charset=utf-8", packed:header "Content-Type")
    assert.equal("6", packed:header "Content-Length")
    assert.equal("Accept-Encoding", packed:header "Vary")
    assert.equal("Accept-Encoding", plain:header "Vary")
    assert.is_nil(plain:header "Content-Encoding")
    assert.is_not.equal(plain:header "ETag", packed:header "ETag")
    local headers = { ["Accept-Encoding"] = "gzip", ["If-None-Match"] = packed:header "ETag" }
    assert.equal(304, get(server, "/assets/app.js", headers):status())
    headers["Accept-Encoding"] = "br"
    assert.equal(200, get(server, "/assets/app.js", headers):status())
  end)

  it("do not go out for a range, nor for what is packed already", function()
    local res = get(server, "/assets/app.js", { ["Accept-Encoding"] = "gzip", Range = "bytes=0-1" })
    assert.equal("pl", res:body())
    assert.is_nil(res:header "Content-Encoding")
    local photo = get(server, "/assets/photo.png", { ["Accept-Encoding"] = "gzip" })
    assert.equal("plain", photo:body())
    assert.is_nil(photo:header "Vary")
  end)

  it("are left aside once the file is newer", function()
    write("public/app.js", "edited", MODIFIED + 1)
    assert.equal("edited", body "br, gzip")
  end)

  it("stay beneath the folder too", function()
    write("public/x.css", "plain")
    lfs.link("../secret.txt", directory .. "/public/x.css.br", true)
    assert.equal("plain", body("br", "/assets/x.css"))
  end)
end)

describe("reply.file", function()
  it("serves any path, a relative one from the script's folder", function()
    local server = serve [[
      app:get("/relative", function() return reply.file "secret.txt" end)
      app:get("/below", function() return reply.file "public/a.txt" end)
      app:get("/absolute", function() return reply.file "/etc/hostname" end)
      app:get("/up", function() return reply.file "public/../secret.txt" end)
      app:get("/dotfile", function() return reply.file "public/.hidden" end)
    ]]
    local f <close> = assert(io.open "/etc/hostname")
    assert.equal("secret", get(server, "/relative"):body())
    assert.is_nil(get(server, "/relative"):header "X-Content-Type-Options")
    assert.equal(TEXT, get(server, "/below"):body())
    assert.equal(f:read "a", get(server, "/absolute"):body())
    assert.equal("secret", get(server, "/up"):body())
    assert.equal("hidden", get(server, "/dotfile"):body())
    assert.equal("56", get(server, "/below", { Range = "bytes=5-6" }):body())
  end)

  it("is a 404 where there is no file", function()
    local server = serve [[
      app:get("/none", function() return reply.file "none" end)
      app:get("/folder", function() return reply.file "public" end)
      app:get("/empty", function() return reply.file "" end)
      app:get("/nul", function() return reply.file "secret.txt\0" end)
    ]]
    for _, target in ipairs { "/none", "/folder", "/empty", "/nul" } do
      local res = get(server, target)
      assert.equal(404, res:status(), target)
      assert.equal("Not Found\n", res:body())
    end
    assert.equal("", server:log():gsub("[^\n]*info[^\n]*\n", ""))
  end)

  it("chains, and takes options", function()
    local server = serve [[
      app:get("/chain", function()
        return reply.file("secret.txt"):status(203):header("X-A", "b"):cookie("sid", "1"):header("Content-Type", "text/x-own")
      end)
      app:get("/options", function()
        return reply.file("secret.txt", { type = "text/x-own", cache = 5, status = 404, headers = { ["X-A"] = "b", ["content-type"] = "text/last" } })
      end)
      app:get("/own", function()
        return reply.file("secret.txt"):header("ETag", 'W/"mine"'):header("Last-Modified", "never"):header("Vary", "Cookie")
      end)
    ]]
    local res = get(server, "/chain")
    assert.equal(203, res:status())
    assert.equal("b", res:header "X-A")
    assert.equal("sid=1; Path=/", res:header "Set-Cookie")
    assert.equal("text/x-own", res:header "Content-Type")
    assert.equal("secret", res:body())
    res = get(server, "/options")
    assert.equal(404, res:status())
    assert.equal("max-age=5", res:header "Cache-Control")
    assert.equal("text/last", res:header "Content-Type")
    res = get(server, "/own")
    assert.equal('W/"mine"', res:header "ETag")
    assert.equal("never", res:header "Last-Modified")
    assert.equal("Cookie, Accept-Encoding", res:header "Vary")
    assert.equal(304, get(server, "/own", { ["If-None-Match"] = '"mine"' }):status())
  end)

  it("offers a download under a name (RFC 6266)", function()
    local server = serve [[
      app:get("/path", function() return reply.file("public/a.txt", { download = true }) end)
      app:get("/named", function(req) return reply.file("secret.txt", { download = req.query.name }) end)
      app:get("/not", function(req) return reply.file("secret.txt", { download = false }) end)
    ]]
    local function disposition(target) return get(server, target):header "Content-Disposition" end
    assert.equal('attachment; filename="a.txt"', disposition "/path")
    assert.equal('attachment; filename="my report.pdf"', disposition "/named?name=my+report.pdf")
    assert.equal('attachment; filename="na_ve.txt"; filename*=UTF-8\'\'na%C3%AFve.txt', disposition "/named?name=na%C3%AFve.txt")
    assert.equal('attachment; filename="a_b.txt"; filename*=UTF-8\'\'a%22b.txt', disposition '/named?name=a%22b.txt')
    assert.equal('attachment; filename="a_.txt"', disposition "/named?name=a%FF.txt")
    assert.is_nil(disposition "/not")
    assert.equal(500, get(server, "/named?name=a%0D%0Ab"):status())
    assert.equal(500, get(server, "/named?name=..%2Fa"):status())
  end)

  it("raises at the caller's line on a wrong argument", function()
    local server = serve [[
      app:get("/1", function() return reply.file() end)
      app:get("/2", function() return reply.file("a", { download = 1 }) end)
    ]]
    for target, problem in pairs { ["/1"] = "reply.file: expected a string, got nil", ["/2"] = "reply.file: download: expected true or a file's name, got 1" } do
      assert.equal(500, get(server, target):status())
      local log = server:log()
      assert.truthy(log:find(problem, 1, true), log)
    end
  end)

  it("may be made once and sent many times", function()
    local server = serve [[
      local page = reply.file "public/a.txt"
      app:get("/", function() return page end)
    ]]
    assert.equal(TEXT, get(server, "/"):body())
    write("public/a.txt", "other")
    assert.equal("other", get(server, "/"):body())
    os.remove(directory .. "/public/a.txt")
    assert.equal(404, get(server, "/"):status())
  end)

  it("keeps no file open that is not sent", function()
    local server = serve [[
      app:get("/raises", function() local r = reply.file "secret.txt"; error "x" end)
      app:get("/other", function() local r = reply.file "secret.txt"; return "other" end)
      app:get("/same", function() return reply.file "secret.txt" end)
      app:get("/waits", function() local r = reply.file "secret.txt"; sse.sleep(100); return r end)
    ]]
    get(server, "/same")
    local client = server:connect()
    local before = descriptors()
    for _, target in ipairs { "/raises", "/other", "/same" } do
      for _ = 1, 20 do server:get(target, { client = client }) end
    end
    server:head("/same", { client = client })
    server:get("/same", { client = client, headers = { ["If-None-Match"] = "*" } })
    assert.equal(before, descriptors())
    server:get("/waits", { client = client })
    assert.equal(before + 1, descriptors())
    client:reset()
    server:turn()
    assert.equal(before, descriptors())
  end)
end)

describe("a large file", function()
  local SIZE = 3 * 1024 * 1024
  local path, bytes, server

  before_each(function()
    local parts = {}
    for i = 1, SIZE // 8 do parts[i] = ("%08x"):format(i) end
    bytes = table.concat(parts)
    path = write("public/large.bin", bytes)
    server = static()
  end)

  it("arrives whole, and in parts", function()
    assert.is_true(get(server, "/assets/large.bin"):body() == bytes)
    assert.is_true(get(server, "/assets/large.bin", { Range = "bytes=1000000-2999999" }):body() == bytes:sub(1000001, 3000000))
    local res = get(server, "/assets/large.bin", { Range = "bytes=0-999999,2000000-2999999" })
    local body, ended = res:body()
    assert.is_true(ended)
    local boundary = res:header("Content-Type"):match "boundary=(%w+)"
    local first, second = body:match("^%-%-" .. boundary .. "\r\n.-\r\n\r\n(.*)\r\n%-%-" .. boundary .. "\r\n.-\r\n\r\n(.*)\r\n%-%-" .. boundary .. "%-%-\r\n$")
    assert.is_true(first == bytes:sub(1, 1000000) and second == bytes:sub(2000001, 3000000))
  end)

  it("goes out in pieces of 256 KiB, a turn of the loop each", function()
    local client = server:connect()
    client:send "GET /assets/large.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    local count = server:turn()
    assert(count >= SIZE // (256 << 10), count)
    assert(#client:take() > SIZE)
  end)

  it("waits for a client that takes no more, and holds no memory for it", function()
    local client = server:connect()
    client:window(100000)
    local res = server:get("/assets/large.bin", { client = client })
    assert.equal(100000, #res:raw())
    client:window()
    server:turn()
    assert.is_true(res:body() == bytes)
    assert.is_true(res:has_ended())
  end)

  it("is cut for a client that takes nothing for timeouts.send", function()
    local client = server:connect()
    client:window(100000)
    local res = server:get("/assets/large.bin", { client = client })
    server:advance(29)
    assert.equal("open", client:state())
    server:advance(2)
    assert.equal("reset", client:state())
    assert.equal(1, server:stats().slow_total)
    assert.is_false(res:has_ended())
    assert.truthy(server:log():find("slow_consumer", 1, true))
  end)

  it("is cut for a client that takes a byte now and then", function()
    local client = server:connect()
    client:window(100000)
    server:get("/assets/large.bin", { client = client })
    for _ = 1, 70 do
      client:window(1)
      server:advance(1)
    end
    assert.equal("reset", client:state())
  end)

  it("goes on for a client that is slow but fair", function()
    local client = server:connect()
    client:window(100000)
    server:get("/assets/large.bin", { client = client })
    for _ = 1, 70 do
      client:window(1024)
      server:advance(1)
    end
    assert.equal("open", client:state())
    client:reset()
  end)

  it("that becomes shorter is cut, never padded nor ended early", function()
    local client = server:connect()
    client:window(100000)
    local res = server:get("/assets/large.bin", { client = client })
    assert(os.execute("truncate -s 500000 " .. path))
    client:window()
    server:turn()
    assert.equal("reset", client:state())
    assert.is_false(res:has_ended())
    assert.is_true(bytes:sub(1, #res:body()) == res:body())
    assert.truthy(server:log():find("a file has become shorter while it was sent: /assets/large.bin", 1, true))
  end)

  it("that grows is sent as long as announced", function()
    local client = server:connect()
    client:window(100000)
    local res = server:get("/assets/large.bin", { client = client })
    local f <close> = assert(io.open(path, "ab"))
    f:write "more"
    f:close()
    client:window()
    server:turn()
    assert.is_true(res:body() == bytes)
    assert.equal(TEXT, server:get("/assets/a.txt", { client = client }):raw():match "\r\n\r\n([^\r]*)$")
  end)

  it("is closed when the client leaves", function()
    get(server, "/assets/a.txt")
    local before = descriptors()
    local client = server:connect()
    client:window(100000)
    server:get("/assets/large.bin", { client = client })
    assert.equal(before + 1, descriptors())
    client:reset()
    server:turn()
    assert.equal(before, descriptors())
  end)

  it("is answered in order with what is asked behind it", function()
    local res = server:send(("GET /assets/large.bin HTTP/1.1\r\nHost: a\r\n\r\n"):rep(2) .. "GET /assets/a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    local raw = res:raw()
    assert.equal(TEXT, raw:sub(-20))
    assert(#raw > 2 * SIZE and #raw < 2 * SIZE + 2000)
  end)

  it("is counted in the access log", function()
    get(server, "/assets/large.bin")
    local logged = tonumber(server:log():match "large%.bin.-bytes=(%d+)")
    assert(logged and logged > SIZE and logged < SIZE + 1000, logged)
  end)
end)
