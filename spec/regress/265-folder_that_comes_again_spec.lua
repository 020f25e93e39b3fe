-- SPDX-License-Identifier: MIT
-- Who watched a folder was told nothing any more once it had been removed or renamed, also when there was one of its name again.
local helper = require "spec.helper"
local lfs = require "lfs"

describe("a folder that is watched", function()
  local folder, server, res

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(lfs.mkdir(folder) and lfs.mkdir(folder .. "/d"))
    server = helper.serve(([[
      local fs = require "spate.fs"
      app:get("/", function()
        return sse.reply(assert(fs.watch(%q)):map(function(c) return c.what .. " " .. tostring(c.name) end))
      end)]]):format(folder .. "/d"))
    res = server:get "/"
    server.core:wait(0.01)
  end)

  after_each(function()
    res:close()
    server:close()
    os.execute("rm -rf " .. folder)
  end)

  local function shell(command) assert(os.execute(("cd %s && %s"):format(folder, command))) end

  local function says(text)
    local ok = pcall(server.wait, server, function() return table.concat(res:data(), ","):find(text, 1, true) end, 3)
    assert(ok, ("expected %q in %s"):format(text, table.concat(res:data(), ",")))
  end

  for name, command in pairs { removed = "rmdir d", renamed = "mv d old" } do
    it("is watched again where it was " .. name .. " and is made anew", function()
      shell(command)
      says "removed nil"
      shell "mkdir d"
      says "created nil"
      shell "touch d/a"
      says "created a"
    end)
  end

  it("is watched where another takes its place", function()
    shell "mkdir e && mv d old && mv e d"
    says "created nil"
    shell "touch old/x d/a"
    says "created a"
    assert.is_nil(table.concat(res:data(), ","):find "created x")
  end)

  it("that becomes a file is watched as one", function()
    shell "rmdir d && touch d"
    says "created nil"
    shell "echo x >> d"
    says "changed nil"
  end)
end)
