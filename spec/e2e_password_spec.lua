-- SPDX-License-Identifier: MIT
-- Passwords on the threads of the program: many at once, some whose clients leave, and an end while some are hashed.
local process = require "spec.process"

local APP = [[
local password = spate.crypto.password
local HASH = password.hash("secret", { cost = 2 })

app:get("/verify", function(req)
  local ok, message, code = password.verify(req.query.p, HASH)
  return tostring(ok == nil and code or ok)
end)
app:get("/hash", function() return password.hash("secret", { cost = 8 }) or "busy" end) -- a third of a second
app:get("/basic", spate.basic_auth { hashes = { ann = HASH } }, function(req) return "hello " .. req.ctx.user end)
app:get("/", function() return "hello" end)
]]

describe("passwords", function()
  before_each(process.enter)
  after_each(process.leave)

  it("are verified on threads, many at once", function()
    local server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
    local clients = {}
    for i = 1, 40 do clients[i] = server:ask("/verify?p=" .. (i % 2 == 0 and "secret" or "Secret")) end
    for i = 1, 40, 5 do process.reset(clients[i]) end
    for i = 1, 40 do
      if i % 5 ~= 1 then
        assert.equal(200, process.read_head(clients[i]))
        process.read_until(clients[i], i % 2 == 0 and "true" or "false")
      end
    end
    assert.same({ 200, "hello" }, { server:get "/" })
    server:stop()
  end)

  it("may be asked for by browsers", function()
    local server = process.serve(APP)
    for _ = 1, 3 do
      local client = process.ask(server.port, "/basic", "Authorization: Basic YW5uOnNlY3JldA==\r\n")
      assert.equal(200, process.read_head(client))
      process.read_until(client, "hello ann")
    end
    local client = process.ask(server.port, "/basic", "Authorization: Basic YW5uOlNlY3JldA==\r\n")
    assert.equal(401, process.read_head(client))
    server:stop()
  end)

  it("are hashed to their end where the server stops", function()
    local server = process.serve(APP)
    local clients = {}
    for i = 1, 3 do clients[i] = server:ask "/hash" end
    assert.same({ 200, "hello" }, { server:get "/" })
    server:kill "TERM"
    for i = 1, 3 do
      assert.equal(200, process.read_head(clients[i]))
      process.read_until(clients[i], "$y$jCT$")
    end
    assert.same({ 0 }, { server:wait() })
  end)

  it("are left where the server ends at once", function()
    local server = process.serve(APP)
    for _ = 1, 6 do server:ask "/hash" end
    assert.same({ 200, "hello" }, { server:get "/" })
    server:kill "TERM"
    server:says "stopping"
    server:kill "TERM"
    assert.same({ 0 }, { server:wait() })
  end)
end)
