-- SPDX-License-Identifier: MIT
-- Other servers for specs that run the real program: nginx, Apache, HAProxy, Caddy, and programs that print their port in their first line. All
-- live in the directory of process.enter, and end with servers.stop.
local process = require "spec.process"
local socket = require "socket"

local servers = {}

local started = {}

-- A port of this machine that nobody listened at a moment ago.
function servers.free_port()
  local s = assert(socket.bind("127.0.0.1", 0))
  local _, port = s:getsockname()
  s:close()
  return math.tointeger(tonumber(port))
end

-- Runs a command, until servers.stop.
function servers.begin(command)
  local pipe = assert(io.popen(("echo $$; exec env -u LD_PRELOAD %s"):format(command)))
  local server = { pipe = pipe, pid = assert(tonumber(pipe:read "l")) }
  started[#started + 1] = server
  return server
end

-- Runs a command whose first line is the port at which it listens.
function servers.run(command)
  local server = servers.begin(command)
  server.port = assert(tonumber(server.pipe:read "l"), command)
  return server
end

local function listens(what, port)
  process.eventually(what, function()
    local client = socket.connect("127.0.0.1", port)
    return client and client:close()
  end)
end

local NGINX = [[
daemon off;
pid %s/nginx.pid;
error_log %s/nginx.log;
worker_processes 1;
events { worker_connections 2000; }
http {
  access_log off;
  client_body_temp_path %s/body;
  proxy_temp_path %s/proxy;
  fastcgi_temp_path %s/fastcgi;
  uwsgi_temp_path %s/uwsgi;
  scgi_temp_path %s/scgi;
  %s
}
]]

-- nginx with these directives inside of its http block, once it listens at `port`.
function servers.nginx(dir, port, directives)
  process.write_file(dir .. "/nginx.conf", NGINX:format(dir, dir, dir, dir, dir, dir, dir, directives))
  local server = servers.begin(("nginx -p %s -c %s/nginx.conf -e %s/nginx.log 2>&1"):format(dir, dir, dir))
  server.port = port
  listens("nginx", port)
  return server
end

local APACHE = [[
ServerRoot %s
DefaultRuntimeDir %s
PidFile %s/apache.pid
ErrorLog %s/apache.log
Mutex file:%s default
ServerName localhost
User www-data
Group www-data
StartServers 1
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
%s
%s
]]

-- Apache with these directives, and modules by their names, once it listens at `port`.
function servers.apache(dir, port, modules, directives)
  local loads = {}
  for name in ("mpm_event authz_core " .. modules):gmatch "%S+" do
    loads[#loads + 1] = ("LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so"):format(name, name)
  end
  process.write_file(dir .. "/apache.conf", APACHE:format(dir, dir, dir, dir, dir, table.concat(loads, "\n"), directives))
  local server = servers.begin(("apache2 -f %s/apache.conf -DFOREGROUND >%s/apache.out 2>&1"):format(dir, dir))
  server.port = port
  listens("Apache", port)
  return server
end

-- HAProxy with these sections, once it listens at `port`.
function servers.haproxy(dir, port, sections)
  process.write_file(dir .. "/haproxy.cfg", sections)
  local server = servers.begin(("haproxy -f %s/haproxy.cfg -db >%s/haproxy.log 2>&1"):format(dir, dir))
  server.port = port
  listens("HAProxy", port)
  return server
end

-- Caddy with this Caddyfile, once it listens at `port`.
function servers.caddy(dir, port, text)
  process.write_file(dir .. "/Caddyfile", text)
  local server = servers.begin(("env HOME=%s caddy run --config %s/Caddyfile --adapter caddyfile >%s/caddy.log 2>&1"):format(dir, dir, dir))
  server.port = port
  listens("Caddy", port)
  return server
end

-- In `dir`: ca.pem, and a certificate of it for localhost in server.pem and server.key.
function servers.make_certificates(dir)
  process.write_file(dir .. "/san", "subjectAltName=DNS:localhost\n")
  process.shell([[cd %s && {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -subj /CN=spec -days 2 &&
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj /CN=localhost &&
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile san
  } >openssl.log 2>&1]], dir)
end

function servers.stop()
  for _, server in ipairs(started) do
    os.execute(("kill -TERM %d 2>/dev/null"):format(server.pid))
    server.pipe:close()
  end
  started = {}
end

return servers
