-- SPDX-License-Identifier: MIT
-- `spate new "$NAME"`, where there is no NAME, wrote an application into the root of the file system; and its next step,
-- `cd my app`, was two words for a shell.
local process = require "spec.process"

describe("spate new", function()
  local directory
  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  it("makes nothing where the name is empty", function()
    process.contains(process.failure(1, { "new", "" }), "the directory has no name; this one is called .")
    for _, name in ipairs { "/app.lua", "/spate.conf.lua" } do assert.is_nil(io.open(name)) end
  end)

  it("says a next step that a shell takes as it is", function()
    for name, quoted in pairs { ["my app"] = "'my app'", ["it's"] = [['it'\''s']], app = "app" } do
      local made = process.spawn { "new", name }
      assert.equal(0, made:wait(), made:stderr())
      process.contains(made:stdout(), "\nNext:\n  cd " .. quoted .. "\n")
      process.shell("cd %s/%s && test -e app.lua", directory, quoted)
    end
  end)

  it("names some of the files that are in its way, and how many there are", function()
    assert.equal(0, process.spawn({ "new", "a" }):wait())
    assert.matches("a has files that would be written over: app.lua, spec/app_spec.lua, spate.conf.lua and %d+ more; another name makes another", process.failure(1, { "new", "a" }))
  end)
end)
