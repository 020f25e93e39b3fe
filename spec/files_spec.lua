-- SPDX-License-Identifier: MIT
-- reply.file and app:static: what a client gets of a file, and of which files.
local helper = require "spec.helper"
local lfs = require "lfs"
local folder = require "spec.static_folder"
local harness = helper.harness
local write, serve, static, get, descriptors = folder.write, folder.serve, folder.static, folder.get, folder.descriptors

local MODIFIED, DATE, TEXT = folder.MODIFIED, folder.DATE, folder.TEXT

local directory

before_each(function()
  folder.open()
  directory = folder.path
end)
after_each(folder.close)

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

  for _, takes_files in ipairs { false, true } do
    it("that becomes shorter is cut, never padded nor ended early, " .. (takes_files and "by the kernel" or "by the server"), function()
      local client = server:connect()
      if takes_files then client:takes_files() end
      client:window(100000)
      local res = server:get("/assets/large.bin", { client = client })
      assert(os.execute("truncate -s 500000 " .. path))
      client:window()
      server:turn()
      assert.equal("reset", client:state())
      assert.is_false(res:has_ended())
      assert.is_true(bytes:sub(1, #res:body()) == res:body())
      local log = server:log()
      assert.equal(1, select(2, log:gsub("a file has become shorter while it was sent: /assets/large.bin", "")))
      assert.matches("request [^\n]*target=/assets/large.bin status=200 [^\n]*reason=error", log)
    end)
  end

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
