-- SPDX-License-Identifier: MIT
-- What compressed streams cost and save: 1,000 subscribers of one channel, 20 events a second of some 600 bytes of HTML,
-- beside nginx with gzip for each connection in front of the same, and a Node server with zlib. Server and client have a
-- core each. Started by spec/bench/gzip.
package.path = "spec/bench/?.lua;" .. package.path
local process, report = require "process", require "report"

local quick = arg[1] == "--quick"
local STREAMS, BEFORE, SECONDS = quick and 200 or 1000, quick and 3 or 6, quick and 4 or 15
local out = "build/bench"
local cores = process.cores()

local CONF = [[
daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log error.log error;
events { worker_connections 20000; }
http {
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {
    listen 127.0.0.1:%d backlog=4096;
    proxy_http_version 1.1; proxy_buffering off; proxy_set_header Accept-Encoding ""; proxy_set_header Connection "";
    gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_comp_level %d;
    location = /ready { return 200 "yes"; }
    location / { proxy_pass http://127.0.0.1:%d; }
  }
}
]]

local function start(name, command, port)
  local server = process.start { core = cores[1], log = ("%s/gzip_%s.log"):format(out, name), command = command }
  server.port = port
  server:wait_ready(port, "/ready")
  return server
end

local function start_spate()
  local port = process.free_port()
  return start("spate", ("build/spate serve spec/bench/gzip_app.lua -c spec/bench/spate.conf.lua -l 127.0.0.1:%d"):format(port), port)
end

local function start_nginx(behind, level)
  local port, folder = process.free_port(), out .. "/gzip_nginx"
  os.execute("mkdir -p " .. folder)
  local f <close> = assert(io.open(folder .. "/nginx.conf", "w"))
  f:write(CONF:format(port, level, behind))
  f:close()
  return start("nginx", ("nginx -p %s/ -c nginx.conf -e error.log"):format(process.line("realpath " .. folder)), port)
end

local function start_node()
  local port = process.free_port()
  return start("node", ("node spec/bench/gzip_node.mjs %d"):format(port), port)
end

local function cpu_of(server)
  local f <close> = io.open(("/proc/%d/stat"):format(server.pid))
  local user, system = f:read("a"):match "%) %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) (%d+)"
  return (user + system) / 100
end

-- Bytes and processor time for each event of each subscriber, and memory.
local function measure(label, server, gzip, streams)
  local rss = server:rss_kb()
  local pipe <close> = assert(io.popen(("taskset -c %d %s/gzip_load -p %d -g /board -c %d -w %g -d %g %s"):format(
    cores[2] or cores[1], out, server.port, streams, BEFORE, SECONDS, gzip and "-z" or "")))
  assert(pipe:read "l" == "begin", label .. ": the load client has failed")
  local cpu = cpu_of(server)
  assert(pipe:read "l" == "end", label .. ": the load client has failed")
  cpu = cpu_of(server) - cpu
  local kb = server:rss_kb() - rss
  local text = pipe:read "l"
  local function figure(name) return tonumber(text:match('"' .. name .. '":([%d.]+)')) end
  local delivered = figure "events" * streams
  return {
    label = label, streams = streams, gzip = gzip, events = figure "events", text_bytes = figure "text" / figure "events",
    wire_bytes = figure "bytes" / delivered, us = cpu * 1e6 / delivered, kb_per_stream = kb / streams, cpu_seconds = cpu,
  }
end

local function with(start_server, label, gzip, streams)
  local server <close> = start_server()
  return measure(label, server, gzip, streams)
end

-- Resident kB with so many subscribers, all of whom say that they take gzip.
local function resident(flags, streams)
  local server <close> = start_spate()
  local pipe <close> = assert(io.popen(("taskset -c %d %s/gzip_load -p %d -c %d -w %g -d 0.5 %s"):format(
    cores[2] or cores[1], out, server.port, streams, BEFORE, flags)))
  assert(pipe:read "l" == "begin", "the load client has failed")
  return server:rss_kb()
end

-- Bytes that one more subscriber takes.
local function bytes_each(flags)
  local few, many = quick and 1000 or 2000, quick and 4000 or 17000
  return (resident(flags, many) - resident(flags, few)) * 1024 / (many - few)
end

os.execute(("mkdir -p %s && ${CC:-cc} -O2 -o %s/gzip_load spec/bench/gzip_load.c -lz"):format(out, out))
local list = { with(start_spate, "spate, plain", false, STREAMS), with(start_spate, "spate, gzip", true, STREAMS) }
if process.installed "nginx" then
  for _, level in ipairs { 1, 6 } do
    local behind <close> = start_spate()
    list[#list + 1] = with(function() return start_nginx(behind.port, level) end, ("nginx, gzip on, level %d"):format(level), true, STREAMS)
  end
end
if process.installed "node" then
  list[#list + 1] = with(start_node, "Node, plain", false, STREAMS)
  list[#list + 1] = with(start_node, "Node, zlib, one connection", true, 1)
  list.single = list[#list]
  list[#list + 1] = with(start_node, "Node, zlib for each", true, STREAMS)
end

local rows = { { "", "events", "text bytes", "wire bytes", "ratio", "us/event", "kB/stream" } }
for i, row in ipairs(list) do
  rows[i + 1] = row.events == 0 and { row.label, "0", "does not keep up" } or { row.label, ("%d"):format(row.events), ("%.0f"):format(row.text_bytes), ("%.1f"):format(row.wire_bytes),
    ("%.2f"):format(row.text_bytes / row.wire_bytes), ("%.2f"):format(row.us), ("%.1f"):format(row.kb_per_stream) }
end
report.table(("%d subscribers of one channel, 20 events/s of HTML; bytes and processor time of an event for one of them"):format(STREAMS), rows)
local plain, packed, single = list[1], list[2], list.single
print(("time: %.2f x the plain stream's"):format(packed.us / plain.us))
if single then
  print(("bytes: %.2f x a connection's own window of 32 KiB"):format(packed.wire_bytes / single.wire_bytes))
end
local plain_bytes, packed_bytes = bytes_each "-g /plain -a", bytes_each "-g /board -z"
print(("memory of a subscriber: %.0f bytes plain, %.0f compressed, %+.0f"):format(plain_bytes, packed_bytes, packed_bytes - plain_bytes))
list.single = nil
report.write_json("build/gzip.json", list)
