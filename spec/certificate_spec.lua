-- SPDX-License-Identifier: MIT
-- The certificate that `spate dev --tls` makes, and what `spate check` says of certificates.
local certificates = require "spec.certificates"
local helper = require "spec.helper"
local tls = require "spec.tls"

local harness = helper.harness
local DAY = 86400

describe("a certificate", function()
  local directory, cert, key

  before_each(function()
    directory = certificates.directory()
    cert, key = directory .. "/own.pem", directory .. "/own.key"
  end)
  after_each(function() certificates.remove(directory) end)

  local function output(...)
    local pipe <close> = assert(io.popen((...):format(select(2, ...)) .. " 2>&1"))
    return pipe:read "a"
  end

  describe("of one's own for localhost", function()
    it("is one that its server shows, and who trusts it finds good for each name of this machine", function()
      assert.is_true(harness.make_certificate(cert, key))
      local server = helper.serve([[app:get("/", function() return "hello" end)]], { settings = { tls = { cert = cert, key = key } } })
      local client = tls.connect(server, { sni = "localhost" })
      assert.equal("/CN=localhost (spate dev)", client:is().subject)
      assert.equal("hello", (server:get("/", { client = client }):body()))
      server:close()
      for _, name in ipairs { "-verify_hostname localhost", "-verify_ip 127.0.0.1", "-verify_ip ::1" } do
        assert.matches("own.pem: OK", output("openssl verify -x509_strict -purpose sslserver -CAfile %s %s %s", cert, name, cert))
      end
      assert.matches("mismatch", output("openssl verify -CAfile %s -verify_hostname a.example %s", cert, cert))
    end)

    it("signs for servers only, and nobody else's", function()
      assert.is_true(harness.make_certificate(cert, key))
      local text = output("openssl x509 -in %s -noout -text", cert)
      assert.matches("Version: 3", text)
      assert.matches("Basic Constraints: critical%s+CA:FALSE", text)
      assert.matches("Key Usage: critical%s+Digital Signature\n", text)
      assert.matches("Extended Key Usage: *\n%s+TLS Web Server Authentication\n", text)
      assert.matches("Alternative Name: *\n%s+DNS:localhost, DNS:%*%.localhost, IP Address:127%.0%.0%.1, IP Address:0:0:0:0:0:0:0:1\n", text)
      assert.matches("Issuer: CN *= *localhost %(spate dev%)\n", text)
      assert.matches("prime256v1.*ecdsa%-with%-SHA256", text)
    end)

    it("has a number of its own, which is positive and of 16 bytes at most", function()
      local known = {}
      for _ = 1, 12 do
        assert.is_true(harness.make_certificate(cert, key))
        local serial = output("openssl x509 -in %s -noout -serial", cert):match "serial=(%-?%x+)"
        assert.is_true(not serial:find "-" and #serial > 16 and #serial <= 32, serial)
        assert.is_nil(known[serial])
        known[serial] = true
      end
    end)

    it("holds for a year from now, and has held for an hour, where clocks differ", function()
      assert.is_true(harness.make_certificate(cert, key))
      local left = harness.certificates({ cert = cert, key = key })[1].seconds
      assert.is_true(math.abs(left - 365 * DAY) < 60, left)
      local began = output("date -u -d \"$(openssl x509 -in %s -noout -startdate | cut -d= -f2)\" +%%s", cert)
      assert.is_true(math.abs(os.time() - tonumber(began) - 3600) < 60, began)
      local function seconds()
        assert.is_true(harness.make_certificate(cert, key))
        local from, to = output("for d in start end; do date -u -d \"$(openssl x509 -in %s -noout -${d}date | cut -d= -f2)\" +%%s; done", cert):match "(%d+)\n(%d+)"
        return to - from
      end
      local times = 1
      while seconds() ~= 365 * DAY + 3600 do -- but where a second has passed meanwhile
        times = times + 1
        assert.is_true(times < 5)
      end
    end)

    it("leaves nothing behind as it is made", function()
      assert.is_true(helper.comes_to_rest(function()
        for _ = 1, 20 do assert.is_true(harness.make_certificate(cert, key)) end
      end))
    end)

    it("has a key that nobody else may read, whatever was there before", function()
      assert(os.execute(("touch %s %s && chmod 666 %s %s"):format(cert, key, cert, key)))
      for _ = 1, 2 do
        assert.is_true(harness.make_certificate(cert, key))
        assert.equal("644 600 ", (output("stat -c %%a %s %s", cert, key):gsub("\n", " ")))
        os.remove(cert)
        os.remove(key)
      end
    end)

    it("takes the place of a longer file whole", function()
      for _, path in ipairs { cert, key } do
        local f <close> = assert(io.open(path, "w"))
        f:write(("old\n"):rep(5000))
      end
      assert.is_true(harness.make_certificate(cert, key))
      assert.not_matches("old", output("cat %s %s", cert, key))
      assert.equal(1, #harness.certificates { cert = cert, key = key })
    end)

    it("is not written through a link, nor where it cannot be, and says why", function()
      collectgarbage()
      local descriptors = harness.descriptors()
      assert(os.execute(("echo mine > %s/mine && ln -s mine %s"):format(directory, key)))
      local made, why = harness.make_certificate(cert, key)
      assert.is_nil(made)
      assert.matches("own.pem: Too many levels of symbolic links", why)
      assert.equal("mine\n", output("cat %s/mine", directory))
      os.remove(key)
      made, why = harness.make_certificate(directory, key)
      assert.is_nil(made)
      assert.matches("Is a directory", why)
      made, why = harness.make_certificate(directory .. "/none/own.pem", key)
      assert.is_nil(made)
      assert.matches("none/own.pem: No such file or directory", why)
      for _, path in ipairs { "cert", "key" } do
        made = harness.make_certificate(path == "cert" and "/dev/full" or cert, path == "key" and "/dev/full" or key)
        assert.is_nil(made, path)
      end
      collectgarbage()
      assert.equal(descriptors, harness.descriptors())
    end)
  end)

  it("is told of: how long it holds, and which names an earlier one has", function()
    local function pair(name, options)
      local c, k = certificates.make(directory, name, options)
      return { cert = c, key = k }
    end
    local setting = pair("a", { names = { "DNS:a.example", "DNS:shared.example" }, days = 10 })
    setting[1] = pair("b", { names = { "DNS:b.example" }, days = 20 })
    setting[2] = pair("c", { names = { "DNS:c.example", "DNS:SHARED.example" }, days = -1 })
    setting[3] = pair("d", { names = { "DNS:d.example", "DNS:b.example" } })
    setting[4] = pair("e", { names = { "DNS:a.example", "DNS:e.example" } })
    local list = harness.certificates(setting)
    local days, names = {}, {}
    for i, one in ipairs(list) do
      days[i] = one.seconds < 0 and "ended" or math.floor(one.seconds / DAY + 0.5)
      names[i] = one.name and one.name .. " " .. one.other or ""
      assert.matches(("abcde"):sub(i, i) .. "%.pem$", one.file)
    end
    assert.same({ 10, 20, "ended", 90, 90 }, days)
    assert.same({ "", "", "SHARED.example 1", "b.example 2", "a.example 1" }, names)
  end)

  it("that cannot be used says why", function()
    local c, k = certificates.make(directory, "a.example")
    local _, rsa = certificates.make(directory, "rsa.example", { algorithm = "rsa" })
    local _, other = certificates.make(directory, "other.example")
    local locked, text = directory .. "/locked.key", directory .. "/text"
    output("openssl ec -in %s -aes128 -passout pass:secret -out %s", k, locked)
    output("echo hello > %s", text)
    local broken = directory .. "/broken"
    output("printf -- '-----BEGIN CERTIFICATE-----\\n!!!!\\n-----END CERTIFICATE-----\\n' > %s", broken)
    local none = directory .. "/none"
    for _, case in ipairs {
      { { cert = none, key = k }, "cert", none, "No such file or directory" },
      { { cert = text, key = k }, "cert", text, "no PEM in it" },
      { { cert = broken, key = k }, "cert", broken, "bad base64 decode" },
      { { cert = c, key = none }, "key", none, "No such file or directory" },
      { { cert = c, key = locked }, "key", locked, "interrupted or cancelled" },
      { { cert = c, key = rsa }, "key", rsa, "no certificate assigned" },
      { { cert = c, key = other }, "key", other, "key values mismatch" },
      { { cert = c, key = k, client_ca = none }, "client_ca", none, "No such file or directory" },
      { { cert = c, key = k, ciphers = "NONE-SUCH" }, "ciphers", "NONE-SUCH", "no cipher match" },
    } do
      pcall(harness.tls, { ca = text }) -- what others have left behind is not why
      local list, why = harness.certificates(case[1])
      assert.is_nil(list)
      assert.equal(("tls.%s: %s: %s"):format(case[2], case[3], case[4]), why)
      assert.is_true(helper.comes_to_rest(function()
        for _ = 1, 10 do harness.certificates(case[1]) end
      end))
    end
  end)

  it("that cannot be used says so, and so do ciphers and groups that nobody knows", function()
    local c, k = certificates.make(directory, "a.example")
    for setting, bad in pairs { cert = directory .. "/none", key = directory .. "/none", client_ca = directory .. "/none", ciphers = "NONE-SUCH", groups = "none-such" } do
      local given = { cert = c, key = k }
      given[setting] = bad
      local list, why = harness.certificates(given)
      assert.is_nil(list, setting)
      assert.matches(("^tls%%.%s: %s: ."):format(setting, (bad:gsub("%p", "%%%0"))), why)
    end
  end)
end)
