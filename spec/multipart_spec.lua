-- SPDX-License-Identifier: MIT
-- multipart/form-data: what its parts are, however they are split, where they end, and which body is none and why.
local helper = require "spec.helper"

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
  for i, file in ipairs(files) do list[i] = { name = file.name, filename = file.filename, type = file.type, text = file:text() } end
  return { fields = json.object(fields), files = json.array(list) }
end)
]]

local function part(head, body) return "--B\r\n" .. head .. "\r\n\r\n" .. body .. "\r\n" end
local function field(name, value) return part(('Content-Disposition: form-data; name="%s"'):format(name), value) end
local function file(name, filename, body, type)
  return part(('Content-Disposition: form-data; name="%s"; filename="%s"%s'):format(name, filename,
    type and "\r\nContent-Type: " .. type or ""), body)
end

local END = "--B--\r\n"

describe("multipart/form-data", function()
  local server

  local function serve(source, options) server = helper.serve(source or APP, options) end

  local function post(path, body, type, client)
    return server:post(path, { body = body, client = client, headers = { ["Content-Type"] = type or "multipart/form-data; boundary=B" } })
  end

  local function files(...) return post("/files", table.concat { ... } .. END):json() end

  after_each(function() server:close() end)

  it("is the same however it is split", function()
    serve()
    local body = "preamble\r\n--Bad\r" .. "\r\n" .. field("a", "\r\n--\r\n-\r\n--A\r\r\n-") .. file("f", "x", ("\r\n--"):rep(50) .. "\r") .. END .. "epilogue --B"
    body = body:gsub("%-%-Bad", "-Bad")
    for _, piece in ipairs { 1, 2, 3, 5, 7, 64, math.maxinteger } do
      local client = server:connect()
      client:pieces(piece)
      local got = post("/files", body, nil, client):json()
      assert.same({ a = "\r\n--\r\n-\r\n--A\r\r\n-" }, got.fields)
      assert.equal(("\r\n--"):rep(50) .. "\r", got.files[1].text)
    end
  end)

  it("keeps names and values byte for byte", function()
    serve [[
      app:post("/x", function(req)
        for name, value in pairs(req:form()) do
          return ((name .. "|" .. value):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
        end
      end)
    ]]
    local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
    for given, name in pairs { ["\xe4%22%0D"] = "\xe4%22%0D", ['a\\"b'] = 'a"b', ["a\\\\b"] = "a\\b", ["a\\b"] = "a\\b", ["a;b=c"] = "a;b=c", [""] = "", ["日本"] = "日本" } do
      assert.equal(hex(name .. "|\0\r\xff"), (post("/x", field(given, "\0\r\xff") .. END):body()), given)
    end
  end)

  it("may have values without quotes, and none", function()
    serve()
    local function of(rest)
      local got = files(part("Content-Disposition: form-data" .. rest, "x")).files[1]
      return { got.name, got.filename }
    end
    assert.same({ "", "f" }, of "; name=; filename=f")
    assert.same({ "a", "" }, of "; name=a; filename=")
    assert.same({ "a b", "c" }, of ";name= a b \t;\tfilename=c")
    assert.same({ "a", "b" }, of " ; name = a ; filename = b")
    assert.same({ "a", "" }, of "; name=a;; filename=;")
    assert.same({ "a", "b" }, of '; name="a"; name="c"; filename=b; filename=d')
    assert.same({ [["a\]], "b" }, of '; name="\\"a\\\\" ;filename="b"\t')
  end)

  it("takes the last segment of a filename, and no filename*", function()
    serve()
    local function filename(given) return files(file("f", given, "x")).files[1].filename end
    assert.equal("c.txt", filename "/a/b/c.txt")
    assert.equal("c.txt", filename "C:\\a\\c.txt")
    assert.equal("passwd", filename "..\\../etc/passwd")
    assert.equal("", filename "..")
    assert.equal("", filename "a/.")
    assert.equal("", filename "a/")
    assert.equal("naïve.txt", filename "naïve.txt")
    assert.equal("a;b.txt", filename "a;b.txt")
    local got = files(part("Content-Disposition: form-data; name=f; filename=a.txt; filename*=UTF-8''b.txt", "x"))
    assert.equal("a.txt", got.files[1].filename)
    got = files(part("content-disposition:form-data;NAME = f ;;filename*=UTF-8''b.txt", "x"))
    assert.same({ f = "x" }, got.fields)
  end)

  it("reads its boundary in every form that one may have", function()
    serve()
    for _, boundary in ipairs { "----WebKitFormBoundaryAbC123", '"a b"', '"it\'s=(1):2/3?"', ("x"):rep(70), "B; charset=utf-8", '"B"; boundary=C',
      [["09AZaz'()+,-./:=?_ x"]], [[B; x="a\"b\\"; y=z]] } do
      local plain = boundary:match '^"([^"]*)"' or boundary:match "^[^;]*"
      local body = field("a", "1"):gsub("^%-%-B", function() return "--" .. plain end) .. "--" .. plain .. "--"
      assert.same({ a = "1" }, post("/fields", body, "multipart/form-data; boundary=" .. boundary):json(), boundary)
    end
  end)

  it("reads as much of its Content-Type as a thousand bytes, and leaves it as it was", function()
    serve [[ app:post("/x", function(req) return req:form() and req:header_all "content-type" or json.array {} end) ]]
    local function of(len) return "multipart/form-data;" .. (' x="a\\"b"; boundary=B; y=%s'):format(("z"):rep(len - 25)) end
    assert.same({ of(1024) }, post("/x", "--B--", of(1024)):json())
    assert.same({}, post("/x", "--B--", of(1025)):json())
  end)

  it("takes blanks behind a boundary, an empty form, a part without a line end before its delimiter", function()
    serve()
    assert.same({ a = "1" }, post("/fields", "--B \t\r\n" .. field("a", "1"):sub(6) .. "--B--  x"):json())
    assert.same({}, post("/fields", "--B--"):json())
    assert.same({ a = "" }, post("/fields", '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n--B--'):json())
  end)

  it("has data that begins or ends like a delimiter, and is none", function()
    serve [[ app:post("/x", function(req) return "<" .. assert(req:form()).a .. ">" end) ]]
    for _, value in ipairs { "-", "--", "--A", "\r\n", "\r", "\n--B", "\r--B", "\r\n-B", "\r\n--", "\r\n--b", "x\r\n-", "-\r\n-\r\n--\r", "\r\r\n--", "\r\n\r\n--C", "" } do
      assert.equal("<" .. value .. ">", (post("/x", field("a", value) .. END):body()), value)
    end
  end)

  it("has a part's header of eight KiB, to the byte", function()
    serve()
    local HEAD = 'Content-Disposition: form-data; name="a"\r\nX: '
    local function of(len) return post("/fields", "--B\r\n" .. HEAD .. ("x"):rep(len - #HEAD - 4) .. "\r\n\r\nv\r\n--B--") end
    assert.same({ a = "v" }, of(8192):json())
    assert.equal("a part's header is too long\n", (of(8193):body()))
  end)

  it("that is none is nil and why", function()
    serve()
    local disposition = 'Content-Disposition: form-data; name="a"'
    for body, why in pairs {
      [""] = "the form ends too early",
      ["--B"] = "the form ends too early",
      ["--C--"] = "the form ends too early",
      [field("a", "1")] = "the form ends too early",
      [field("a", "1") .. "--B-"] = "the form ends too early",
      ["--B\r\n" .. disposition] = "the form ends too early",
      ["--Bx\r\n"] = "a boundary with something behind it",
      ["--B-x"] = "a boundary with something behind it",
      ["--B\rx"] = "a boundary with something behind it",
      ["--B\nx"] = "a boundary with something behind it",
      ["--B\r\n\r\nx\r\n--B--"] = "a part without a name",
      ["--B\r\nX: y\r\n\r\nx\r\n--B--"] = "a part without a name",
      [part("Content-Disposition: form-data", "x") .. END] = "a part without a name",
      [part('Content-Disposition: attachment; name="a"', "x") .. END] = "a part that is no form-data",
      [part('Content-Disposition: form-data; name="a', "x") .. END] = "a part's Content-Disposition is malformed",
      [part("Content-Disposition: form-data; name", "x") .. END] = "a part's Content-Disposition is malformed",
      [part(disposition .. " x", "x") .. END] = "a part's Content-Disposition is malformed",
      [part(disposition .. "; x", "x") .. END] = "a part's Content-Disposition is malformed",
      [part(disposition .. '; x="y"z; filename=a', "x") .. END] = "a part's Content-Disposition is malformed",
      [part(disposition .. [[; filename="a\"]], "x") .. END] = "a part's Content-Disposition is malformed",
      [part("\1: y\r\n" .. disposition, "x") .. END] = "a part's header is malformed",
      [part("X: \127\r\n" .. disposition, "x") .. END] = "a part's header is malformed",
      [part(disposition .. "\r\n" .. disposition, "x") .. END] = "a part with two names",
      [part("no colon", "x") .. END] = "a part's header is malformed",
      [part(disposition .. "\nX: y", "x") .. END] = "a part's header is malformed",
      [part(disposition .. "\0", "x") .. END] = "a part's header is malformed",
      [part(disposition .. "\r\nX: " .. ("x"):rep(8192), "x") .. END] = "a part's header is too long",
    } do
      local res = post("/fields", body)
      assert.equal(400, res:status(), body)
      assert.equal(why .. "\n", (res:body()), body)
    end
    for _, type in ipairs { "multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary=""', "multipart/form-data; boundary=a\xe4", "multipart/form-data; boundary=\xe4a", "multipart/form-data; boundary=a@b", "multipart/form-data; x; boundary=B",
      "multipart/form-data; boundary=" .. ("x"):rep(71), 'multipart/form-data; boundary="a ', 'multipart/form-data; boundary="a "', "multipart/form-data; x=" .. ("y"):rep(2000) .. "; boundary=B" } do
      assert.equal("the form names no boundary\n", (post("/fields", "--B--", type):body()), type)
    end
  end)
end)
