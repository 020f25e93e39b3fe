-- SPDX-License-Identifier: MIT
-- The start and the reload of the real program wait for on_start, on all workers, and for no longer than timeouts.start.
local process = require "spec.process"
local contains = process.contains

local function spate(arguments, name)
  local started = process.spawn(arguments)
  local code = started:wait()
  return code, started:stdout(), started:stderr(), name
end

describe("on_start of the program", function()
  local directory
  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  local function save(source) process.write_file(directory .. "/app.lua", process.PRELUDE .. source .. "\nreturn app\n") end

  for _, workers in ipairs { "1", "4" } do
    it("that raises ends the start, with " .. workers .. " workers", function()
      for _, source in ipairs { 'app:on_start(function() error "no database" end)', 'app:on_start(function() sse.sleep(0.05) error "no database" end)',
        'app:on_start(function() if spate.worker == ' .. workers - 1 .. ' then error "no database" end end, { each_worker = true })' } do
        save(source)
        local message = process.failure(1, { "serve", "app.lua", "-l", "127.0.0.1:0", "-w", workers })
        contains(message, "spate: app.lua:3: no database\n", "  >    3 | app:on_start")
      end
    end)

    it("that raises refuses a reload, with " .. workers .. " workers", function()
      local server = process.serve('app:get("/", function() return "old" end)\n', { arguments = { "-l", "127.0.0.1:0", "-w", workers } })
      for _ = 1, 3 do
        save 'app:on_start(function() sse.sleep(0.02) error "no database" end)\napp:get("/", function() return "new" end)'
        local code, _, err = spate { "reload", tostring(server.pid) }
        assert.equal(1, code)
        contains(err, "app.lua:3: no database\n")
        for _ = 1, 8 do assert.equal("old", (select(2, server:get "/"))) end
      end
      process.eventually("the log", function() return server:stderr():find("not reloaded: generation 1 goes on", 1, true) end)
      save 'app:on_start(function() sse.sleep(0.1) spate.shared("x"):set("up", true) end)\napp:get("/", function() return tostring(spate.shared("x"):get "up") end)'
      assert.equal(0, (spate { "reload", tostring(server.pid) }))
      for _ = 1, 8 do assert.equal("true", (select(2, server:get "/"))) end
      process.eventually("the log", function() return server:stderr():find("reloaded: generation 2", 1, true) end)
      server:stop()
    end)
  end

  it("is over before the address is announced", function()
    local server = process.serve [[
      local up = false
      app:on_start(function() sse.sleep(0.3) up = true end)
      app:get("/", function() return tostring(up) end)
    ]]
    assert.equal("true", (select(2, server:get "/")))
    server:stop()
  end)

  it("that does not end is why the start fails after timeouts.start", function()
    save "app:on_start(function()\n  while true do sse.sleep(0.01) end\nend)"
    process.write_file(directory .. "/settings.lua", "return { timeouts = { start = 0.2 } }")
    local message = process.failure(1, { "serve", "app.lua", "-l", "127.0.0.1:0", "-w", "2", "-c", "settings.lua" })
    contains(message, "spate: app.lua:4: an on_start function has not ended after 0.2 s (timeouts.start)\n", "hint: ", "sse.spawn")
  end)

  it("ends with the server that is stopped meanwhile", function()
    local server = process.serve('app:get("/", function() return "old" end)\n', { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
    save 'app:on_start(function() sse.sleep(20) end)\napp:get("/", function() return "new" end)'
    local reload = process.spawn { "reload", tostring(server.pid) }
    require("socket").sleep(0.3)
    assert.equal("old", (select(2, server:get "/")))
    server:stop()
    assert.equal(1, (reload:wait()))
  end)

  it("in spate dev answers requests with why, until it is mended", function()
    save 'app:on_start(function() error "no database" end)'
    local server = process.serve("app.lua", { command = "dev" })
    local status, body = server:get "/"
    assert.equal(500, status)
    contains(body, "app.lua:3: no database")
    save 'app:get("/", function() return "mended" end)'
    process.eventually("the mended code", function() return select(2, server:get "/") == "mended" end)
    save 'app:on_start(function() error "again" end)\napp:get("/", function() return "broken" end)'
    process.eventually("the report", function() return server:stderr():find("app.lua:3: again", 1, true) end)
    assert.equal("mended", (select(2, server:get "/")))
    server:stop()
  end)
end)
