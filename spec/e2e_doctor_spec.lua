-- SPDX-License-Identifier: MIT
-- spate doctor through real proxies, configured badly and well: the setting that is wrong is named, and where none is all is well.
local helper = require "spec.helper"
local process = require "spec.process"
local servers = require "spec.servers"

local json = helper.json
local SECONDS = process.SECONDS

local APP = [[
app:mount("/-/doctor", spate.doctor())
app:get("/silent", function() return sse.reply(sse.never():start_with("hello"), { keep_alive = false }) end)
]]

local function is_installed(name) return os.execute("command -v " .. name .. " >/dev/null") end

-- Ports of each kind: the names that are asked for are what its configuration calls PORT(name).
local function with_ports(text, ports)
  return (text:gsub("PORT%((%w+)%)", function(name)
    ports[name] = ports[name] or servers.free_port()
    return tostring(ports[name])
  end))
end

local NGINX = [[
  limit_conn_zone $binary_remote_addr zone=z:1m;
  proxy_read_timeout 1h;
  server { listen 127.0.0.1:PORT(good); location / { proxy_pass UP; } }
  server { listen 127.0.0.1:PORT(collects); location / { proxy_pass UP; proxy_ignore_headers X-Accel-Buffering; } }
  server { listen 127.0.0.1:PORT(gzip); gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 0; location / {
    proxy_pass UP; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_ignore_headers X-Accel-Buffering; } }
  server { listen 127.0.0.1:PORT(idle); location / { proxy_pass UP; proxy_read_timeout 3s; } }
  server { listen 127.0.0.1:PORT(loses); location / { proxy_pass UP; proxy_set_header Last-Event-ID ""; proxy_hide_header Cache-Control; } }
  server { listen 127.0.0.1:PORT(limits); location / { proxy_pass UP; limit_conn z 4; } }
  server { listen 127.0.0.1:PORT(deaf); location / {
    proxy_pass UP; proxy_http_version 1.1; proxy_ignore_client_abort on; proxy_ignore_headers X-Accel-Buffering; proxy_store DIR/stored; } }
  server { listen 127.0.0.1:PORT(tls) ssl http2; ssl_certificate DIR/server.pem; ssl_certificate_key DIR/server.key;
    location / { proxy_pass UP; proxy_set_header X-Forwarded-For $remote_addr; } }
]]

local APACHE = [[
  Listen 127.0.0.1:PORT(good)
  Listen 127.0.0.1:PORT(deflate)
  Listen 127.0.0.1:PORT(collects)
  Listen 127.0.0.1:PORT(idle)
  ExtFilterDefine sed mode=output cmd="/bin/sed s/x/x/"
  <VirtualHost 127.0.0.1:PORT(good)>
    ProxyPass / UP/ timeout=3600
  </VirtualHost>
  <VirtualHost 127.0.0.1:PORT(deflate)>
    ProxyPass / UP/ timeout=3600
    SetOutputFilter DEFLATE
    RequestHeader unset Last-Event-ID
  </VirtualHost>
  <VirtualHost 127.0.0.1:PORT(collects)>
    ProxyPass / UP/ timeout=3600
    <Location "/-/doctor">
      SetOutputFilter sed
    </Location>
  </VirtualHost>
  <VirtualHost 127.0.0.1:PORT(idle)>
    ProxyPass / UP/ timeout=3
  </VirtualHost>
]]

local HAPROXY = [[
defaults
  mode http
  timeout connect 20s
  timeout client 1h
  timeout server 1h
listen good
  bind 127.0.0.1:PORT(good)
  server s ADDRESS
listen gzip
  bind 127.0.0.1:PORT(gzip)
  filter compression
  compression algo gzip
  compression type text/event-stream
  server s ADDRESS
listen collects
  bind 127.0.0.1:PORT(collects)
  http-response wait-for-body time 5s
  server s ADDRESS
listen idle
  bind 127.0.0.1:PORT(idle)
  timeout server 3s
  server s ADDRESS
]]

local CADDY = [[
{
	admin off
	auto_https off
	servers 127.0.0.1:PORT(total) {
		timeouts {
			write 3s
		}
	}
}
(to) {
	bind 127.0.0.1
	reverse_proxy ADDRESS
}
http://127.0.0.1:PORT(good) {
	encode gzip
	import to
}
http://127.0.0.1:PORT(total) {
	import to
}
http://127.0.0.1:PORT(gzip) {
	encode gzip {
		match header Content-Type text/event-stream*
		minimum_length 1
	}
	import to
}
http://127.0.0.1:PORT(mended) {
	encode {
		gzip
		match header Content-Type text/html*
	}
	import to
}
http://127.0.0.1:PORT(collects) {
	bind 127.0.0.1
	reverse_proxy ADDRESS {
		buffer_responses
	}
}
http://127.0.0.1:PORT(idle) {
	bind 127.0.0.1
	reverse_proxy ADDRESS {
		transport http {
			read_timeout 3s
		}
	}
}
http://127.0.0.1:PORT(loses) {
	bind 127.0.0.1
	reverse_proxy ADDRESS {
		header_up -Last-Event-ID
		header_down -Cache-Control
	}
}
https://localhost:PORT(tls) {
	bind 127.0.0.1
	tls DIR/server.pem DIR/server.key
	reverse_proxy ADDRESS
}
]]

describe("spate doctor", function()
  local directory, server, runs
  local ports = { nginx = {}, apache = {}, haproxy = {}, caddy = {} }

  -- Begins to look through a proxy; all do so at a time. What is cut after three seconds is waited for for longer than a
  -- busy machine is late.
  local function begin(name, url, options)
    local is_cut = name:find "idle" or name:find "silent" or name:find "total"
    local arguments = { "doctor", url, "--wait", is_cut and "8" or "2", "--json" }
    table.move(options or {}, 1, #(options or {}), #arguments + 1, arguments)
    runs[name] = process.spawn(arguments, { environment = options and options.environment })
  end

  local function begin_all(kind, more)
    for name, port in pairs(ports[kind]) do
      if name ~= "tls" then begin(kind .. " " .. name, ("127.0.0.1:%d/-/doctor"):format(port), more) end
    end
  end

  setup(function()
    process.SECONDS = 60
    runs, directory = {}, process.enter()
    servers.make_certificates(directory)
    server = process.serve(APP, { settings = '{ trusted_proxies = { "127.0.0.1" } }' })
    local up = "http://127.0.0.1:" .. server.port
    local function fill(text, kind) return with_ports(text, ports[kind]):gsub("UP", up):gsub("DIR", directory):gsub("ADDRESS", (up:gsub("http://", ""))) end
    begin("nobody between", up .. "/-/doctor")
    if is_installed "nginx" then
      local text = fill(NGINX, "nginx")
      servers.nginx(directory, ports.nginx.good, text)
      begin_all "nginx"
      local url = ("https://localhost:%d/-/doctor"):format(ports.nginx.tls)
      begin("nginx tls", url, { environment = "SSL_CERT_FILE=" .. directory .. "/ca.pem" })
      begin("nginx distrust", url)
      begin("nginx silent", ("127.0.0.1:%d/silent"):format(ports.nginx.idle))
    end
    if is_installed "apache2" then
      local text = fill(APACHE, "apache")
      servers.apache(directory, ports.apache.good, "proxy proxy_http deflate filter ext_filter headers", text)
      begin_all "apache"
    end
    if is_installed "haproxy" then
      local text = fill(HAPROXY, "haproxy")
      servers.haproxy(directory, ports.haproxy.good, text)
      begin_all("haproxy", { "--proxy", "haproxy" })
    end
    if is_installed "caddy" then
      local text = fill(CADDY, "caddy")
      servers.caddy(directory, ports.caddy.good, text)
      begin_all "caddy"
      begin("caddy tls", ("https://localhost:%d/-/doctor"):format(ports.caddy.tls), { environment = "SSL_CERT_FILE=" .. directory .. "/ca.pem" })
    end
  end)

  teardown(function()
    server:stop()
    servers.stop()
    process.leave()
    process.SECONDS = SECONDS
  end)

  -- Its report, and what it found, by check; the exit code is checked.
  local function report(name)
    local run = runs[name]
    local code = run:wait()
    local r = assert(json.decode(run:stdout()), run:stdout() .. run:stderr())
    assert.equal(r.wrong > 0 and 1 or 0, code)
    local found = {}
    for _, each in ipairs(r.findings) do
      if not found[each.check] or each.level == "wrong" then found[each.check] = each end
    end
    return r, found
  end

  local function is_well(name, proxy)
    local r = report(name)
    assert.same({ true, proxy, 0 }, { r.doctor, r.proxy, r.wrong }, json.encode(r.findings))
    return r
  end

  local function is_wrong(name, check, fix)
    local r, found = report(name)
    assert.equal("wrong", found[check] and found[check].level, json.encode(r.findings))
    local proxy = assert(r.proxy, "no proxy")
    assert(found[check].fixes[proxy]:find(fix, 1, true), json.encode(found[check]))
    return found
  end

  it("finds all well where nobody is between", function()
    local _, found = report "nobody between"
    assert.equal("note", found.http_version.level)
    is_well "nobody between"
  end)

  local with_nginx = is_installed "nginx" and it or pending
  with_nginx("finds all well behind nginx, which heeds X-Accel-Buffering", function() is_well("nginx good", "nginx") end)
  with_nginx("names what of nginx collects", function() is_wrong("nginx collects", "buffering", "proxy_buffering off") end)
  with_nginx("names what of nginx compresses and holds back", function()
    local found = is_wrong("nginx gzip", "compression", "gzip off")
    assert.equal("ok", found.buffering.level)
  end)
  with_nginx("names what of nginx cuts silence", function()
    local found = is_wrong("nginx idle", "idle", "proxy_read_timeout 1h")
    assert(found.idle.seconds < 8)
    is_wrong("nginx silent", "idle", "proxy_read_timeout 1h")
  end)
  with_nginx("names what of nginx loses fields", function()
    is_wrong("nginx loses", "last_event_id", "proxy_set_header Last-Event-ID")
    is_wrong("nginx loses", "headers", "proxy_hide_header")
  end)
  with_nginx("names what of nginx refuses a seventh stream", function() is_wrong("nginx limits", "streams", "limit_conn") end)
  with_nginx("names what of nginx does not tell that a client has left", function() is_wrong("nginx deaf", "leaving", "proxy_ignore_client_abort off") end)
  with_nginx("speaks TLS and HTTP/2, and looks at the certificate", function()
    is_well("nginx tls", "nginx")
    local _, found = report "nginx tls"
    assert.same({ "ok", "note", "ok" }, { found.http_version.level, found.certificate.level, found.address.level })
    assert.matches("CN=localhost, by CN=spec, ends in [12] days", found.certificate.text)
    local r
    r, found = report "nginx distrust"
    assert.same({ 1, "wrong", "ok" }, { r.wrong, found.certificate.level, found.buffering.level })
    process.contains(found.certificate.text, "certificate")
  end)

  local with_apache = is_installed "apache2" and it or pending
  with_apache("finds all well behind Apache", function() is_well("apache good", "apache") end)
  with_apache("names what of Apache collects", function() is_wrong("apache collects", "buffering", "mod_ext_filter") end)
  with_apache("names what of Apache cuts silence", function() is_wrong("apache idle", "idle", "ProxyTimeout 3600") end)
  with_apache("sees that mod_deflate holds nothing back, and names what loses Last-Event-ID", function()
    local found = is_wrong("apache deflate", "last_event_id", "RequestHeader unset Last-Event-ID")
    assert.equal("ok", found.compression.level)
    process.contains(found.compression.text, "by gzip")
  end)

  local with_haproxy = is_installed "haproxy" and it or pending
  with_haproxy("finds all well behind HAProxy, which compresses and holds nothing back", function()
    is_well("haproxy good", "haproxy")
    is_well("haproxy gzip", "haproxy")
    local _, found = report "haproxy gzip"
    process.contains(found.compression.text, "by gzip")
  end)
  with_haproxy("names what of HAProxy collects", function() is_wrong("haproxy collects", "buffering", "wait-for-body") end)
  with_haproxy("names what of HAProxy cuts silence", function() is_wrong("haproxy idle", "idle", "timeout server 1h") end)

  local with_caddy = is_installed "caddy" and it or pending
  with_caddy("finds all well behind Caddy, which leaves streams out when it compresses", function()
    for _, name in ipairs { "caddy good", "caddy mended" } do
      is_well(name, "caddy")
      local _, found = report(name)
      assert.equal("none, for who takes gzip as well", found.compression.text)
    end
  end)
  with_caddy("names what of Caddy collects", function() is_wrong("caddy collects", "buffering", "no buffer_responses") end)
  with_caddy("names what of Caddy compresses and holds back", function() is_wrong("caddy gzip", "compression", "match { header Content-Type text/html* }") end)
  with_caddy("names what of Caddy cuts silence, and what ends every stream", function()
    is_wrong("caddy idle", "idle", "read_timeout 1h")
    local r = report "caddy total"
    local fixes = {}
    for _, each in ipairs(r.findings) do fixes[#fixes + 1] = each.level == "wrong" and each.fixes and each.fixes.caddy or nil end
    process.contains(table.concat(fixes, "\n"), "timeouts { write 0 }")
  end)
  with_caddy("names what of Caddy loses fields", function()
    is_wrong("caddy loses", "last_event_id", "header_up -Last-Event-ID")
    is_wrong("caddy loses", "headers", "header_down")
  end)
  with_caddy("speaks HTTP/2 with Caddy", function()
    is_well("caddy tls", "caddy")
    local _, found = report "caddy tls"
    assert.same({ "ok", "note", "ok" }, { found.http_version.level, found.certificate.level, found.address.level })
  end)

  it("tells people, the setting of what is there first", function()
    local run = process.spawn { "doctor", ("127.0.0.1:%d/nothing"):format(server.port), "--wait", "0" }
    assert.equal(1, run:wait())
    assert.equal(("http://127.0.0.1:%d/nothing: no spate.doctor: less can be told\n  wrong  answer        status 404, and not 200: is this the stream's path?\n1 thing is wrong\n")
      :format(server.port), run:stdout())
    if not ports.nginx.loses then return end
    run = process.spawn { "doctor", ("127.0.0.1:%d/-/doctor"):format(ports.nginx.loses), "--wait", "0" }
    assert.equal(1, run:wait())
    local out = run:stdout()
    process.contains(out, "spate.doctor " .. helper.json.decode(runs["nobody between"]:stdout()).version .. " answers, behind nginx\n",
      "  ok     buffering     events come one by one, as they were sent\n", "2 things are wrong\n")
    assert.matches("\n  wrong  last event id [^\n]+\n +nginx +[^\n]+\n +Apache +[^\n]+\n +Caddy ", out)
    assert.matches("\n  note   http version [^\n]+\n +nginx +[^\n]+\n  %l", out)
    assert.is_nil(out:find("\27", 1, true))
  end)

  it("says what it cannot be asked", function()
    for _, arguments in ipairs { { "ftp://x" }, { "x", "-H", "nothing" }, { "x", "--wait", "soon" }, { "x", "--wait", "501" }, { "x", "--proxy", "squid" }, { "x:99999" }, {} } do
      process.failure(2, { "doctor", table.unpack(arguments) })
    end
  end)
end)
