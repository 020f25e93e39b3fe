-- SPDX-License-Identifier: MIT
-- A worker whose turn does not end although no script runs: a loop in C, made by a library that stands before libc's
-- send. And what is no such loop: a process that was stopped, one that is idle, a write that waits.
local process = require "spec.process"
local socket = require "socket"

local LIBRARY = [[
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
static void wait_as_for_a_file(void) { // which no signal ends
  struct timespec left = { 1, 500000000 };
  while (nanosleep(&left, &left)) continue;
}
static void act(const void *bytes, size_t len) {
  if (memmem(bytes, len, "LOOP HERE", 9)) for (volatile int k = 0;; k++) continue;
  if (memmem(bytes, len, "WAIT HERE", 9)) wait_as_for_a_file();
}
ssize_t send(int fd, const void *bytes, size_t len, int flags) {
  act(bytes, len);
  return ((ssize_t (*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send"))(fd, bytes, len, flags);
}
ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
  for (size_t i = 0; i < m->msg_iovlen; i++) act(m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
  return ((ssize_t (*)(int, const struct msghdr *, int))dlsym(RTLD_NEXT, "sendmsg"))(fd, m, flags);
}
]]

local APP = [[
app:get("/", function() return "x" end)
app:get("/loop", function() return "LOOP HERE" end)
app:get("/wait", function() return "WAIT HERE" end)
app:get("/second", function() return sse.reply(sse.interval(1)) end)
]]

describe("a turn of a worker's loop", function()
  local server

  before_each(function()
    process.enter()
    server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "-w", "2" }, settings = "{ limits = { burst = 0.1, hang = 0.4 } }",
      environment = process.preload("loop", LIBRARY) })
  end)
  after_each(process.leave)

  it("that does not end is logged and ends the process", function()
    local client = server:ask "/loop"
    assert.same({ 6, "signal" }, { server:wait() })
    process.contains(server:stderr(), "one turn of its loop has used", "a loop in C", "limits.hang")
    assert.matches("worker [01]: ", server:stderr())
    client:close()
  end)

  it("that waits without CPU time is only logged, once", function()
    assert.same({ 200, "WAIT HERE" }, { server:get "/wait" })
    for _ = 1, 4 do assert.equal(200, (server:get "/")) end
    assert.equal(1, select(2, server:stderr():gsub("uses no CPU time", "")))
    server:stop()
  end)

  it("is not taken for one where the process was stopped or is idle", function()
    for _ = 1, 2 do
      server:kill "STOP"
      socket.sleep(1) -- for longer than limits.hang
      server:kill "CONT"
      assert.equal(200, (server:get "/"))
    end
    server:ticks("/second", 1)
    assert.equal(200, (server:get "/"))
    assert.is_nil(server:stderr():find("one turn", 1, true))
    server:stop()
  end)
end)
