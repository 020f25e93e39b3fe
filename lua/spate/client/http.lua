-- SPDX-License-Identifier: MIT
-- One HTTP request by LuaSocket, whose answer may go on for ever: the caller sees its head before its body.
local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "socket"
local url = require "socket.url"

local PORTS = { http = 80, https = 443 }

http.TIMEOUT = nil   -- a stream may be silent for as long as it likes
socket.BLOCKSIZE = 1 -- a body without chunks is handed on as it comes; LuaSocket has a buffer below this

local function plain() return socket.tcp() end

-- The parts of a URL, http:// before it where it has no scheme; or nil and a message.
local function parse(text)
  if not text:find("^%a[%w+.-]*://") then text = "http://" .. text end
  local parts = url.parse(text)
  if not PORTS[parts.scheme] then return nil, ("%s: expected a URL with http or https"):format(text) end
  if not parts.host or parts.host == "" then return nil, ("%s: expected a URL with a host"):format(text) end
  parts.port = tonumber(parts.port) or PORTS[parts.scheme]
  parts.target = url.build { path = parts.path or "/", params = parts.params, query = parts.query }
  parts.origin = ("%s://%s:%d"):format(parts.scheme, parts.host, parts.port)
  parts.url = url.build { scheme = parts.scheme, authority = parts.authority, path = parts.path or "/", params = parts.params, query = parts.query }
  return parts
end

local function host_field(parts)
  local host = parts.host:find(":", 1, true) and "[" .. parts.host .. "]" or parts.host
  return parts.port == PORTS[parts.scheme] and host or host .. ":" .. parts.port
end

-- Sends method, headers and body to the URL in `parts`; `on_head(status, line, headers)` returns the sink for the body,
-- or nil where it is not wanted. True once the body has ended; nil and a message.
local function request(parts, method, headers, body, on_head)
  local fields = { host = host_field(parts), connection = "close", ["user-agent"] = "spate" }
  if body then fields["content-length"] = tostring(#body) end
  for name, value in pairs(headers) do fields[name:lower()] = value end
  return socket.protect(function()
    local h = http.open(parts.host, parts.port, parts.scheme == "https" and require "spate.client.tls" or plain)
    h:sendrequestline(method, parts.target)
    h:sendheaders(fields)
    if body then h:sendbody(fields, ltn12.source.string(body)) end
    local status, line = h:receivestatusline()
    if not status then h.try(nil, "the answer is not HTTP") end
    local received
    repeat
      received = h:receiveheaders()
      local is_interim = status >= 100 and status < 200
      if is_interim then status, line = h:receivestatusline() end
    until not is_interim
    local sink = on_head(status, line, received)
    if sink and status ~= 204 then h:receivebody(received, sink) end
    h:close()
    return true
  end)()
end

return { parse = parse, absolute = url.absolute, request = request }
