-- SPDX-License-Identifier: MIT
-- A hint comes where it helps: no name that only shares a letter, and of a module's own error nothing of missing modules.
local helper = require "spec.helper"
local lfs = require "lfs"

local function fails(handler)
  local server = helper.serve("app:get('/', function(req)\n" .. handler .. "\nend)", { dev = true })
  server:get("/", { headers = { Accept = "text/html" } })
  local log = server:log()
  server:close()
  return log
end

describe("a hint", function()
  it("of a method is of one that resembles it", function()
    assert.truthy(fails("return spate.shared('x'):inc('n')"):find("hint: did you mean 'incr'?", 1, true))
    assert.truthy(fails("return spate.shared('x'):delte('n')"):find("hint: did you mean 'delete'?", 1, true))
    for _, name in ipairs { "zqp", "x", "fg", "xyz" } do
      assert.falsy(fails("return spate.shared('x'):" .. name .. "()"):find("did you mean", 1, true), name)
    end
  end)

  it("names nothing that is half wrong", function()
    local err = helper.load_error("sse.channel('x', { tt = 1 })\n")
    assert.truthy(err:find("did you mean 'ttl'", 1, true), err)
    err = helper.load_error("sse.channel('x', { kil = 1 })\n")
    assert.truthy(err:find("unknown option 'kil'; it has", 1, true), err)
    for name, meant in pairs { ix = "id", evnet = "event", jsno = "json", dta = "data", commnt = "comment" } do
      assert.truthy(fails(("return sse.reply { { %s = 1 } }"):format(name)):find("did you mean '" .. meant .. "'", 1, true), name)
    end
    for _, name in ipairs { "x", "abc", "dog", "jot", "xyzzy" } do
      assert.falsy(fails("return sse.reply { { " .. name .. " = 1 } }"):find("did you mean", 1, true), name)
    end
  end)

  it("of a module that is no Lua is not that of a missing one", function()
    local dir = os.tmpname()
    os.remove(dir)
    assert(lfs.mkdir(dir))
    local function load_with(source)
      local f <close> = assert(io.open(dir .. "/broken.lua", "w"))
      f:write(source)
      f:close()
      return helper.load_error(("package.path = %q .. package.path\nrequire 'broken'\n"):format(dir .. "/?.lua;"))
    end
    for source, hint in pairs {
      ["local x = = 1\n"] = "hint: Lua cannot read this line", ["local function f()\n"] = "hint: something that begins above this line has no end",
      ["local x <const> = 1\nx = 2\n"] = false, ["goto nowhere\n"] = false, ["::a:: ::a::\n"] = false, ["error 'module of mine'\n"] = false,
    } do
      local err = load_with(source)
      assert.truthy(err:find("broken.lua:", 1, true), err)
      assert.falsy(err:find("LUA_PATH", 1, true), err)
      if hint then assert.truthy(err:find(hint, 1, true), err) end
    end
    os.execute("rm -r " .. dir)
    assert.truthy(helper.load_error("require 'no_such_thing'\n"):find("modules are looked for beside the script", 1, true))
  end)
end)
