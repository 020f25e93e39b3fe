-- SPDX-License-Identifier: MIT
-- The pretty log on a terminal, which `script` (bsdutils) stands in for, and where there is none.
local program = (os.getenv("SPATE") or (os.getenv("BUILD") or "build") .. "/spate")

local APP = 'require("spate").log.warn("careful", { n = 1 })\nerror "over\\nand out"\n'

local directory

local function write_file(name, text)
  local f <close> = assert(io.open(directory .. "/" .. name, "w"))
  f:write(text)
end

-- What the server prints until the script has failed to load.
local function output(environment, wrapper)
  local command = ("%s serve %s/app.lua -l 127.0.0.1:0 -c %s/settings.lua 2>&1"):format(program, directory, directory)
  local f <close> = assert(io.popen(("%s %s < /dev/null"):format(environment, wrapper:format(command))))
  return (f:read("a"):gsub("\r\n", "\n"))
end

setup(function()
  directory = os.tmpname()
  os.remove(directory)
  assert(os.execute("mkdir " .. directory))
  write_file("app.lua", APP)
  write_file("settings.lua", 'return { log = { format = "pretty" } }')
end)

teardown(function() os.execute("rm -r " .. directory) end)

describe("the pretty log", function()
  it("has colours on a terminal, its time and fields dim", function()
    local text = output("env -u NO_COLOR", "script -qec '%s' /dev/null")
    assert.matches("\27%[2m%d%d:%d%d:%d%d%.%d%d%d\27%[0m \27%[33mwarn \27%[0m careful\27%[2m n=1\27%[0m\n", text)
  end)

  it("has none with NO_COLOR, and none in a file or pipe", function()
    for _, text in ipairs { output("NO_COLOR=1", "script -qec '%s' /dev/null"), output("env -u NO_COLOR", "sh -c '%s'") } do
      assert.matches("%f[%d]%d%d:%d%d:%d%d%.%d%d%d warn  careful n=1\n", text)
      assert.is_nil(text:find("\27", 1, true))
    end
  end)
end)

it("a script that does not load is printed with its excerpt", function()
  local text = output("", "sh -c '%s'")
  assert.truthy(text:find(("spate: %s/app.lua:2: over\n       1 | "):format(directory), 1, true), text)
  assert.truthy(text:find("  >    2 | error", 1, true), text)
end)
