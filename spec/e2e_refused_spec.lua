-- SPDX-License-Identifier: MIT
-- A kernel that has no memory to watch a descriptor: one call of it is replaced, for sockets.
local process = require "spec.process"

local REPLACED = [[
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
// Writes a byte for each refusal; refuses no longer once the file is gone.
int epoll_ctl(int epoll, int op, int fd, struct epoll_event *e) {
  int (*next)(int, int, int, struct epoll_event *) = (int (*)(int, int, int, struct epoll_event *))dlsym(RTLD_NEXT, "epoll_ctl");
  int type, log;
  socklen_t len = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) return next(epoll, op, fd, e);
  if ((log = open(getenv("REFUSALS"), O_WRONLY | O_APPEND)) < 0) return next(epoll, op, fd, e);
  if (write(log, "x", 1) < 0) abort();
  close(log);
  errno = ENOMEM;
  return -1;
}
]]

-- Refuses all descriptors of the main thread or of the others.
local ALL_REPLACED = [[
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>
int epoll_ctl(int epoll, int op, int fd, struct epoll_event *e) {
  int (*next)(int, int, int, struct epoll_event *) = (int (*)(int, int, int, struct epoll_event *))dlsym(RTLD_NEXT, "epoll_ctl");
  if ((getenv("REFUSED")[0] == 'm') != (syscall(SYS_gettid) == getpid())) return next(epoll, op, fd, e);
  errno = ENOSPC;
  return -1;
}
]]

describe("where the kernel watches nothing that a loop is woken by", function()
  after_each(process.leave)

  for who, code in pairs { main = 4, workers = 1 } do
    it("the server does not begin, and says so: for its " .. who, function()
      local app = process.enter() .. "/app.lua"
      process.write_file(app, "return require('spate').app()")
      local message = process.failure(code, { "serve", app, "-l", "127.0.0.1:0" },
        { environment = ("REFUSED=%s %s"):format(who, process.preload("all_replaced", ALL_REPLACED)) })
      process.contains(message, "spate: no ", "`ulimit -n`", "fs.epoll.max_user_watches")
      assert.is_nil(message:find("ev.c", 1, true))
    end)
  end
end)

describe("where the kernel has no memory to watch sockets", function()
  local refusals
  before_each(function()
    refusals = process.enter() .. "/refusals"
    process.write_file(refusals, "")
  end)
  after_each(process.leave)

  local function serve()
    return process.serve([[
      app:get("/", function() return "hello" end)
      app:get("/ticks", function() return sse.reply(sse.interval(0.02)) end)
    ]], {
      arguments = { "-l", "127.0.0.1:0" },
      environment = ("REFUSALS=%s %s"):format(refusals, process.preload("replaced", REPLACED)),
    })
  end

  it("the server answers, tries them again without haste, and watches them once it can", function()
    local server = serve()
    local stream = server:ask "/ticks"
    process.read_until(stream, "data: 3\n")
    for _ = 1, 3 do assert.same({ 200, "hello" }, { server:get "/" }) end
    assert.equal(0, (process.spawn { "status", tostring(server.pid) }:wait()))
    local count = #process.read_file(refusals)
    assert.is_true(count >= 2 and count < 200, count .. " refusals")
    os.remove(refusals)
    assert.same({ 200, "hello" }, { server:get "/" })
    process.read_until(stream, "data: 20\n")
    stream:close()
    server:stop()
  end)
end)
