-- SPDX-License-Identifier: MIT
-- spate.mcp as the protocol's own programs judge it: the conformance suite, and the official client.
local clients = require "spec.clients"
local process = require "spec.process"

local installed = clients.are_installed "spec/e2e_mcp_spec.lua"
local it = installed and it or pending
local has_node = installed and clients.node_version() >= 20 -- which what the suite stands on needs
local suite = has_node and it or pending

local SCENARIOS = 32

describe("spate.mcp", function()
  local directory, server
  before_each(function()
    directory = process.enter()
    server = process.serve(clients.FOLDER .. "/mcp_everything.lua", { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
  end)
  after_each(function()
    clients.leave()
    process.leave()
  end)

  local function url() return ("http://127.0.0.1:%d/mcp"):format(server.port) end

  suite("passes the conformance suite, all of it" .. (installed and not has_node and ": needs Node 20" or ""), function()
    process.shell("cd %s && env -u LD_PRELOAD -u http_proxy timeout 60 node --import %s/conformance_hook.mjs %s/node_modules/@modelcontextprotocol/conformance/dist/index.js server --suite all --url %s >suite 2>&1 </dev/null || true",
      directory, clients.FOLDER, clients.FOLDER, url())
    local text = process.read_file(directory .. "/suite")
    local passed = 0
    for name, failed in text:gmatch "\n%S+ ([%w-]+): %d+ passed, (%d+) failed" do
      assert.equal("0", failed, name .. "\n" .. text)
      passed = passed + 1
    end
    assert.equal(SCENARIOS, passed, text)
    assert.matches("Total: %d+ passed, 0 failed", text)
    server:stop()
  end)

  it("serves the official client over two workers: progress, questions, resumption, subscriptions, cancelling, the end", function()
    local seen = clients.start(directory, "mcp_session", { url() }):finish()
    assert.same({
      { server = { name = "everything", version = "1" }, session = 36 },
      { counted = { counted = 3 }, seen = { 1, 2, 3 } },
      { asked = 'Elicitation completed: action=accept, content={"email":"a@b","username":"who?"}' },
      { resumed = "Reconnection test completed successfully" },
      { wrong = "'to' is no integer" },
      { updated = "test://watched-resource" },
      { cancelled = "MCP error -32001: enough" },
      { ended = 404 },
    }, seen)
    server:stop()
  end)
end)
