-- SPDX-License-Identifier: MIT
-- Who watched a folder that came again while other programs of the user had all of the kernel's watches waited for good. In a user
-- namespace, which has a limit of its own.
local few_watches = require "spec.few_watches"
local process = require "spec.process"

local it = few_watches.it("spec/regress/267", it, pending)

describe("a folder that is watched, where no watch is left", function()
  after_each(process.leave)

  it("is watched again once there is one", function()
    local directory = process.enter()
    process.shell("cd %s && mkdir d && for i in $(seq 40); do mkdir w$i; done", directory)
    local server = process.serve([[
      local fs = require "spate.fs"
      local kept = {}
      app:get("/changes", function() return sse.reply(fs.watch("d"):map(function(c) return c.what .. " " .. tostring(c.name) end)) end)
      app:get("/all", function()
        for i = 1, 40 do kept[i] = kept[i] or fs.watch("w" .. i) end
        return tostring(#kept < 40)
      end)
      app:get("/none", function()
        for i = #kept, 1, -1 do table.remove(kept):close() end
        return "none"
      end)]], { wrapper = few_watches.wrapper(20) })
    local client = process.ask(server.port, "/changes")
    process.read_head(client)
    process.shell("mv %s/d %s/e", directory, directory)
    process.read_until(client, "data: removed nil\n")
    assert.equal("true", select(2, process.get(server.port, "/all")))
    process.shell("mkdir %s/d", directory)
    process.read_until(client, "data: created nil\n")
    process.shell("touch %s/d/unseen", directory)
    assert.equal("none", select(2, process.get(server.port, "/none")))
    process.read_until(client, "data: unknown nil\n")
    process.shell("touch %s/d/seen", directory)
    process.read_until(client, "data: created seen\n")
    client:close()
    server:stop()
  end)
end)
