-- SPDX-License-Identifier: MIT
-- TLS in memory: handshakes, hosts, tickets, certificates of clients, ends, limits. Virtual time.
local certificates = require "spec.certificates"
local helper = require "spec.helper"
local tls = require "spec.tls"

local harness = helper.harness

local APP = [[
app:get("/", function(req) return { scheme = req.scheme, url = req.url } end)
app:get("/tls", function(req) return req.tls or { none = true } end)
app:get("/ticks", function() return sse.reply(sse.interval(1)) end)
app:get("/asked", function() spate.log.warn "it was asked" return "" end)
app:get("/large", function() return ("x"):rep(1000000) end)
app:post("/body", function(req) return tostring(#req:body()) end)
app:post("/late", function(req)
  sse.sleep(2)
  return tostring(#req:body())
end)
app:get("/never", function() return sse.reply(sse.never()) end)
]]

describe("TLS", function()
  local directory, server, a, ca

  local function host(name, more)
    local cert = { cert = ("%s/%s.pem"):format(directory, name), key = ("%s/%s.key"):format(directory, name) }
    for key, value in pairs(more or {}) do cert[key] = value end
    return cert
  end

  local function serve(setting, more)
    local settings = { tls = setting, log = { level = "debug" } }
    for key, value in pairs(more or {}) do settings[key] = value end
    server = helper.serve(APP, { settings = settings, epoch = os.time() })
    return server
  end

  setup(function()
    directory = certificates.directory()
    a = certificates.make(directory, "a.example")
    certificates.make(directory, "b.example", { names = { "DNS:b.example", "DNS:*.b.example" } })
    certificates.make(directory, "strict.example")
    ca = certificates.make(directory, "ca", { is_ca = true })
    certificates.make(directory, "client", { issuer = "ca", subject = "/O=Guests/CN=Ada",
      names = { "email:ada@example.org", "URI:spiffe://example.org/ada", "DNS:ada.example" } })
    certificates.make(directory, "stranger")
  end)

  teardown(function() certificates.remove(directory) end)

  after_each(function()
    if server then server:close() end
    server = nil
  end)

  it("takes a partial label in a certificate for no name, and no host that nobody could ask for", function()
    certificates.make(directory, "partial", { names = { "DNS:a*.b.example" } })
    local ok, why = pcall(serve, { cert = directory .. "/a.example.pem", key = directory .. "/a.example.key", host "partial" })
    collectgarbage() -- what was made of that server
    assert.is_false(ok)
    assert.matches("tls.cert: .*/partial.pem: it has no name of a host, so nobody is served by it: expected name beside it", tostring(why))
    serve { cert = directory .. "/a.example.pem", key = directory .. "/a.example.key", host("partial", { name = "*.b.example" }) }
    server:close()
    serve(host "partial") -- alone it is everybody's
    assert.equal("/CN=partial", tls.connect(server, { sni = "a.example" }):is().subject)
  end)

  it("takes names of hosts as long as they may be, and no others", function()
    local function serves(name)
      local ok, why = pcall(serve, { cert = a, key = host("a.example").key, host("b.example", { name = name }) })
      collectgarbage()
      if ok then
        local subject = tls.connect(server, { sni = (name:gsub("^%*", "www")) }):is().subject
        server:close()
        server = nil
        return subject == "/CN=b.example"
      end
      assert.matches("name: expected one such as", tostring(why))
      return nil
    end
    for _, name in ipairs { "x", "*.x", "_a-B.9", ("x"):rep(255) } do assert.is_true(serves(name), name) end
    for _, name in ipairs { ".x", "*.", "*", "*x.y", "*xy.z", "*..x", "a*.b", "x:1", "x y", ("x"):rep(256) } do assert.is_nil(serves(name), name) end
  end)

  it("takes a name with a NUL in a certificate for none, where another's stands before that", function()
    -- DNS:a\0.c, DNS:good.exampl
    certificates.make(directory, "nul", { names = { "DER:30:14:82:04:61:00:2E:63:82:0c:67:6f:6f:64:2e:65:78:61:6d:70:6c:65" } })
    serve { cert = a, key = host("a.example").key, host "nul", host("strict.example", { verify_client = "any" }) }
    assert.equal("/CN=nul", tls.connect(server, { sni = "good.example" }):is().subject)
    assert.equal("/CN=a.example", tls.connect(server, { sni = "a" }):is().subject)
    local client = tls.connect(server, host("nul", { sni = "strict.example" }))
    assert.same({ "DNS:good.example" }, server:get("/tls", { client = client }):json().client.san)
  end)

  it("tells of a name in a client's certificate whatever its length", function()
    local long = "URI:https://example.org/" .. ("x"):rep(2000)
    certificates.make(directory, "long", { names = { long, "DNS:short" } })
    serve(host("a.example", { verify_client = "any" }))
    assert.same({ long, "DNS:short" }, server:get("/tls", { client = tls.connect(server, host "long") }):json().client.san)
  end)

  it("goes by its own order of ciphers, but for clients that compute ChaCha20 more easily", function()
    local chacha, aes = "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384"
    serve(host "a.example")
    local function chosen(options) return tls.connect(server, options):is().cipher end
    assert.equal(aes, chosen { suites = "TLS_AES_128_GCM_SHA256:" .. aes })
    assert.equal(chacha, chosen { suites = chacha .. ":" .. aes })
    assert.equal(aes, chosen { suites = aes .. ":" .. chacha })
    assert.equal("ECDHE-ECDSA-AES256-GCM-SHA384", chosen { max = "1.2", ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384" })
    assert.equal("ECDHE-ECDSA-CHACHA20-POLY1305", chosen { max = "1.2", ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384" })
    assert.matches("handshake failure", tls.connect(server, { max = "1.2", ciphers = "ECDHE-ECDSA-AES256-SHA384" }):is().why)
  end)

  it("takes the ciphers and groups that the settings name instead of its own", function()
    serve(host("a.example", { ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" }))
    assert.equal("ECDHE-ECDSA-AES128-GCM-SHA256", tls.connect(server, { max = "1.2" }):is().cipher)
    server:close()
    serve(host("a.example", { groups = "P-521" }))
    assert.is_true(tls.connect(server, { groups = "P-521" }):is().open)
    assert.is_false(tls.connect(server, { groups = "P-256" }):is().open)
    server:close()
    serve(host "a.example")
    assert.is_false(tls.connect(server, { groups = "P-521" }):is().open)
    for _, group in ipairs { "X25519", "P-256", "P-384" } do assert.is_true(tls.connect(server, { groups = group }):is().open, group) end
  end)

  it("agrees on no HTTP/2 where it is switched off", function()
    if helper.harness.hpack then
      serve(host "a.example")
      assert.equal("h2", tls.connect(server, { alpn = { "h2", "http/1.1" } }):is().alpn)
      server:close()
    end
    serve(host "a.example", { http2 = false })
    assert.equal("http/1.1", tls.connect(server, { alpn = { "h2", "http/1.1" } }):is().alpn)
    assert.matches("no application protocol", tls.connect(server, { alpn = { "h2" } }):is().why)
  end)

  it("carries requests, streams and bodies, whatever their size", function()
    serve(host "a.example")
    local client = tls.connect(server)
    local r = server:get("/", { client = client })
    assert.same({ scheme = "https", url = "https://spec/" }, r:json())
    assert.equal("1000000", server:post("/body", { client = client, body = ("y"):rep(1000000) }):body())
    assert.equal(1000000, #server:get("/large", { client = client }):body())
    server:get("/ticks", { client = client })
    server:advance(2.5)
    assert.matches("data: 1\n\n.*data: 2\n\n", client:take())
  end)

  it("speaks TLS 1.2 and 1.3, and nothing older", function()
    serve(host "a.example")
    assert.equal("TLSv1.3", tls.connect(server):is().version)
    assert.equal("TLSv1.2", tls.connect(server, { max = "1.2" }):is().version)
    local old = tls.connect(server, { min = "1.1", max = "1.1" })
    assert.is_false(old:is().open)
    assert.matches("unsupported protocol", server:log())
    assert.equal(1, server:stats().tls_refused_total)
  end)

  it("speaks TLS 1.3 only where min says so", function()
    serve(host("a.example", { min = "1.3" }))
    assert.is_false(tls.connect(server, { max = "1.2" }):is().open)
    assert.is_true(tls.connect(server):is().open)
  end)

  it("agrees on http/1.1, and refuses who offers other protocols only", function()
    serve(host "a.example")
    assert.equal("http/1.1", tls.connect(server, { alpn = { "spdy/1", "http/1.1" } }):is().alpn)
    assert.equal("", tls.connect(server):is().alpn)
    local refused = tls.connect(server, { alpn = { "spdy/1" } })
    assert.is_false(refused:is().open)
    assert.matches("no application protocol", refused:is().why)
  end)

  describe("hosts", function()
    before_each(function() serve { cert = a, key = host("a.example").key, host "b.example", host("strict.example", { client_ca = ca }) } end)

    local function subject(name) return tls.connect(server, { sni = name }):is().subject end

    it("have the certificate of their name, of their wildcard for one label, or else the first", function()
      assert.equal("/CN=b.example", subject "b.example")
      assert.equal("/CN=b.example", subject "B.Example")
      assert.equal("/CN=b.example", subject "www.b.example")
      assert.equal("/CN=a.example", subject "x.www.b.example")
      assert.equal("/CN=b.example", subject "www.b.example.")
      assert.equal("/CN=a.example", subject ".b.example")
      assert.equal("/CN=a.example", subject "b.exampl")
      assert.equal("/CN=a.example", subject "wwwb.example")
      assert.equal("/CN=a.example", subject "a.example")
      assert.equal("/CN=a.example", subject "other.example")
      assert.equal("/CN=a.example", subject(nil))
    end)

    it("have the first 256 names of their certificate", function()
      local names = {}
      for i = 1, 258 do names[i] = ("DNS:n%d"):format(i) end
      certificates.make(directory, "many", { names = names })
      server:close()
      serve { cert = a, key = host("a.example").key, host "many" }
      for name, wanted in pairs { n1 = "/CN=many", n256 = "/CN=many", n257 = "/CN=a.example", n258 = "/CN=a.example" } do
        assert.equal(wanted, subject(name), name)
      end
    end)

    it("have an exact name before a wildcard, whichever stands first", function()
      local exact, wildcard = host("b.example", { name = "x.w.example" }), host("strict.example", { name = "*.w.example" })
      for _, order in ipairs { { exact, wildcard }, { wildcard, exact } } do
        server:close()
        serve { cert = a, key = host("a.example").key, order[1], order[2] }
        assert.equal("/CN=b.example", subject "x.w.example")
        assert.equal("/CN=strict.example", subject "y.w.example")
      end
      server:close()
      exact[1] = wildcard
      serve(exact)
      assert.equal("/CN=b.example", subject "x.w.example")
    end)

    it("have no other name than those of DNS", function()
      certificates.make(directory, "numbers", { names = { "IP:97.98.99.100", "email:abcd", "DNS:b.example" } }) -- the first is of the same bytes
      server:close()
      serve { cert = a, key = host("a.example").key, host "numbers" }
      assert.equal("/CN=numbers", subject "b.example")
      assert.equal("/CN=a.example", subject "abcd")
    end)

    it("that demand a certificate of clients get one, though another's context began the handshake", function()
      local without = tls.connect(server, { sni = "strict.example" })
      server:get("/", { client = without })
      assert.matches("certificate", without:is().why)
      assert.matches("peer did not return a certificate", server:log())
      local with = tls.connect(server, host("client", { sni = "strict.example" }))
      assert.equal(1, with:is().authorities)
      assert.equal(200, server:get("/", { client = with }):status())
      local stranger = tls.connect(server, host("stranger", { sni = "strict.example" }))
      assert.is_nil(server:get("/", { client = stranger }):status())
      assert.matches("self%-signed certificate", server:log())
    end)

    it("that demand one are not asked over a connection to another", function()
      local client = tls.connect(server, { sni = "a.example" })
      assert.equal(200, server:get("/", { client = client, headers = { Host = "b.example" } }):status())
      assert.equal(421, server:get("/", { client = client, headers = { Host = "strict.example:8443" } }):status())
      assert.equal(421, server:get("/", { client = client, headers = { Host = "STRICT.example." } }):status())
      assert.equal(421, server:get("/asked", { client = client, headers = { Host = "strict.example" } }):status())
      assert.not_match("it was asked", server:log())
      assert.equal(200, server:get("/asked", { client = client, headers = { Host = "a.example" } }):status())
      assert.match("it was asked", server:log())
    end)

    it("that demand one may share a connection where they trust the same, and demand as much", function()
      local strict, same, optional, free = host("strict.example", { client_ca = ca }), host("b.example", { name = "same.example", client_ca = ca }),
        host("b.example", { name = "optional.example", client_ca = ca, verify_client = "optional" }), host("b.example", { name = "free.example" })
      local other = host("b.example", { name = "other.example", client_ca = directory .. "/stranger.pem" })
      server:close()
      serve { cert = a, key = host("a.example").key, strict, same, optional, free, other }
      local client = tls.connect(server, host("client", { sni = "strict.example" }))
      local function status(name) return server:get("/", { client = client, headers = { Host = name } }):status() end
      assert.equal(200, status "strict.example")
      assert.equal(200, status "same.example")
      assert.equal(200, status "free.example")
      assert.equal(421, status "optional.example")
      assert.equal(421, status "other.example")
    end)

    it("do not take each other's tickets", function()
      local function ticket_of(name, more)
        local client = tls.connect(server, more or { sni = name })
        server:get("/", { client = client })
        return client.tls:session()
      end
      for _, max in ipairs { "1.2", "1.3" } do
        local client = tls.connect(server, { sni = "a.example", max = max })
        server:get("/", { client = client })
        local session = client.tls:session()
        assert.is_true(tls.connect(server, { sni = "a.example", max = max, session = session }):is().reused)
        assert.is_false(tls.connect(server, { sni = "b.example", max = max, session = session }):is().reused)
        assert.is_false(tls.connect(server, { sni = "strict.example", max = max, session = session }):is().reused)
        assert.is_true(tls.connect(server, { sni = "a.example", max = max, session = session }):is().reused)
      end
      local known = host("client", { sni = "strict.example" })
      local again = tls.connect(server, { sni = "strict.example", session = ticket_of(nil, known) })
      assert.is_true(again:is().reused)
      assert.equal("CN=Ada,O=Guests", server:get("/tls", { client = again }):json().client.subject)
    end)
  end)

  it("tells what is known of a connection", function()
    serve(host("a.example", { client_ca = ca }))
    local client = tls.connect(server, host("client", { sni = "a.example" }))
    local known = server:get("/tls", { client = client }):json()
    local pipe <close> = assert(io.popen(("openssl x509 -in %s/client.pem -noout -fingerprint -sha256"):format(directory)))
    local fingerprint = pipe:read("a"):match("=(%S+)"):gsub(":", ""):lower()
    assert.same({ version = "TLSv1.3", cipher = "TLS_AES_256_GCM_SHA384", sni = "a.example", resumed = false,
      client = { subject = "CN=Ada,O=Guests", issuer = "CN=ca", fingerprint = fingerprint, verified = true,
        san = { "email:ada@example.org", "URI:spiffe://example.org/ada", "DNS:ada.example" } } }, known)
  end)

  it("tells the name that a client has asked for also where it resumes", function()
    serve(host "a.example")
    for _, max in ipairs { "1.2", "1.3" } do
      local first = tls.connect(server, { sni = "a.example", max = max })
      server:get("/", { client = first })
      local known = server:get("/tls", { client = tls.connect(server, { sni = "a.example", max = max, session = first.tls:session() }) }):json()
      assert.same({ true, "a.example" }, { known.resumed, known.sni })
    end
  end)

  it("tells of a certificate for nobody that it is for nobody, and of each name's characters what they are", function()
    certificates.make(directory, "nobody", { subject = "/" })
    certificates.make(directory, "odd", { subject = "/O=a\nb, c/CN=Ada", names = { "IP:127.0.0.1", "DNS:odd.example" } })
    serve(host("a.example", { verify_client = "any" }))
    local function known(name) return server:get("/tls", { client = tls.connect(server, host(name)) }):json().client end
    assert.same({ "", "", { "DNS:nobody" } }, { known("nobody").subject, known("nobody").issuer, known("nobody").san })
    assert.same({ "CN=Ada,O=a\\0Ab\\, c", { "DNS:odd.example" } }, { known("odd").subject, known("odd").san })
  end)

  it("tells of a plain connection nothing", function()
    serve(host "a.example")
    assert.same({ none = true }, server:get("/tls"):json())
    assert.equal("http", server:get("/"):json().scheme)
  end)

  it("takes clients with a certificate, without, or with any, as verify_client says", function()
    local function answers(setting)
      serve(host("a.example", setting))
      local list = {}
      for i, name in ipairs { "", "client", "stranger" } do
        local client = tls.connect(server, name ~= "" and host(name) or {})
        local r = server:get("/tls", { client = client })
        local known = r:status() == 200 and r:json()
        if not known then list[i] = "refused"
        elseif known.client then list[i] = known.client.verified
        else list[i] = "none" end
      end
      server:close()
      server = nil
      return list
    end
    assert.same({ "refused", true, "refused" }, answers { client_ca = ca })
    assert.same({ "refused", true, "refused" }, answers { client_ca = ca, verify_client = true })
    assert.same({ "none", true, "refused" }, answers { client_ca = ca, verify_client = "optional" })
    assert.same({ "none", true, false }, answers { client_ca = ca, verify_client = "any" })
    assert.same({ "none", false, false }, answers { verify_client = "any" })
    assert.same({ "none", "none", "none" }, answers { client_ca = ca, verify_client = false })
  end)

  describe("tickets", function()
    local function session_of(client)
      server:get("/", { client = client })
      return client.tls:session()
    end

    it("are made one at a time, and stand for no session that the server would keep", function()
      serve(host "a.example")
      local client = tls.connect(server)
      assert.equal(1, client:is().tickets)
      local without = tls.connect(server, { max = "1.2", without_tickets = "yes" })
      server:get("/", { client = without })
      local again = tls.connect(server, { max = "1.2", without_tickets = "yes", session = without.tls:session() })
      assert.is_false(again:is().reused)
      assert.is_true(again:is().open)
    end)

    it("of a host whose name is nearly another's are not that one's", function()
      local setting = { cert = a, key = host("a.example").key }
      for _, name in ipairs { "c.examplx", "c.examply", "*.examplx" } do setting[#setting + 1] = host("b.example", { name = name }) end
      serve(setting)
      local client = tls.connect(server, { sni = "c.examplx" })
      local session = session_of(client)
      assert.is_true(tls.connect(server, { sni = "c.examplx", session = session }):is().reused)
      assert.is_false(tls.connect(server, { sni = "c.examply", session = session }):is().reused)
      assert.is_false(tls.connect(server, { sni = "d.examplx", session = session }):is().reused)
      assert.is_true(tls.connect(server, { sni = "c.examplx", session = session }):is().reused)
    end)

    it("hold for two hours at least, over changes of their keys, and each use brings a new one", function()
      serve(host "a.example")
      local session = session_of(tls.connect(server))
      for _ = 1, 3 do
        server:advance(1.9 * 3600)
        local client = tls.connect(server, { session = session })
        assert.is_true(client:is().reused)
        session = session_of(client)
      end
      server:advance(3.1 * 3600)
      assert.is_false(tls.connect(server, { session = session }):is().reused)
      assert.same({ 5, 3 }, { server:stats().tls_handshakes_total, server:stats().tls_resumed_total })
    end)

    it("of one client hold, however many others come meanwhile", function()
      serve(host "a.example")
      local session = session_of(tls.connect(server))
      for _ = 1, 23 do
        session_of(tls.connect(server))
        server:advance(300)
      end
      assert.is_true(tls.connect(server, { session = session }):is().reused)
    end)

    it("are of all workers", function()
      serve(host "a.example")
      local other = helper.serve(APP, { with = server.core, settings = { tls = host "a.example" }, epoch = os.time() })
      local session = session_of(tls.connect(server))
      assert.is_true(tls.connect(other, { session = session }):is().reused)
      other:close()
    end)

    it("outlive the certificates, but not whom their host trusts", function()
      local bundle = directory .. "/bundle.pem"
      local function trust(...)
        assert(os.execute(("cat %s > %s"):format(table.concat({ ... }, " "), bundle)))
        assert(server == nil or server.core:read_certificates())
      end
      trust(ca)
      serve(host("a.example", { client_ca = bundle }))
      local session = session_of(tls.connect(server, host "client"))
      trust(ca)
      for _ = 1, 2 do assert.is_true(tls.connect(server, { session = session }):is().reused) end
      trust(ca, directory .. "/stranger.pem")
      assert.is_false(tls.connect(server, { session = session }):is().reused)
      trust(ca)
      assert.is_true(tls.connect(server, { session = session }):is().reused)
    end)

    it("do not outlive a change of the last byte of the file of whom their host trusts", function()
      local bundle = directory .. "/bundle.pem"
      local certificate = assert(io.open(ca)):read "a"
      local function trust(last) -- which is alone in what is read of it at a time
        local f <close> = assert(io.open(bundle, "w"))
        f:write(certificate, ("#"):rep(4096 - #certificate), last)
      end
      trust "1"
      serve(host("a.example", { client_ca = bundle }))
      local session = session_of(tls.connect(server, host "client"))
      for _, last in ipairs { "1", "2", "1" } do
        trust(last)
        assert(server.core:read_certificates())
        assert.equal(last == "1", tls.connect(server, { session = session }):is().reused)
      end
    end)

    it("and certificates that were replaced leave nothing behind", function()
      local names = {}
      for i = 1, 60 do names[i] = ("DNS:%d.many.example"):format(i) end
      certificates.make(directory, "many", { names = names })
      serve(host("a.example", { host "b.example", host("many", { client_ca = ca }) }))
      collectgarbage()
      local descriptors = harness.descriptors()
      assert.is_true(server:comes_to_rest(function()
        for _ = 1, 25 do assert(server.core:read_certificates()) end
      end))
      assert.equal(descriptors, harness.descriptors())
    end)

    it("outlive a certificate of the same names, and none of others, for who asks for no name", function()
      local function issue(...) certificates.make(directory, "renewed", { names = { ... } }) end
      issue("DNS:x.example", "DNS:y.example")
      serve(host "renewed")
      local session = session_of(tls.connect(server))
      local function resumes(...)
        issue(...)
        assert(server.core:read_certificates())
        return tls.connect(server, { session = session }):is().reused
      end
      assert.is_true(resumes("DNS:x.example", "DNS:y.example"))
      assert.is_false(resumes("DNS:z.example", "DNS:y.example"))
      assert.is_false(resumes("DNS:x.example", "DNS:z.example"))
      assert.is_false(resumes "DNS:x.example")
      assert.is_true(resumes("DNS:x.example", "DNS:y.example"))
    end)
  end)

  describe("ends", function()
    it("are told from truncations", function()
      serve(host "a.example")
      local polite, rude = tls.connect(server), tls.connect(server)
      for _, client in ipairs { polite, rude } do server:get("/ticks", { client = client }) end
      polite:finish()
      server:turn()
      assert.equal(0, server:stats().tls_truncated_total)
      rude:finish_rudely()
      server:turn()
      assert.equal(1, server:stats().tls_truncated_total)
      assert.matches("without close_notify", server:log())
      server:advance(1)
      assert.equal(0, server:stats().streams)
    end)

    it("in the middle of a handshake are told as what they are", function()
      serve(host "a.example")
      local client = server:connect(nil, "tls")
      client:finish()
      server:turn()
      assert.equal("closed", client:state())
      assert.matches("no handshake: it ended", server:log())
      client = tls.begin(server)
      client.tls:pump(client.raw)
      client.raw:finish()
      server:turn()
      assert.equal("closed", client:state())
      assert.matches("no handshake: it ended", server:log())
      client = server:connect(nil, "tls")
      client:send "\x16\x03\x01\x02\x00\x01"
      server:turn()
      client:reset()
      server:turn()
      assert.matches("no handshake: it broke off", server:log())
      assert.same({ 3, 0, 0 }, { server:stats().tls_refused_total, server:stats().tls_truncated_total, server:stats().connections })
    end)

    it("come behind all that was sent before them, however late that is read", function()
      for _, how in ipairs { "finish", "finish_rudely" } do
        serve(host "a.example")
        local client = tls.connect(server)
        client:send("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" .. ("y"):rep(300000))
        client[how](client)
        server:turn()
        assert.equal(0, server:stats().tls_truncated_total)
        server:advance(3)
        assert.matches("\r\n\r\n300000$", client:take())
        assert.equal(how == "finish" and 0 or 1, server:stats().tls_truncated_total)
        server:close()
        server = nil
      end
    end)

    it("of ours are said", function()
      serve(host "a.example")
      local client = tls.connect(server)
      local r = server:get("/", { client = client, headers = { Connection = "close" } })
      assert.equal(200, r:status())
      client:settle()
      assert.is_true(client:is().ended)
      assert.equal("ended", client:state())
    end)

    it("of who waits for the rest are no loss of it", function()
      serve(host "a.example")
      local client = tls.connect(server)
      client.raw:window(100)
      client:send "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      server:turn()
      client:finish()
      client.raw:window()
      local bytes = client:take()
      assert.equal(1000000, #bytes:match("\r\n\r\n(.*)$"))
      assert.is_true(client:is().ended)
    end)
  end)

  it("writes what a turn has for a subscriber as one record, by one write", function()
    server = helper.serve([[
local live = sse.channel "live"
app:get("/live", function() return live:subscribe() end)
app:post("/publish", function()
  for i = 1, 3 do live:publish { data = "event " .. i } end
  return reply.status(204)
end)
]], { settings = { tls = host "a.example" } })
    local clients = {}
    for i = 1, 5 do
      clients[i] = tls.connect(server)
      server:get("/live", { client = clients[i] })
      clients[i]:take()
    end
    local writes = clients[1].raw:writes()
    server:post "/publish"
    for _, client in ipairs(clients) do
      local bytes = client.raw:take()
      local length = string.unpack(">I2", bytes, 4)
      assert.same({ 0x17, #bytes - 5 }, { bytes:byte(), length })
    end
    assert.equal(writes + 1, clients[1].raw:writes())
  end)

  it("goes on however slowly and in whatever pieces bytes come and go", function()
    for step = 1, 7, 3 do
      serve(host "a.example")
      local client = tls.begin(server)
      client.raw:step(step * 97)
      client.raw:late()
      client.raw:pieces(step)
      client:settle()
      assert.is_true(client:is().open)
      assert.equal(1000000, #server:get("/large", { client = client }):body())
      server:close()
      server = nil
    end
  end)

  it("keeps no more encrypted than what is about to leave, and reads on meanwhile", function()
    serve(host "a.example")
    local client = tls.connect(server)
    client.raw:window(1000)
    client:send "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
    server:turn()
    client.raw:reset()
    server:turn()
    assert.equal(0, server:stats().connections)
  end)

  it("answers plain HTTP plainly", function()
    serve(host "a.example")
    local client = server:connect(nil, "tls")
    client:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    server:turn()
    assert.matches("^HTTP/1.1 400 .*this port speaks TLS", client:take())
    assert.equal("closed", client:state())
    assert.matches("no handshake: plain HTTP", server:log())
  end)

  it("tells who speaks TLS to a plain port", function()
    serve(host "a.example")
    local client = server:connect()
    client:send "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    server:turn()
    assert.matches("^HTTP/1.1 400 .*TLS.*plain HTTP", client:take())
  end)

  it("refuses what is no TLS, and says why at debug", function()
    serve(host "a.example")
    for _, bytes in ipairs { "\0\0\0\0\0\0\0\0", "\x16\x03\x01\xff\xff" .. ("\0"):rep(100), ("x"):rep(100) } do
      local client = server:connect("203.0.113.9", "tls")
      client:send(bytes)
      server:turn()
      assert.equal("closed", client:state())
      assert.matches("TLS: 203.0.113.9: no handshake: %l+", server:log())
    end
    assert.equal(3, server:stats().tls_refused_total)
  end)

  it("gives a handshake timeouts.handshake seconds", function()
    serve(host "a.example", { timeouts = { handshake = 3 } })
    local client = server:connect(nil, "tls")
    client:send "\x16\x03\x01\x02\x00\x01"
    server:advance(2.9)
    assert.equal("open", client:state())
    server:advance(0.2)
    assert.equal("closed", client:state())
    assert.matches("no handshake: it was not done in time", server:log())
    local silent = server:connect(nil, "tls")
    server:advance(3.1)
    assert.same({ "closed", "" }, { silent:state(), silent:take() })
  end)

  it("gives the request behind it timeouts.head seconds from there", function()
    serve(host "a.example", { timeouts = { handshake = 30, head = 3 } })
    local client = tls.connect(server)
    server:advance(2.9)
    assert.equal("open", client:state())
    server:advance(0.2)
    assert.equal("closed", client:state())
  end)

  it("gives a handshake, and the request behind it, a second each where the server stops", function()
    serve(host "a.example")
    local silent, late = server:connect(nil, "tls"), tls.connect(server)
    server.core:drain()
    server:advance(0.9)
    assert.matches("https", (server:get("/", { client = late }):body()))
    assert.equal("open", silent:state())
    server:advance(0.2)
    assert.equal("closed", silent:state())
  end)

  it("refuses one more handshake than limits.handshakes, and forgets those that are done", function()
    serve(host "a.example", { limits = { handshakes = 2 } })
    assert.is_true(tls.connect(server):is().open)
    local first, second, third = server:connect(nil, "tls"), server:connect(nil, "tls"), server:connect(nil, "tls")
    assert.same({ "open", "open", "closed" }, { first:state(), second:state(), third:state() })
    assert.matches("too many handshakes at a time", server:log())
    first:reset()
    server:turn()
    assert.is_true(tls.connect(server):is().open)
  end)

  it("ends who has keys changed without end", function()
    serve(host "a.example")
    local client = tls.connect(server)
    server:get("/ticks", { client = client })
    for _ = 1, 30 do client.tls:update_keys() end
    client:settle()
    server:advance(1)
    assert.matches("data: 1", client:take())
    for _ = 1, 30 do client.tls:update_keys() end
    client:settle()
    server:turn()
    assert.equal("closed", client:state())
    assert.matches("too many changes of keys", server:log())
  end)

  it("does not renegotiate", function()
    serve(host "a.example")
    local client = tls.connect(server, { max = "1.2" })
    client.tls:renegotiate()
    client:settle()
    assert.matches("no renegotiation", client:is().why)
  end)

  it("uses new certificates for new connections, and keeps the old where they cannot be used", function()
    local path = directory .. "/changing"
    local function copy(cert, key)
      assert(os.execute(("cp %s/%s.pem %s.pem && cp %s/%s.key %s.key"):format(directory, cert, path, directory, key, path)))
    end
    copy("a.example", "a.example")
    serve { cert = path .. ".pem", key = path .. ".key" }
    local old = tls.connect(server)
    copy("b.example", "b.example")
    assert.is_true(server.core:read_certificates())
    assert.equal("/CN=b.example", tls.connect(server):is().subject)
    copy("a.example", "b.example")
    local ok, why = server.core:read_certificates()
    assert.is_nil(ok)
    assert.matches("tls.key: .*/changing.key: key values mismatch", why)
    assert.equal("/CN=b.example", tls.connect(server):is().subject)
    assert.equal(200, server:get("/", { client = old }):status())
  end)

  it("does not ask the application for what it redirects", function()
    serve(host "a.example")
    local r = server:send("GET /asked HTTP/1.1\r\nHost: a.example\r\n\r\n", server:connect(nil, "redirect"))
    assert.matches("^HTTP/1%.1 308 ", r:raw())
    assert.not_match("it was asked", server:log())
  end)

  it("redirects what is asked at a plain address that says so", function()
    serve(host "a.example")
    local function location(target, name)
      local r = server:send(("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(target, name), server:connect(nil, "redirect"))
      assert.equal(308, r:status())
      return r:header "Location"
    end
    assert.equal("https://a.example:8443/x?y=1", location("/x?y=1", "a.example:8080"))
    assert.equal("https://[::1]:8443/", location("/", "[::1]:80"))
    assert.equal("https://b.example:8443/z", location("http://b.example/z", "a.example"))
    local r = server:send("GET / HTTP/1.0\r\n\r\n", server:connect(nil, "redirect"))
    assert.equal(400, r:status())
  end)
end)
