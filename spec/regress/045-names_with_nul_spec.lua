-- SPDX-License-Identifier: MIT
-- For the system a name ends at its first NUL: whoever takes one refuses it, or another file is meant.
local helper = require "spec.helper"
local lfs = require "lfs"

local function read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read "a"
  f:close()
  return text
end

local function count(dir)
  local n = 0
  for _ in lfs.dir(dir) do n = n + 1 end
  return n - 2
end

describe("a NUL in a name", function()
  local dir, server

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(lfs.mkdir(dir))
    local f <close> = assert(io.open(dir .. "/kept", "wb"))
    f:write "kept"
  end)

  after_each(function()
    if server then server:close() end
    server = nil
    os.execute("rm -r " .. dir)
  end)

  it("is refused by file:save, which leaves the file before it alone", function()
    server = helper.serve(([[
app:post("/", function(req)
  local _, files = req:form()
  local ok, err, code = files.f:save(%q .. "/" .. files.f.filename)
  return { ok = ok, err = err, code = code }
end)]]):format(dir))
    local function save(filename)
      return server:post("/", { headers = { ["Content-Type"] = "multipart/form-data; boundary=B" },
        body = ('--B\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n\r\nnew\r\n--B--\r\n'):format(filename) }):json()
    end
    local name = "kept"
    assert.same({ ok = true }, save(name))
    assert.equal("new", read(dir .. "/kept"))
    server:close()
    server = helper.serve(([[
app:post("/", function(req)
  local _, files = req:form()
  local ok, err, code = files.f:save(%q .. "/kept\0.png")
  return { ok = ok, err = err, code = code }
end)]]):format(dir))
    assert.same({ err = "the path holds a NUL", code = 22 }, save "x")
    assert.equal("new", read(dir .. "/kept"))
    assert.equal(1, count(dir))
  end)

  it("is no file for reply.file, and no folder for app:static", function()
    server = helper.serve(([[app:get("/", function(req) return reply.file(%q .. "/kept\0x") end)]]):format(dir))
    assert.equal(404, server:get("/"):status())
    local err = helper.load_error(('app:static("/", %q .. "\\0x")\n'):format(dir))
    assert.truthy(err:find(":3: app:static: a NUL in the folder's path", 1, true), err)
  end)

  it("is no variable's name for spate.env", function()
    for _, name in ipairs { "PATH\\0X", "PATH=X" } do
      local err = helper.load_error(('spate.env("%s")\n'):format(name))
      assert.truthy(err:find(":3: spate.env: expected the name of a variable", 1, true), err)
    end
  end)

  it("is no setting, and no part of one", function()
    for settings, why in pairs {
      ["limits\0x = {}"] = "unknown setting", ["limits = { ['head\0x'] = 1 }"] = "unknown setting", ["log = { level = 'info\0x' }"] = "log.level: expected",
      ["log = { format = 'json\0x' }"] = "log.format: expected", ["['limits\0'] = {}"] = "unknown setting",
    } do
      local table = load("return {" .. settings:gsub("^limits\0x =", "['limits\0x'] =") .. "}")()
      local ok, err = pcall(helper.serve, "\n", { settings = table })
      if ok then err:close() end
      assert.is_false(ok, settings)
      assert.truthy(tostring(err):find(why, 1, true), tostring(err))
    end
  end)
end)
