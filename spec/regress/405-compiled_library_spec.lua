-- SPDX-License-Identifier: MIT
-- Each state compiled the library anew, which was two thirds of the time that a reload of a small application took. It is compiled once,
-- as the program is built, with nothing left out: names and lines in errors are as those of the text.
local helper = require "spec.helper"

local GARBAGE_MAX = 200 -- bytes: a name or two

local function text_of(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

-- Name and text of each module that is inside the program.
local function modules()
  local list = {}
  for path in io.popen("find lua/spate -name '*.lua'"):lines() do
    local of = path:match "^lua/(.*)%.lua$"
    list[#list + 1] = { name = of:gsub("/init$", ""):gsub("/", "."), source = "=" .. of .. ".lua", text = text_of(path) }
  end
  return list
end

describe("the library inside the program", function()
  it("is what its text is", function()
    local server, differ = helper.serve "\n", {}
    for _, module in ipairs(modules()) do
      local dump = server.core:run(("return string.dump((package.searchers[2] %q))"):format(module.name))
      if dump ~= string.dump(assert(load(module.text, module.source))) then differ[#differ + 1] = module.name end
    end
    server.core:close()
    assert.same({}, differ)
  end)

  -- A compiler leaves the table of what it has met.
  it("is compiled before a state needs it", function()
    local server, compiled = helper.serve "\n", {}
    for _, module in ipairs(modules()) do
      local is_text = module.name:find "^spate%.types" -- for editors
      local garbage = server.core:run(([[
        collectgarbage() collectgarbage "stop"
        local loader = package.searchers[2] %q
        local most = collectgarbage "count"
        collectgarbage()
        return tostring((most - collectgarbage "count") * 1024)]]):format(module.name))
      if not is_text and tonumber(garbage) > GARBAGE_MAX then compiled[#compiled + 1] = module.name .. " " .. garbage end
    end
    server.core:close()
    assert.same({}, compiled)
  end)
end)
