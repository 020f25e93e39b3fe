-- SPDX-License-Identifier: MIT
-- spate.hsts: what browsers are told, and when.
local helper = require "spec.helper"

local BY_HTTPS = { headers = { ["X-Forwarded-Proto"] = "https" } }

describe("spate.hsts", function()
  local function serve(options)
    return helper.serve(("app:use(spate.hsts(%s))\napp:get('/', function() return 'x' end)\n"):format(options or ""),
      { settings = { trusted_proxies = { "127.0.0.1" } } })
  end

  local function said(options)
    local server = serve(options)
    local value = server:get("/", BY_HTTPS):header "Strict-Transport-Security"
    server:close()
    return value
  end

  it("is a year, of this host, unless told otherwise", function()
    assert.equal("max-age=31536000", said())
    assert.equal("max-age=31536000", said "{}")
    assert.equal("max-age=60; includeSubDomains; preload", said "{ max_age = 60, include_subdomains = true, preload = true }")
    assert.equal("max-age=0", said "{ max_age = 0 }")
  end)

  it("is said over https only, and of errors too", function()
    local server = serve()
    assert.is_nil(server:get("/"):header "Strict-Transport-Security")
    assert.equal("max-age=31536000", server:get("/none", BY_HTTPS):header "Strict-Transport-Security")
    server:close()
  end)

  it("refuses what it does not know, at the line of who asks", function()
    assert.matches("spate.hsts: unknown option 'age'", helper.load_error "app:use(spate.hsts{ age = 1 })\n")
    assert.matches("spate.hsts: max_age: expected an integer of 0 or more", helper.load_error "app:use(spate.hsts{ max_age = 1.5 })\n")
    assert.matches("spate.hsts: preload: expected true or false", helper.load_error "app:use(spate.hsts{ preload = 1 })\n")
  end)
end)
