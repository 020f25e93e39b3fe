-- SPDX-License-Identifier: MIT
-- A server for specs that answers as none should: lua5.4 spec/misbehaving_server.lua LOG. Prints its port, then serves one
-- connection after the other; what it is asked for, and when a client has left, it writes to the log.
local socket = require "socket"

local log = assert(io.open((...), "a"))
log:setvbuf "line"

local server = assert(socket.bind("127.0.0.1", 0))
print((select(2, server:getsockname())))
io.stdout:flush()

local OK = "HTTP/1.1 200 OK\r\n"

local function reset(client)
  client:setoption("linger", { on = true, timeout = 0 })
  client:close()
end

-- Waits until the client has gone.
local function await_end(client)
  client:settimeout(30)
  repeat local _, err = client:receive(1) until err
end

local function watch(client)
  await_end(client)
  log:write("left\n")
end

local function chunked(client, bytes) return client:send(("%x\r\n%s\r\n"):format(#bytes, bytes)) end

local GIGABYTE = 1 << 30

local answers = {
  ["/bytes"] = function(client) -- one byte at a time
    client:setoption("tcp-nodelay", true)
    local text = OK .. "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n"
    for i = 1, #text do client:send(text:sub(i, i)) end
  end,
  ["/extensions"] = function(client) -- more of them than data, as long as the answer is
    client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n")
    for _ = 1, 100 do client:send("1;name=" .. ("x"):rep(1000) .. "\r\na\r\n") end
    client:send "0\r\n\r\n"
  end,
  ["/padded"] = function(client) client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n3  \r\nabc\r\n4 \t;x=y\r\ndefg\r\n0 \r\n\r\n") end,
  ["/padding-before"] = function(client) client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n") end,
  ["/padding-within"] = function(client) client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n1 0\r\nabc\r\n0\r\n\r\n") end,
  ["/padded-for-ever"] = function(client)
    client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n3")
    repeat local ok = client:send((" "):rep(1000)) until not ok
  end,
  ["/hints"] = function(client)
    client:send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" .. OK .. "Content-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nok")
  end,
  ["/reason"] = function(client) client:send "HTTP/1.1 403 Forbidden: see http://x/\r\nContent-Length: 2\r\n\r\nno" end,
  ["/switched"] = function(client) client:send "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello" end,
  ["/folded"] = function(client) client:send(OK .. "X-A: a\r\n Set-Cookie: b=1\r\n\t c\r\nX-B: d\r\nContent-Length: 2\r\n\r\nok") end,
  ["/line-feeds"] = function(client) client:send "HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 2\n\nok" end,
  ["/two-lengths"] = function(client) client:send(OK .. "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!") end,
  ["/no-length"] = function(client) client:send(OK .. "Content-Length: two\r\n\r\nok") end,
  ["/same-lengths"] = function(client) client:send(OK .. "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok") end,
  ["/two-heads"] = function(client) client:send(OK .. "X-A: 1\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") end,
  ["/to-its-end"] = function(client) client:send(OK .. "\r\nall there is") end,
  ["/trailer"] = function(client) client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n0\r\n" .. ("X-A: b\r\n"):rep(20000) .. "\r\n") end,
  ["/unasked"] = function(client) -- a second answer that nobody has asked for
    client:send(OK .. "Content-Length: 5\r\n\r\nasked" .. OK .. "Content-Length: 7\r\n\r\nunasked")
    await_end(client)
  end,
  ["/unasked-later"] = function(client)
    client:send(OK .. "Content-Length: 5\r\n\r\nasked")
    socket.sleep(0.1)
    client:send(OK .. "Content-Length: 7\r\n\r\nunasked")
    await_end(client)
  end,
  ["/unasked-behind"] = function(client) -- the second answer lies behind what is read at once
    local head = OK .. "Content-Length: 16300\r\n\r\n"
    client:send(OK .. ("Content-Length: %d\r\n\r\n"):format(16384 - #head) .. "asked" .. ("x"):rep(16379 - #head) .. OK .. "Content-Length: 7\r\n\r\nunasked")
    await_end(client)
  end,
  ["/answered-early"] = function(client) -- with an event larger than any may be, while the body is still to come
    client:send(OK .. "Content-Type: text/event-stream\r\nContent-Length: 4194400\r\n\r\ndata: " .. ("x"):rep(4194394))
    await_end(client)
  end,
  ["/gzip-chunked"] = function(client) client:send(OK .. "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") end,
  ["/two-codings"] = function(client) client:send(OK .. "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n") end,
  ["/other-coding"] = function(client) client:send(OK .. "Transfer-Encoding: gzip\r\n\r\nhello") end,
  ["/identity"] = function(client) client:send(OK .. "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok") end,
  ["/hints-for-ever"] = function(client)
    repeat local ok = client:send "HTTP/1.1 100 Continue\r\n\r\n" until not ok
  end,
  ["/many-chunks"] = function(client) -- more than a window, and its end
    client:send(OK .. "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ = 1, 67 do chunked(client, "data: " .. ("x"):rep(992) .. "\n\n") end
    chunked(client, "")
  end,
  ["/empty"] = function() end,
  ["/garbage"] = function(client) client:send("this is not HTTP\r\n\r\n") end,
  ["/status-joined"] = function(client) client:send "HTTP/1.1 200OK\r\nContent-Length: 2\r\n\r\nok" end,
  ["/status-of-four"] = function(client) client:send "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok" end,
  ["/status-joined-later"] = function(client) client:send "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200OK\r\nContent-Length: 2\r\n\r\nok" end,
  ["/reset"] = reset,
  ["/reset-body"] = function(client)
    client:send(OK .. "Content-Length: 1000000\r\n\r\nsome")
    socket.sleep(0.1)
    reset(client)
  end,
  ["/short"] = function(client) client:send(OK .. "Content-Length: 10\r\n\r\nshort") end,
  ["/short-chunks"] = function(client) client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n") end,
  ["/bad-chunks"] = function(client) client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n") end,
  ["/long"] = function(client) client:send(OK .. "Content-Length: 4\r\n\r\nlonger than was said") end,
  ["/fields"] = function(client) client:send(OK .. ("X-A: b\r\n"):rep(10000) .. "Content-Length: 2\r\n\r\nok") end,
  ["/field"] = function(client) client:send(OK .. "X-A: " .. ("b"):rep(90000) .. "\r\nContent-Length: 2\r\n\r\nok") end,
  ["/redirects"] = function(client) client:send("HTTP/1.1 302 Found\r\nLocation: /redirects?" .. math.random(1e9) .. "\r\nContent-Length: 0\r\n\r\n") end,
  ["/fat-redirect"] = function(client) -- whose body nobody wants
    client:send("HTTP/1.1 302 Found\r\nLocation: /bytes\r\nTransfer-Encoding: chunked\r\n\r\n")
    repeat local ok = chunked(client, ("x"):rep(10000)) until not ok
  end,
  ["/to"] = function(client, head)
    client:send(("HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"):format(head:match "%?(%S*) HTTP"))
  end,
  ["/gigabyte"] = function(client)
    client:send(OK .. ("Content-Length: %d\r\n\r\n"):format(GIGABYTE))
    local piece, sent = ("x"):rep(1 << 20), 0
    client:settimeout(60)
    for _ = 1, GIGABYTE // #piece do
      local n = client:send(piece)
      if not n then break end
      sent = sent + n
    end
    log:write(("sent %d\n"):format(sent))
  end,
  ["/silent"] = watch,
  ["/silent-body"] = function(client)
    client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n")
    chunked(client, "first")
    watch(client)
  end,
  ["/drip"] = function(client) -- alive, and never at its end
    client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n")
    client:setoption("tcp-nodelay", true)
    repeat
      socket.sleep(0.05)
      local ok = chunked(client, "drip\n")
    until not ok
    log:write("left\n")
  end,
  ["/head"] = function(client, head)
    client:send(OK .. ("Content-Length: %d\r\n\r\n%s"):format(#head, head))
  end,
  ["/early"] = function(client, head) -- answers, then reads the body, and says how long it was
    client:send(OK .. "Transfer-Encoding: chunked\r\n\r\n")
    local body = client:receive(tonumber(head:lower():match "content%-length: (%d+)")) or ""
    chunked(client, tostring(#body))
    chunked(client, "")
  end,
  ["/refused"] = function(client) -- behind the first two bytes of the body, and a while in which no more come
    client:receive(2)
    socket.sleep(0.1)
    client:send "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nfirst"
    watch(client)
  end,
  ["/refused-in-part"] = function(client)
    client:receive(2)
    socket.sleep(0.1)
    client:send "HTTP/1.1 413 Content Too Large\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked(client, "first")
    watch(client)
  end,
  ["/deaf"] = function() socket.sleep(2) end, -- takes no body
  -- Answers once, keeps the connection, reads what comes next, and closes without a word.
  ["/once"] = function(client)
    client:send(OK .. "Content-Length: 2\r\n\r\nok")
    client:settimeout(0.5)
    local line = client:receive "*l"
    repeat local field = client:receive "*l" until not field or field == ""
    log:write(("dropped %s\n"):format(line or "nothing"))
  end,
}

while true do
  local client = server:accept()
  client:settimeout(5)
  local lines = {}
  repeat
    local line = client:receive "*l"
    lines[#lines + 1] = line
  until not line or line == ""
  local head = table.concat(lines, "\r\n")
  local target = head:match "^%S+ (%S+)" or ""
  local path = target:gsub("^http://[^/]*", ""):match "^[^?]*"
  log:write((lines[1] or "nothing") .. "\n")
  local answer = answers[path]
  if answer then answer(client, head) else client:send "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" end
  client:close()
end
