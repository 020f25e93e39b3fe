-- SPDX-License-Identifier: MIT
-- A spec of lua/README.md, typed as it stands beside the code that it is of, failed.
local process = require "spec.process"

describe("the specs of lua/README.md", function()
  local directory
  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  local function read(path)
    local f <close> = assert(io.open(process.ROOT .. "/" .. path))
    return f:read "a"
  end

  local text = read "lua/README.md"

  -- The first Lua block beneath a heading, as a script.
  local function script_of(heading)
    local from = assert(text:find("\n#+ " .. heading .. "[^\n]*\n"))
    return process.PRELUDE .. text:match("```lua\n(.-)```", from) .. "return app\n"
  end

  it("hold for the code that stands there", function()
    assert(os.execute("mkdir " .. directory .. "/spec"))
    for name, source in pairs { clock = read("README.md"):match "```lua\n(.-)```", chat = script_of "Event streams of others", cache = script_of "spate%.redis" } do
      process.write_file(directory .. "/" .. name .. ".lua", source)
      process.write_file(directory .. "/spec/" .. name .. "_spec.lua", assert(text:match("```lua\n(%-%- spec/" .. name .. "_spec.lua\n.-)```"), name))
    end
    local command = process.spawn { "test" }
    local code, out, err = command:wait(), command:stdout(), command:stderr()
    assert.same({ 0, "" }, { code, err }, out)
  end)
end)
