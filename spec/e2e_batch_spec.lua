-- SPDX-License-Identifier: MIT
-- What a turn sends goes to the kernel by one call, or one by one where that is forbidden; clients notice nothing of either.
local json = require("spec.helper").json
local process = require "spec.process"

local CHANNEL = [[
local ch = sse.channel("news", { history = 10 })
app:get("/", function() return sse.reply(ch:subscribe()) end)
app:post("/", function(req) return (assert(ch:publish(req:body()))) end)
app:get("/stats", function() return spate.stats() end)
]]

-- From the start on, or where a file `names` is there, no thread of the program may call `call`: errno is `error`.
local REFUSAL = [[
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
static void refuse(void) {
  struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALL, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ERROR),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {4, filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program)) abort();
}
static void *wait_for(void *path) {
  while (access(path, F_OK)) usleep(1000);
  refuse();
  unlink(path);
  return NULL;
}
__attribute__((constructor)) static void begin(void) {
  pthread_t thread;
  char *path = getenv("REFUSE_AT");
  if (!path) refuse();
  else pthread_create(&thread, NULL, wait_for, path);
}
]]

local directory

local function refusing(call, error)
  return process.preload("refuse", ("#define CALL __NR_%s\n#define ERROR %s\n%s"):format(call, error, REFUSAL))
end

local function status()
  local pipe <close> = assert(io.popen(("XDG_RUNTIME_DIR=%s %s/spate status --json"):format(directory, process.BUILD)))
  return json.decode(pipe:read "a")
end

local function stats(server) return json.decode((select(2, server:get "/stats"))) end

local function subscribe(server, n)
  local clients = {}
  for i = 1, n do
    clients[i] = server:ask "/"
    process.read_head(clients[i])
  end
  return clients
end

local function publish(server, text)
  local client = server:connect(("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(#text, text))
  assert(client:receive "*a")
  client:close()
end

local function events_reach(clients, text)
  for _, client in ipairs(clients) do process.read_until(client, "data: " .. text .. "\n") end
end

-- The next event's data.
local function next_data(client)
  while true do
    local data = assert(client:receive "*l"):match "^data: (.*)"
    if data then return data end
  end
end

describe("sends of a turn", function()
  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  it("go together to the kernel, which log and status say", function()
    local server = process.serve(CHANNEL, { environment = "SPATE_IO_URING=auto" })
    server:says "sends: io_uring\n"
    assert.equal("io_uring", status().sends)
    local clients = subscribe(server, 50)
    local before = stats(server)
    for n = 1, 5 do
      publish(server, "event " .. n)
      events_reach(clients, "event " .. n)
    end
    local now = stats(server)
    assert.equal(250, now.batched_sends_total - before.batched_sends_total)
    assert.equal(5 * 4, now.batches_total - before.batches_total) -- 16 at a time
    server:stop()
  end)

  it("of few connections are made one by one", function()
    local server = process.serve(CHANNEL, { environment = "SPATE_IO_URING=auto" })
    local clients = subscribe(server, 1) -- and who publishes gets an answer
    publish(server, "hello")
    events_reach(clients, "hello")
    assert.equal(0, stats(server).batches_total)
    server:stop()
  end)

  local function goes_on_one_by_one(options, why)
    local server = process.serve(CHANNEL, options)
    server:says(("sends: one by one (%s)\n"):format(why))
    assert.equal(("one by one (%s)"):format(why), status().sends)
    local clients = subscribe(server, 10)
    publish(server, "hello")
    events_reach(clients, "hello")
    assert.equal(0, stats(server).batches_total)
    server:stop()
  end

  it("are made one by one where a setting or the environment says so", function()
    goes_on_one_by_one({ settings = '{ io_uring = "off" }', environment = "SPATE_IO_URING=auto" }, 'io_uring = "off" in the settings')
    goes_on_one_by_one({ settings = '{ io_uring = "auto" }', environment = "SPATE_IO_URING=off" }, "SPATE_IO_URING=off")
  end)

  it("are made one by one where the kernel or a container forbids anything else", function()
    for _, case in ipairs {
      { "io_uring_setup", "ENOSYS", "the kernel has none" }, { "io_uring_setup", "EPERM", "the system forbids it" },
      { "io_uring_setup", "ENOMEM", "Cannot allocate memory" }, { "io_uring_enter", "EPERM", "the kernel does not tell of what it cuts short" },
    } do
      goes_on_one_by_one({ environment = "SPATE_IO_URING=auto " .. refusing(case[1], case[2]) }, case[3])
    end
  end)

  it("lose nothing where the kernel takes no more of them while it serves", function()
    local at = directory .. "/now"
    local server = process.serve(CHANNEL, { environment = ("SPATE_IO_URING=auto REFUSE_AT=%s %s"):format(at, refusing("io_uring_enter", "ENOMEM")) })
    local clients = subscribe(server, 20)
    for n = 1, 6 do
      if n == 3 then
        process.write_file(at, "")
        process.eventually("no more calls", function() return not io.open(at) end)
      end
      publish(server, "event " .. n)
      events_reach(clients, "event " .. n)
    end
    server:says "io_uring: the kernel does not take what it is given; sends go one by one, and it is tried again every 10 s"
    assert.equal(120, stats(server).events_total)
    server:stop()
  end)

  it("are whole and in order for who reads late, beside who has left", function()
    local server = process.serve(CHANNEL, { environment = "SPATE_IO_URING=auto" })
    local clients = subscribe(server, 12)
    local late = clients[1]
    local function event(n) return n .. ("x"):rep(50000) end
    for n = 1, 40 do
      publish(server, event(n))
      if n == 10 then process.reset(table.remove(clients)) end
      if n == 20 then table.remove(clients):close() end
      for i = 2, #clients do assert.is_true(next_data(clients[i]) == event(n)) end
    end
    for n = 1, 40 do assert.is_true(next_data(late) == event(n), n) end
    server:stop()
  end)
end)
