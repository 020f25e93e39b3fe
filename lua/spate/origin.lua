-- SPDX-License-Identifier: MIT
-- Origins (RFC 6454) and hosts as texts.
local core = require "spate.core"

local PORTS = { http = "80", https = "443" }

local origin = { PORTS = PORTS }

-- Raises where `text` is nothing that a browser sends as Origin.
function origin.check(text, what)
  local scheme, rest = text:match("^([%w+.-]+)://([^/?#%s]+)$")
  local port = rest and rest:match(":(%d+)$")
  if text == "*" then core.raise(what .. ': "*" stands alone, not in a list') end
  if text ~= "null" and (not scheme or text:lower() ~= text or port == PORTS[scheme] and port) then
    core.raise(("%s: expected an origin as browsers send it, such as \"https://a.example\" or \"http://localhost:3000\", got '%s'")
      :format(what, text))
  end
end

-- A host in lower case without a dot at its end, and its port (nil: none is given).
function origin.split_host(text)
  local host, port = text:match("^(%[[^%]]*%]):?(%d*)$")
  if not host then host, port = text:match("^([^:]*):?(%d*)$") end
  if not host then return "", nil end
  return host:lower():gsub("%.$", ""), port ~= "" and port or nil
end

-- The origin that the request's own pages have.
function origin.of_request(req)
  local host, port = origin.split_host(req.host or "")
  if port == PORTS[req.scheme] then port = nil end
  return ("%s://%s%s"):format(req.scheme, host, port and ":" .. port or "")
end

-- { text = true, ... } of a list.
function origin.set(list)
  local set = {}
  for _, text in ipairs(list) do set[text] = true end
  return set
end

return origin
