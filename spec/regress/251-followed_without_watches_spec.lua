-- SPDX-License-Identifier: MIT
-- A followed file whose way became longer while other programs of the user had all of the kernel's watches was never looked at
-- again: nothing told the stream, and nobody was told. In a user namespace, which has a limit of its own.
local few_watches = require "spec.few_watches"
local process = require "spec.process"

local it = few_watches.it("spec/regress/251", it, pending)

describe("a file that is followed, where no watch is left", function()
  after_each(process.leave)

  it("is looked at all the same", function()
    local directory = process.enter()
    process.shell("cd %s && mkdir d && echo one > d/log && for i in $(seq 40); do mkdir w$i; done", directory)
    local server = process.serve([[
      local fs = require "spate.fs"
      local kept = {}
      app:get("/log", function() return sse.reply(fs.tail("d/log", { from = 0 }):map(function(l) return l.text end)) end)
      app:get("/all", function()
        local message, code
        for i = 1, 40 do
          kept[i], message, code = fs.watch("w" .. i)
          if not kept[i] then return message .. " " .. code end
        end
      end)]], { wrapper = few_watches.wrapper(20) })
    local client = process.ask(server.port, "/log")
    process.read_until(client, "data: one\n")
    local _, answer = process.get(server.port, "/all")
    assert.matches("the user has no inotify watches left %(fs.inotify in sysctl%) busy$", answer)
    process.shell("cd %s && mv d e && ln -s e d && mv e/log e/log.1 && echo two > e/log", directory)
    process.read_until(client, "data: two\n")
    local log <close> = assert(io.open(directory .. "/e/log", "a"))
    assert(log:write "three\n" and log:flush()) -- what stays open is only told by a watch of the file itself
    process.read_until(client, "data: three\n")
    client:close()
    server:stop()
  end)
end)
