-- SPDX-License-Identifier: MIT
-- System calls that fail: while clients come and go, strace has the n-th call of a kind return an error, for each kind,
-- error and n. What the clients get meanwhile may be cut; the server goes on, answers the next request and keeps no
-- descriptor. `make faults` runs a choice, `make faults FULL=1` all.
local process = require "spec.process"
local socket = require "socket"

local it = os.execute "command -v strace >/dev/null" and it or pending
if it == pending then io.stderr:write "spec/syscalls_sweep.lua: skipped, as strace is not installed\n" end

-- libev ends the process where epoll_wait fails by anything but EINTR, and may where epoll_ctl does, so that is not
-- tried; nor is memory, which ends it by design; and a close that strace lets fail has not closed. Writes fail in the log
-- only: libev forgets for good what wakes a loop where a write to an eventfd fails, which those do not.
local CALLS = {
  { "accept4", "EINTR", "EAGAIN", "ECONNABORTED", "EPROTO", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPERM", "ENETDOWN" },
  { "recvfrom", "EINTR", "EAGAIN", "ECONNRESET", "ETIMEDOUT", "ENOMEM", "EIO" },
  { "sendto", "EINTR", "EAGAIN", "EPIPE", "ECONNRESET", "ENOBUFS", "ENOMEM", "EIO" },
  { "sendmsg", "EINTR", "EAGAIN", "EPIPE", "ECONNRESET", "ENOBUFS", "ENOMEM", "EIO" },
  { "io_uring_enter", "ENOMEM", "EAGAIN", "EBUSY", "EINTR", "EPERM" },
  { "io_uring_setup", "ENOMEM", "EMFILE" },
  { "sendfile", "EINTR", "EAGAIN", "EPIPE", "EINVAL", "ENOSYS", "EIO" },
  { "epoll_wait", "EINTR" },
  { "read", "EINTR", "EAGAIN", "EIO" },
  { "write", "EINTR", "EAGAIN", "ENOSPC", "EIO" },
  { "shutdown", "ENOTCONN" },
  { "setsockopt", "EINVAL", "ENOMEM", "ENOPROTOOPT" },
  { "getpeername", "ENOTCONN", "ENOBUFS" },
  { "openat", "EMFILE", "ENFILE", "ENOENT", "EACCES", "EIO", "EINTR" },
  { "fstat,newfstatat,statx", "EIO", "ENOMEM" },
  { "pread64,lseek", "EIO", "EINTR" },
  { "getrandom", "EINTR", "EAGAIN" },
}
local FULL = os.getenv "FULL"

local APP = [[
app:get("/", function() return "fine" end)
app:get("/id", function(req) return req.id end)
app:get("/stats", function() return spate.stats() end)
app:post("/echo", function(req) return req:body() end)
app:get("/ticks", function() return sse.reply(sse.interval(0.005)) end)
app:get("/large", function() return reply.text(("x"):rep(300000)) end)
app:get("/file", function() return reply.file "data" end)
local news = sse.channel("news", { history = 10 })
app:get("/news", function(req) return sse.reply(news:subscribe { after = req.last_event_id, replay = 3 }) end)
app:post("/news", function(req) return { id = news:publish(req:body()) } end)
]]

describe("system calls that fail:", function()
  local directory, server, descriptors

  local function count_descriptors()
    local pipe <close> = io.popen(("ls /proc/%d/fd | wc -l"):format(server.pid))
    return pipe:read "n"
  end

  -- One request; whatever comes of it. Short times: a request whose bytes were lost gets no answer.
  local function ask(target, body, keep)
    local client = socket.tcp()
    client:settimeout(0.2)
    if client:connect("127.0.0.1", server.port) then
      client:send(("%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n%s"):format(body and "POST" or "GET", target,
        body and "Content-Length: " .. #body .. "\r\n" or "", body or ""))
      client:receive "*l"
      client:receive(keep or 1)
    end
    return client
  end

  local function disturb()
    local open = { ask "/ticks" }
    for i = 2, 9 do open[i] = ask "/news" end -- as many as are sent to by one call, on either worker
    for _ = 1, FULL and 4 or 2 do
      ask("/id"):close()
      ask("/echo", "hello"):close()
      ask("/news", "news"):close()
      ask("/large", nil, 1000):close()
      process.reset(ask "/large")
      ask("/file", nil, 1000):close()
    end
    for _, client in ipairs(open) do
      client:receive(50)
      client:close()
    end
  end

  local function trace(call, err, when)
    local log = directory .. "/strace"
    process.write_file(log, "")
    local only = call == "write" and "-P " .. server.err or ""
    local pipe = io.popen(("echo $$; exec strace -f -qq -p %d %s -e trace=%s -e inject=%s:error=%s:when=%s -o %s 2>%s.err"):format(
      server.pid, only, call, call, err, when, log, log))
    local pid = pipe:read "l"
    process.eventually("strace", function()
      local status = process.read_file(("/proc/%d/status"):format(server.pid))
      return status:match "TracerPid:%s*(%d+)" ~= "0"
    end)
    socket.sleep(0.01) -- it takes thread after thread
    return function()
      os.execute(("kill -INT %s 2>/dev/null"):format(pid))
      pipe:close()
      local _, injected = process.read_file(log):gsub("INJECTED", "")
      return injected
    end
  end

  local function check(what)
    assert(not server:has_ended(), what .. ": the server has ended\n" .. server:stderr():sub(-2000))
    process.eventually("the next answer after " .. what, function()
      local ok, status, body = pcall(process.get, server.port, "/")
      return ok and status == 200 and body == "fine"
    end)
    process.eventually("descriptors as before after " .. what, function() return count_descriptors() <= descriptors end)
  end

  lazy_setup(function() -- not where all is skipped
    directory = process.enter()
    process.write_file(directory .. "/data", ("data"):rep(50000))
    server = process.serve(APP, { settings = "{ timeouts = { head = 1, idle = 1, send = 1, body = 1 } }", arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
    disturb()
    socket.sleep(0.1)
    descriptors = count_descriptors()
  end)
  lazy_teardown(process.leave)

  for _, row in ipairs(CALLS) do
    it(row[1], function()
      local injected = 0
      for i = 2, #row do
        local whens = { "1+2" }
        for n = 1, FULL and 20 or 0 do whens[n + 1] = tostring(n) end
        for _, when in ipairs(whens) do
          local stop = trace(row[1], row[i], when)
          disturb()
          injected = injected + stop()
          check(("%s of %s, %s"):format(row[i], row[1], when))
        end
      end
      if FULL then io.stderr:write(("%s: %d calls failed\n"):format(row[1], injected)) end
    end)
  end

  it("and then ends as it should", function() server:stop() end)
end)
