-- SPDX-License-Identifier: MIT
-- Many clients that publish at a time over real sockets, each the next event once it has the answer to the last.
local socket = require "socket"

local publishers = {}

local function request(payload)
  return ("POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"):format(#payload, payload)
end

-- Publishes from `count` connections to the port until each of them is at its end: `on_answer(payload, status, body)` is
-- called for each answer and returns the next payload of that connection, or nil. The first is payload(i, 1), and so on.
function publishers.run(port, count, payload, on_answer)
  local list, by_socket = {}, {}
  for i = 1, count do
    local s = socket.connect("127.0.0.1", port)
    if s then
      s:settimeout(0)
      local one = { socket = s, number = i, n = 1, bytes = "", payload = payload(i, 1) }
      s:send(request(one.payload))
      list[#list + 1], by_socket[s] = s, one
    end
  end
  local function close(one)
    one.socket:close()
    for i = #list, 1, -1 do if list[i] == one.socket then table.remove(list, i) end end
  end
  local function take(one)
    local head, length, rest = one.bytes:match "^(HTTP/1%.1 .-)[Cc]ontent%-[Ll]ength: (%d+).-\r\n\r\n()"
    if not head or #one.bytes < rest + length - 1 then return false end
    local status, body = tonumber(head:match "^HTTP/1%.1 (%d+)"), one.bytes:sub(rest, rest + length - 1)
    one.bytes = one.bytes:sub(rest + length)
    if not on_answer(one.payload, status, body) then return close(one) end
    one.n = one.n + 1
    one.payload = payload(one.number, one.n)
    if not one.socket:send(request(one.payload)) then close(one) end
  end
  while #list > 0 do
    for _, s in ipairs((socket.select(list, nil, 10))) do
      local one = by_socket[s]
      local bytes, err, partial = s:receive "*a"
      one.bytes = one.bytes .. (bytes or partial or "")
      take(one)
      if bytes or err == "closed" then close(one) end
    end
  end
end

return publishers
