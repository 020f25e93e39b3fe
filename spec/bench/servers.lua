-- SPDX-License-Identifier: MIT
-- The servers that are compared: how each is found and started. Everything they write goes to build/bench/.
local process = require "process"

local servers = { order = { "floor", "floor-spread", "floor-post", "floor-together", "spate", "nginx-lua", "nchan", "node", "better-sse", "proxy-spate", "proxy-nginx", "proxy-node" } }
local out = "build/bench"
local program = os.getenv("SPATE") or "build/spate"

local function exists(path)
  local f <close> = io.open(path)
  return f ~= nil
end

-- missing() tells why a server cannot run; command(port) prepares and returns its command line.
servers["floor"] = {
  probe = "/", missing = function() end,
  command = function(port) return ("%s/floor -t 100 %d"):format(out, port) end,
}

servers["floor-spread"] = {
  probe = "/", missing = function() end,
  command = function(port) return ("%s/floor -t 100 -s %d"):format(out, port) end,
}

servers["floor-post"] = {
  probe = "/", missing = function() end,
  command = function(port) return ("%s/floor %d"):format(out, port) end,
}

servers["floor-together"] = {
  probe = "/", missing = function() return not os.execute "pkg-config --exists liburing" and "liburing-dev is not installed" or nil end,
  command = function(port) return ("%s/floor -u %d"):format(out, port) end,
}

servers["spate"] = {
  probe = "/hello",
  missing = function() return not exists(program) and program .. " is not built" or nil end,
  command = function(port)
    return ("%s serve spec/bench/app.lua -l 127.0.0.1:%d -w 1 -c spec/bench/spate.conf.lua"):format(program, port)
  end,
  version = program .. " --version",
}

local function nginx(module, package, conf)
  return {
    probe = "/hello",
    missing = function()
      if not process.installed("nginx") then return "nginx is not installed" end
      if not exists("/usr/lib/nginx/modules/" .. module) then return package .. " is not installed" end
    end,
    command = function(port, redis)
      local prefix = out .. (redis and "/nginx-" .. port or "/nginx")
      os.execute("mkdir -p " .. prefix)
      local from <close> = assert(io.open("spec/bench/" .. conf))
      local to <close> = assert(io.open(prefix .. "/nginx.conf", "w"))
      to:write((from:read("a"):gsub("@PORT@", port):gsub("@REDIS@", redis or "")))
      return ("nginx -p %s/ -c nginx.conf -e error.log"):format(prefix)
    end,
    version = "nginx -v 2>&1",
  }
end

servers["nginx-lua"] = nginx("ngx_http_lua_module.so", "libnginx-mod-http-lua", "nginx.conf")
servers["nchan"] = nginx("ngx_nchan_module.so", "libnginx-mod-nchan", "nchan.conf")
servers["nchan"].version = "dpkg-query -W -f 'libnginx-mod-nchan ${Version}' libnginx-mod-nchan"

-- Not in the order: of spec/bench/nodes alone, whose servers share a Redis; command(port, the port of that).
servers["nchan-redis"] = nginx("ngx_nchan_module.so", "libnginx-mod-nchan", "nchan_redis.conf")

servers["node"] = {
  probe = "/hello",
  missing = function() return not process.installed("node") and "node is not installed" or nil end,
  command = function(port) return ("node spec/bench/node_server.mjs %d"):format(port) end,
  version = "node --version",
}

servers["better-sse"] = {
  probe = "/hello",
  missing = function()
    if not process.installed("node") or not process.installed("npm") then return "node or npm is not installed" end
    local install = ("mkdir -p %s && cd %s && echo '{ \"private\": true }' >package.json && npm install better-sse"):format(out, out)
    if not exists(out .. "/node_modules/better-sse/package.json") and not os.execute("(" .. install .. ") >/dev/null 2>&1") then
      return "npm could not install it"
    end
  end,
  command = function(port)
    os.execute(("cp spec/bench/better_sse.mjs %s"):format(out))
    return ("node %s/better_sse.mjs %d"):format(out, port)
  end,
  version = ("sed -n 's/.*\"version\": *\"\\([^\"]*\\)\".*/better-sse \\1/p' %s/node_modules/better-sse/package.json"):format(out),
}

servers.behind = { events = 0, hello = 0 } -- ports of what proxies stand before

servers["proxy-spate"] = {
  probe = "/ready", missing = servers.spate.missing,
  command = function(port)
    return ("env EVENTS=http://127.0.0.1:%d/ HELLO=http://127.0.0.1:%d/text %s serve spec/bench/proxy_app.lua -l 127.0.0.1:%d -w 1 -c spec/bench/spate.conf.lua")
      :format(servers.behind.events, servers.behind.hello, program, port)
  end,
}

local function nginx_between(name)
  return {
    probe = "/ready", missing = function() return not process.installed("nginx") and "nginx is not installed" or nil end,
    command = function(port)
      local prefix = out .. "/" .. name
      os.execute("mkdir -p " .. prefix)
      local from <close> = assert(io.open "spec/bench/nginx_proxy.conf")
      local to <close> = assert(io.open(prefix .. "/nginx.conf", "w"))
      to:write((from:read("a"):gsub("@PORT@", port):gsub("@EVENTS@", servers.behind.events):gsub("@HELLO@", servers.behind.hello)))
      return ("nginx -p %s/ -c nginx.conf -e error.log"):format(prefix)
    end,
    version = "nginx -v 2>&1",
  }
end

servers["proxy-nginx"], servers["behind-hello"] = nginx_between "nginx-proxy", nginx_between "nginx-behind"

servers["proxy-node"] = {
  probe = "/ready",
  missing = function()
    if not process.installed("node") or not process.installed("npm") then return "node or npm is not installed" end
    local install = ("mkdir -p %s && cd %s && { [ -e package.json ] || echo '{ \"private\": true }' >package.json; } && npm install undici@6"):format(out, out)
    if not exists(out .. "/node_modules/undici/package.json") and not os.execute("(" .. install .. ") >/dev/null 2>&1") then
      return "npm could not install undici"
    end
  end,
  command = function(port)
    os.execute(("cp spec/bench/node_proxy.mjs %s"):format(out))
    return ("node %s/node_proxy.mjs %d %d %d"):format(out, port, servers.behind.events, servers.behind.hello)
  end,
  version = ("sed -n 's/.*\"version\": *\"\\([^\"]*\\)\".*/undici \\1/p' %s/node_modules/undici/package.json"):format(out),
}

-- Compiles the load client, the floor, and what asks by libcurl alone.
function servers.build()
  local cc = os.getenv("CC") or "cc"
  os.execute("mkdir -p " .. out)
  for _, name in ipairs { "sseload", "floor", "curl_ask", "connects" } do
    local libs = name == "curl_ask" and " -lcurl" or ""
    if name == "floor" and not servers["floor-together"].missing() then libs = " -DWITH_LIBURING -luring" end
    local line = ("%s -std=gnu11 -O2 -pthread -o %s/%s spec/bench/%s.c%s"):format(cc, out, name, name, libs)
    if not os.execute(line) then error("cannot compile: " .. line, 0) end
  end
end

-- Starts a server on a core and returns its process, with its `port`, once it answers; `under` is a program that runs it.
function servers.start(name, core, under)
  local server, port = servers[name], process.free_port()
  local p = process.start { command = (under or "") .. server.command(port), core = core, log = ("%s/%s.log"):format(out, name) }
  p.port = port
  local ok, message = pcall(p.wait_ready, p, port, server.probe)
  if not ok then
    p:stop()
    error(name .. ": " .. message, 0)
  end
  return p
end

return servers
