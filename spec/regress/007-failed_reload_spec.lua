-- SPDX-License-Identifier: MIT
-- Two files are saved, and loading fails at the first: the second is not news for ever.
local process = require "spec.process"

describe("a save that does not load", function()
  local directory
  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  it("is tried once, whichever other files it came with", function()
    local function save(name, text) process.write_file(directory .. "/" .. name, text) end
    save("first.lua", "return 1")
    save("second.lua", "return 1")
    local server = process.serve([[
      require "first" require "second"
      app:get("/", function() return "loaded" end)
      app:get("/ticks", function() return sse.reply(sse.interval(0.05)) end)
    ]], { command = "dev" })
    local function failures() return select(2, server:stderr():gsub("not reloaded", "")) end
    save("second.lua", "return 2")
    save("first.lua", "return +")
    process.eventually("the error", function() return failures() > 0 end)
    server:ticks("/ticks", 20)
    assert(failures() <= 2, failures()) -- the saves may be seen one by one
    save("first.lua", "return 3")
    process.eventually("a reload", function() return server:stderr():find("reloaded: generation 2", 1, true) end)
    server:stop()
  end)

  it("is not an empty file where it cannot be read", function()
    local server = process.serve([[
      local ok, why = pcall(dofile, ".")
      app:get("/", function() return tostring(ok) .. " " .. tostring(why) end)
    ]], { command = "dev" })
    assert.matches("^false cannot read", (select(2, server:get "/")))
    server:stop()
  end)
end)
