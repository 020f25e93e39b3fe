-- SPDX-License-Identifier: MIT
-- A file of revoked certificates alone was taken for `client_ca`: nothing was refused at the start, and every client later.
local certificates = require "spec.certificates"
local helper = require "spec.helper"

local REVOKED = [[
-----BEGIN X509 CRL-----
MIGRMDkwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2EXDTI2MTEyODAwMTY1OFoX
DTM2MTEyNTAwMTY1OFowCgYIKoZIzj0EAwIDSAAwRQIhAKqzNkG8v4BsnYnpUKoU
k2F5PwH3Ioh1C7F6CZfBy+DgAiB9UUsrhXF1NHfuJ1xDICrKZ2AE9QIQDnhBbEu0
pYLsBg==
-----END X509 CRL-----
]]

describe("a client_ca that holds no certificate", function()
  local directory
  setup(function() directory = certificates.directory() end)
  teardown(function() certificates.remove(directory) end)

  it("is refused, also where it holds what was revoked", function()
    local cert, key = certificates.make(directory, "a.example")
    local path = directory .. "/revoked.pem"
    local f <close> = assert(io.open(path, "w"))
    assert(f:write(REVOKED))
    f:flush()
    local list, why = helper.harness.certificates { cert = cert, key = key, client_ca = path }
    assert.is_nil(list)
    assert.equal("tls.client_ca: " .. path .. ": no PEM in it", why)
  end)
end)
