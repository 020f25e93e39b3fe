-- SPDX-License-Identifier: MIT
-- The units of systemd: what their hardening comes to, and that the program works under the filter of system calls that they
-- set, which a library loaded before it sets here.
local process = require "spec.process"

local UNIT = "server/packaging/debian/spate.service"

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read "a"
  return output, pipe:close() == true
end

local with_systemd = os.execute "command -v systemd-analyze >/dev/null" and it or pending

local sets -- of calls, by name, as systemd has them: each a list of words, of which some are sets again

local function read_sets()
  local set
  sets = {}
  for line in output_of "systemd-analyze --no-pager syscall-filter":gmatch "[^\n]+" do
    local name, word = line:match "^(@%S+)", line:match "^%s+([^%s#]+)"
    if name then
      set = {}
      sets[name] = set
    elseif word and set then set[#set + 1] = word end
  end
end

-- The calls of a set such as @system-service, those of the sets in it too.
local function calls_of(name, calls)
  calls = calls or {}
  if not sets then read_sets() end
  if not sets[name] then calls[name] = true end
  for _, word in ipairs(sets[name] or {}) do calls_of(word, calls) end
  return calls
end

-- The calls that SystemCallFilter= lets through; those of @default always.
local function allowed()
  local calls = calls_of "@default"
  for line in process.read_file(UNIT):gmatch "\nSystemCallFilter=([^\n]*)" do
    local is_denied = line:sub(1, 1) == "~"
    for name in line:gsub("^~", ""):gmatch "%S+" do
      for call in pairs(calls_of(name)) do calls[call] = not is_denied or nil end
    end
  end
  for call in pairs(calls_of "@default") do calls[call] = true end
  return calls
end

-- A library that lets this process, and all that it starts, make these calls alone; others fail with EPERM. So does memory that
-- can be written and executed (MemoryDenyWriteExecute=).
local FILTER = [[
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define DENY RETURN(SECCOMP_RET_ERRNO | 1)
#define ALLOW(call) IF(call, 0, 1), RETURN(SECCOMP_RET_ALLOW),
static struct sock_filter filter[] = {
  FIELD(nr), IF(SYS_mmap, 0, 4), FIELD(args[2]), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC), IF(PROT_WRITE | PROT_EXEC, 0, 1), DENY,
  FIELD(nr), IF(SYS_mprotect, 0, 4), FIELD(args[2]), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_EXEC), IF(PROT_EXEC, 0, 1), DENY,
  FIELD(nr),
%s
  DENY,
};
__attribute__((constructor)) static void confine(void) {
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (getenv("CONFINED")) return;
  setenv("CONFINED", "1", 1);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) perror("seccomp"), abort();
}
]]

local function filter()
  local lines = {}
  for call in pairs(allowed()) do lines[#lines + 1] = ("#ifdef SYS_%s\nALLOW(SYS_%s)\n#endif\n"):format(call, call) end
  return process.preload("confine", FILTER:format(table.concat(lines)))
end

describe("the unit", function()
  local directory

  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  with_systemd("is exposed by 2.5 at most, as systemd-analyze has it", function()
    local output, ok = output_of("systemd-analyze security --no-pager --offline=true --threshold=25 " .. UNIT)
    assert.is_true(ok, output)
    local exposure = tonumber(output:match "Overall exposure level for spate.service: ([%d.]+)")
    assert.is_true(exposure <= 2.5, output)
  end)

  with_systemd("has no line that systemd does not know", function()
    process.shell("cp server/packaging/debian/spate.service server/packaging/debian/spate.socket %s && sed -i 's,/usr/bin/spate,/bin/true,' %s/spate.service",
      directory, directory)
    local output, ok = output_of(("systemd-analyze verify --man=no %s/spate.service %s/spate.socket"):format(directory, directory))
    assert.is_nil(output:find "spate%.", output)
    assert.is_true(ok, output)
  end)

  with_systemd("lets the program do what it does, and nothing that takes privileges", function()
    local server = process.serve([[
      local fs, sqlite, program = require "spate.fs", require "spate.sqlite", require "spate.process"
      local db = sqlite.open(spate.env "FOLDER" .. "/data.db")
      app:get("/db", function() db:exec "CREATE TABLE IF NOT EXISTS t (n)" db:exec "INSERT INTO t VALUES (1)" return db:query "SELECT count(*) AS n FROM t" end)
      app:get("/file", function() fs.write(spate.env "FOLDER" .. "/note", "kept") return fs.read(spate.env "FOLDER" .. "/note") end)
      app:get("/hash", function() return tostring(spate.crypto.password.verify("x", spate.crypto.password.hash "x")) end)
      app:get("/program", function() return program.run({ "sh", "-c", "echo run; chroot / echo privileged" }).out end)
      app:get("/offload", function() return tostring(spate.offload("math", "floor", 2.5)) end)
      app:get("/news", function() return sse.reply(sse.channel("news"):subscribe()) end)
      app:post("/news", function() sse.channel("news"):publish "all" return reply.status(204) end)
      local http = require "spate.http"
      app:get("/other", function(req) return http.get(("http://localhost:%s/file"):format(req.query.port)):body() end)
      ]], { environment = filter() .. " FOLDER=" .. directory, arguments = { "-l", "127.0.0.1:0", "-w", "2", "--store", "sqlite:" .. directory .. "/store.db" },
        settings = "{ shutdown = { window = 0.1 } }" })
    assert.same({ 200, '[{"n":1}]' }, { server:get "/db" })
    assert.same({ 200, "kept" }, { server:get "/file" })
    assert.same({ 200, "true" }, { server:get "/hash" })
    assert.same({ 200, "2" }, { server:get "/offload" })
    assert.same({ 200, "run\n" }, { server:get "/program" })
    local other = server:connect(("GET /other?port=%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):format(server.port))
    process.contains(other:receive "*a", "kept")
    local streams = {}
    for i = 1, 20 do
      streams[i] = server:ask "/news"
      process.read_head(streams[i])
    end
    local client = server:connect "POST /news HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    assert.equal(204, process.read_head(client))
    for i = 1, 20 do process.read_until(streams[i], "data: all\n") end
    local status = process.spawn { "status", tostring(server.pid) }
    assert.equal(0, (status:wait()))
    process.contains(status:stdout(), "io_uring")
    assert.equal("2", process.read_file(("/proc/%d/status"):format(server.pid)):match "Seccomp:%s+(%d)")
    server:kill "HUP"
    server:says "reloaded"
    server:stop()
  end)
end)
