-- SPDX-License-Identifier: MIT
-- req:form(): fields and files, whichever way the form is encoded.
local helper = require "spec.helper"
local lfs = require "lfs"

local APP = [[
app:post("/fields", function(req)
  local fields, err = req:form()
  if not fields then return reply.error(400, err) end
  return json.object(fields)
end)
app:post("/files", function(req)
  local fields, files = req:form()
  if not fields then return reply.error(400, files) end
  local list = {}
  for i, file in ipairs(files) do
    list[i] = { name = file.name, filename = file.filename, type = file.type, size = file.size, text = file:text(),
      first = rawequal(files[file.name], file) }
  end
  return { fields = json.object(fields), files = json.array(list) }
end)
app:post("/all/:name", function(req) return json.array(req:form_all(req.params.name)) end)
]]

local function descriptors()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end

local function part(head, body) return "--B\r\n" .. head .. "\r\n\r\n" .. body .. "\r\n" end
local function field(name, value) return part(('Content-Disposition: form-data; name="%s"'):format(name), value) end
local function file(name, filename, body, type)
  return part(('Content-Disposition: form-data; name="%s"; filename="%s"%s'):format(name, filename,
    type and "\r\nContent-Type: " .. type or ""), body)
end

local END = "--B--\r\n"

describe("form", function()
  local server, before

  local function serve(source, options) server = helper.serve(source or APP, options) end

  local function post(path, body, type, client)
    return server:post(path, { body = body, client = client, headers = { ["Content-Type"] = type or "multipart/form-data; boundary=B" } })
  end

  local function post_text(path, body) return post(path, body, "application/x-www-form-urlencoded") end

  local function files(...) return post("/files", table.concat { ... } .. END):json() end

  before_each(function() before = descriptors() end)

  after_each(function()
    local s = server
    server = nil
    if s then
      s:close()
      assert.equal(before, descriptors())
    end
  end)

  describe("urlencoded", function()
    it("is fields, the first of a name", function()
      serve()
      assert.same({ a = "1 2", b = "ä&=", ["c d"] = "", e = "x=y" }, post_text("/fields", "a=1+2&a=3&b=%c3%A4%26%3d&c+d&&e=x=y"):json())
      assert.same({}, post_text("/fields", ""):json())
      assert.same({ [""] = "v" }, post_text("/fields", "=v"):json())
    end)

    it("has all values of a name by form_all", function()
      serve()
      assert.same({ "1", "2", "" }, post_text("/all/tag", "tag=1&x=y&tag=2&tag="):json())
      assert.same({}, post_text("/all/none", "tag=1"):json())
    end)

    it("has no more fields than limits.query_pairs, and no more bytes than limits.body", function()
      serve(nil, { settings = { limits = { query_pairs = 3, body = 30 } } })
      assert.equal(200, post_text("/fields", "a=1&&a=2&a=3"):status())
      local res = post_text("/fields", "a=1&a=2&a=3&a=4")
      assert.equal(400, res:status())
      assert.equal("too many fields\n", (res:body()))
      assert.equal(413, post_text("/fields", "a=" .. ("x"):rep(29)):status())
    end)

    it("may have parameters and capitals in its type", function()
      serve()
      assert.same({ a = "1" }, post("/fields", "a=1", "Application/X-WWW-Form-urlencoded; charset=UTF-8"):json())
    end)
  end)

  it("of another type is nil and what was expected", function()
    serve()
    for type, got in pairs { ["application/json"] = "application/json", ["text/plain; x"] = "text/plain", ["multipart/mixed; boundary=B"] = "multipart/mixed",
      [""] = "a body without a Content-Type" } do
      local res = post("/fields", "a=1", type)
      assert.equal("expected a form, got " .. got .. "\n", (res:body()))
    end
    assert.equal("expected a form, got a body without a Content-Type\n", (server:post "/fields":body()))
  end)

  it("is read once, however often it is asked for, and behind req:body()", function()
    serve [[
      app:post("/x", function(req)
        local body = req:body()
        local fields, files = req:form()
        local again, files_again = req:form()
        return { #body, fields.a, rawequal(fields, again), rawequal(files, files_again), req:form_all "a" }
      end)
    ]]
    local body = field("a", "1") .. END
    assert.same({ #body, "1", true, true, { "1" } }, post("/x", body):json())
  end)

  describe("multipart", function()
    it("is fields and files", function()
      serve()
      assert.same({
        fields = { title = "Holiday", empty = "" },
        files = {
          { name = "photo", filename = "a.png", type = "image/png", size = 5, text = "\r\nPNG", first = true },
          { name = "photo", filename = "b", type = "application/octet-stream", size = 0, text = "", first = false },
        },
      }, files(field("title", "Holiday"), file("photo", "a.png", "\r\nPNG", "image/png"), field("empty", ""), field("title", "2"), file("photo", "b", "")))
    end)

    it("has no files where none was chosen", function()
      serve()
      assert.same({ fields = {}, files = {} }, files(file("photo", "", "", "application/octet-stream")))
      assert.equal(1, #files(file("photo", "", "x")).files)
    end)

    it("has limits: parts, fields in memory, the whole", function()
      serve(nil, { settings = { limits = { parts = 3, body = 100, upload = 2000, spool = 10 } } })
      local x = file("f", "x", ("x"):rep(400))
      assert.equal(200, post("/files", x .. x .. x .. END):status())
      local res = post("/files", x .. field("a", "") .. field("a", "") .. field("a", "") .. END)
      assert.equal("too many parts\n", (res:body()))
      assert.equal(200, post("/files", field("a", ("x"):rep(99)) .. END):status())
      assert.equal(413, post("/files", field("a", ("x"):rep(50)) .. field("b", ("x"):rep(50)) .. END):status())
      assert.equal(413, post("/files", field("a", ("x"):rep(100)) .. END):status())
      assert.equal(200, post("/files", field("a", ("x"):rep(49)) .. field("b", ("x"):rep(49)) .. END):status())
      assert.equal(413, post("/files", field("a", ("x"):rep(49)) .. field("b", ("x"):rep(50)) .. END):status())
      assert.equal(200, post("/files", field(("n"):rep(100), "") .. END):status())
      assert.equal(200, post("/files", file("f", ("n"):rep(99), "") .. END):status())
      assert.equal(200, post("/files", file("f", "x", ("x"):rep(300), ("t"):rep(98)) .. END):status())
      assert.equal(413, post("/files", file("f", "x", ("x"):rep(300), ("t"):rep(99)) .. END):status())
      assert.equal(413, post("/files", field(("n"):rep(101), "") .. END):status())
      assert.equal(413, post("/files", file("f", ("n"):rep(101), "") .. END):status())
      assert.equal(413, post("/files", file("f", "x", ("x"):rep(2000)) .. END):status())
      assert.equal(0, server:stats().tasks)
    end)
  end)

  describe("file", function()
    it("is in memory up to limits.spool, above that in a file without a name that goes with the request", function()
      serve([[
        app:post("/x", function(req)
          local _, files = req:form()
          local text = files.f:text()
          sse.sleep(1)
          return { #text, text:sub(1, 3), text:sub(-3), files.f.size }
        end)
      ]], { settings = { limits = { spool = 1000 } } })
      local open = descriptors()
      post("/x", file("f", "a", ("x"):rep(1000)) .. END)
      assert.equal(open, descriptors())
      local beyond = post("/x", file("f", "a", "abc" .. ("x"):rep(995) .. "xyz") .. END)
      assert.equal(open + 1, descriptors())
      server:advance(1)
      assert.same({ 1001, "abc", "xyz", 1001 }, beyond:json())
      local client = server:connect()
      local begun = 'POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n'
      local whole = file("f", "a", "abc" .. ("x"):rep(996) .. "yz") .. END
      server:send(begun:format(#whole) .. whole:sub(1, 600), client)
      server:send(whole:sub(601, 900), client)
      assert.equal(open, descriptors())
      local res = server:send(whole:sub(901), client)
      assert.equal(open + 1, descriptors())
      server:advance(1)
      assert.same({ 1001, "abc", "xyz", 1001 }, res:json())
      local text = "abc" .. ("x"):rep(200000) .. "xyz"
      res = post("/x", file("f", "b", text) .. file("g", "c", text) .. END)
      assert.equal(open + 2, descriptors())
      server:advance(1)
      assert.same({ #text, "abc", "xyz", #text }, res:json())
      assert.equal(open, descriptors())
    end)

    it("is where TMPDIR says, or else in /tmp", function()
      serve(nil, { settings = { limits = { spool = 10 } } })
      local given = os.getenv "TMPDIR"
      local statuses = {}
      for i, dir in ipairs { "/nowhere/at/all", "", false, "/tmp" } do
        helper.harness.setenv("TMPDIR", dir or nil)
        statuses[i] = post("/files", file("f", "a", ("x"):rep(1000)) .. END):status()
      end
      helper.harness.setenv("TMPDIR", given)
      assert.same({ 400, 200, 200, 200 }, statuses)
    end)

    it("vanishes with a client that leaves while it comes", function()
      serve()
      local open = descriptors()
      local client = server:connect()
      local res = server:send("POST /files HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 999999\r\n\r\n" ..
        file("f", "a", ("x"):rep(200000)), client)
      assert.equal(open + 1, descriptors())
      res:close()
      assert.equal(open, descriptors())
    end)

    it("is closed once the request is over", function()
      serve [[
        local kept
        app:post("/keep", function(req) kept = select(2, req:form()).f return "kept" end)
        app:get("/text", function() return { kept.size, kept:text() == nil, select(2, kept:text()) } end)
        app:get("/chunks", function() return kept:chunks()() end)
        app:get("/save", function() return kept:save "/tmp/never" end)
      ]]
      post("/keep", file("f", "a", "abc") .. END)
      assert.same({ 3, true, "closed" }, server:get "/text":json())
      for line, path in pairs { [6] = "/chunks", [7] = "/save" } do
        assert.equal(500, server:get(path):status())
        assert.matches((":%d: file:chunks: closed"):format(line), server:log())
      end
      assert.is_nil(io.open "/tmp/never")
    end)

    it("is read in chunks and in lines", function()
      serve([[
        app:post("/x", function(req)
          local _, files = req:form()
          local sizes, lines = {}, {}
          for piece in files.f:chunks() do sizes[#sizes + 1] = #piece end
          for line in files.lines:lines() do lines[#lines + 1] = line end
          return { sizes, json.array(lines) }
        end)
      ]], { settings = { limits = { spool = 5 } } })
      local function lines(text) return post("/x", file("f", "a", ("x"):rep(150000)) .. file("lines", "b", text) .. END):json() end
      assert.same({ { 65536, 65536, 18928 }, { "one", "", "two", "three\rx" } }, lines "one\r\n\ntwo\nthree\rx")
      assert.same({}, lines "" [2])
      assert.same({ "a" }, lines "a\n" [2])
      local long = ("y"):rep(100000)
      assert.same({ long, long, "z" }, lines(long .. "\n" .. long .. "\r\nz")[2])
    end)

    it("is saved whole or not at all", function()
      serve([[
        app:post("/x", function(req)
          local fields, files = req:form()
          local ok, err, code = files.f:save(fields.path)
          return { ok = ok, err = err, code = code }
        end)
      ]], { settings = { limits = { spool = 5 } } })
      local dir = os.tmpname()
      os.remove(dir)
      assert(lfs.mkdir(dir))
      local text = ("0123456789"):rep(300000)
      local res = post("/x", field("path", dir .. "/saved") .. file("f", "a", text) .. END)
      server:advance(0) -- others get their turn meanwhile
      assert.same({ ok = true }, res:json())
      local f <close> = assert(io.open(dir .. "/saved", "rb"))
      assert.is_true(f:read "a" == text)
      assert.same({ ok = true }, post("/x", field("path", dir .. "/saved") .. file("f", "a", "new") .. END):json())
      for line in io.lines(dir .. "/saved") do assert.equal("new", line) end
      assert.same({ err = dir .. "/none/x: No such file or directory", code = 2 },
        { err = post("/x", field("path", dir .. "/none/x") .. file("f", "a", "x") .. END):json().err:gsub("x%.%x+%.part", "x"), code = 2 })
      local names = {}
      for name in lfs.dir(dir) do names[#names + 1] = name end
      assert.equal(3, #names)
      os.remove(dir .. "/saved")
      assert(lfs.rmdir(dir))
    end)

    it("methods say how they are called", function()
      serve [[
        app:post("/:how", function(req)
          local file = select(2, req:form()).f
          local ways = {
            text = function() return file.text() end, chunks = function() return file.chunks() end, lines = function() return file.lines() end,
            save = function() return file:save() end, all = function() return req:form_all() end,
          }
          return ways[req.params.how]()
        end)
      ]]
      for how, message in pairs { text = "file:text%(%): write it with a colon", chunks = "file:chunks%(%): write it", lines = "file:lines%(%): write it",
        save = "file:save: expected a path, got nil", all = "req:form_all: expected a name, got nil" } do
        assert.equal(500, post("/" .. how, file("f", "a", "x") .. END):status())
        assert.matches(":%d: " .. message, server:log())
      end
    end)
  end)

  it("with a content coding is refused", function()
    serve()
    local res = server:post("/fields", { body = "a=1", headers = { ["Content-Type"] = "application/x-www-form-urlencoded", ["Content-Encoding"] = "gzip" } })
    assert.equal(415, res:status())
    res = server:post("/fields", { body = END, headers = { ["Content-Type"] = "multipart/form-data; boundary=B", ["Content-Encoding"] = "br" } })
    assert.equal(415, res:status())
  end)

  it("is asked for with 100 Continue", function()
    serve()
    local body, client = field("a", "1") .. END, server:connect()
    local res = server:send(("POST /fields HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"):format(#body), client)
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", res:raw())
    server:send(body, client)
    assert.matches('{"a":"1"}$', res:raw())
  end)
end)
