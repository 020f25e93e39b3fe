-- SPDX-License-Identifier: MIT
-- The answer of a server that refuses a body before its end was passed on by reply.proxy when the client sent more of that,
-- which one that waits for the answer does not; silence in an answer behind which the body was left was no timeout.
local process = require "spec.process"
local servers = require "spec.servers"

describe("reply.proxy, where the answer begins before the body's end", function()
  local bad, server

  setup(function()
    local dir = process.enter()
    process.write_file(dir .. "/log", "")
    bad = servers.run(("lua5.4 %s/spec/misbehaving_server.lua %s/log"):format(process.ROOT, dir))
    server = process.serve(([[
app:post("/*rest", function() return reply.proxy("http://127.0.0.1:%d", { timeout = { idle = 1 } }) end)
]]):format(bad.port))
  end)

  teardown(function()
    server:stop()
    servers.stop()
    process.leave()
  end)

  -- What comes where three bytes of six are sent.
  local function post(path)
    local client = server:connect(("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabc"):format(path))
    client:settimeout(5 * process.SECONDS)
    local bytes, err, part = client:receive "*a"
    client:close()
    return bytes or part, err
  end

  it("passes it on at once", function()
    local bytes = post "/refused"
    assert.matches("^HTTP/1.1 413 ", bytes)
    assert.matches("\r\n\r\nfirst$", bytes)
  end)

  it("waits for the rest of it no longer than for any other", function()
    local bytes, err = post "/refused-in-part"
    assert.matches("^HTTP/1.1 413 ", bytes)
    assert.not_equal("timeout", err)
  end)
end)
