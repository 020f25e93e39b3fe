-- SPDX-License-Identifier: MIT
-- spate dev: a save that does not load is told to the pages that are open, and taken back by one that does. And the log
-- has no line for the favicon that browsers ask for. A UNIX socket needs no name of this machine.
local process = require "spec.process"

describe("spate dev", function()
  local directory
  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  local function save(source) process.write_file(directory .. "/app.lua", process.PRELUDE .. source .. "\nreturn app\n") end

  it("tells open pages what does not load", function()
    save 'app:get("/", function() return reply.html "<body></body>" end)'
    local server = process.serve("app.lua", { command = "dev", arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
    local page = server:ask "/.spate/live"
    process.read_until(page, "event: generation")
    save "app:get("
    process.contains(process.read_until(page, "app.lua:4"), "event: failed\n")
    local late = server:ask "/.spate/live"
    process.contains(process.read_until(late, "app.lua:4"), "event: failed\n")
    local _, body = server:get "/"
    process.contains(body, "failed", "EventSource")
    save 'app:on_start(function() error "no database" end)\napp:get("/", function() return "x" end)'
    process.read_until(page, "app.lua:3: no database")
    save 'app:get("/", function() return reply.html "<p>mended</p>" end)'
    process.eventually("the new code", function() return (select(2, server:get "/")):find "mended" end)
    local again = server:ask "/.spate/live"
    assert.is_nil(process.read_until(again, "event: generation"):find("failed", 1, true))
    for _, client in ipairs { page, late, again } do client:close() end
    server:stop()
  end)

  it("has no line for a favicon that is not there", function()
    save 'app:get("/", function() return "x" end)'
    local server = process.serve("app.lua", { command = "dev" })
    assert.equal(404, (server:get "/favicon.ico"))
    assert.equal(404, (server:get "/other.ico"))
    process.eventually("the log", function() return server:stderr():find("other.ico", 1, true) end)
    assert.is_nil(server:stderr():find("favicon", 1, true))
    server:stop()
  end)

  it("shows errors at a UNIX socket", function()
    save 'app:get("/", function() error "shown" end)'
    local server = process.serve("app.lua", { command = "dev", arguments = { "-l", "unix:" .. directory .. "/socket" } })
    local pipe <close> = assert(io.popen(("env -u LD_PRELOAD curl -s --unix-socket %s/socket http://any.example/"):format(directory)))
    process.contains(pipe:read "a", "shown")
    server:stop()
  end)
end)
