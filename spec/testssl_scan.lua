-- SPDX-License-Identifier: MIT
-- What testssl.sh finds at the real program (`make scan`): protocols, ciphers, forward secrecy, known weaknesses. What it
-- says of a certificate, of an application's own fields and of an engine that its own OpenSSL lacks is left out.
local certificates = require "spec.certificates"
local helper = require "spec.helper"
local process = require "spec.process"

local APP = 'app:get("/", function() return "hello" end)\n'
local CHECKS = "--protocols --std --pfs --vulnerable"
local SEVERE = { MEDIUM = true, HIGH = true, CRITICAL = true, FATAL = true, WARN = true }

describe("testssl.sh", function()
  local directory

  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  it("finds nothing above low", function()
    certificates.make(directory, "a", { names = { "DNS:localhost" } })
    local server = process.serve(APP, {
      settings = ("{ tls = { cert = %q, key = %q }, timeouts = { idle = 1, handshake = 2 }, limits = { connections_per_address = 10000 } }")
        :format(directory .. "/a.pem", directory .. "/a.key"),
      arguments = { "-l", "https://127.0.0.1:0" },
    })
    process.shell("unset LD_PRELOAD; timeout 900 testssl --quiet --color 0 --warnings off --nodns none %s --jsonfile %s/found.json 127.0.0.1:%d >%s/said </dev/null",
      CHECKS, directory, server.port, directory)
    local found, counted = {}, 0
    for _, each in ipairs(helper.json.decode(process.read_file(directory .. "/found.json"))) do
      counted = counted + 1
      if SEVERE[each.severity] and each.id ~= "engine_problem" then found[#found + 1] = ("%s %s: %s"):format(each.severity, each.id, each.finding) end
    end
    assert.same({}, found)
    assert.is_true(counted > 40, process.read_file(directory .. "/said"))
    server:stop()
  end)
end)
