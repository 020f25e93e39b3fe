-- SPDX-License-Identifier: MIT
-- A TLS connection for socket.http that checks the server's certificate and its name, which that of ssl.https does not.
local socket = require "socket"
local ssl = require "ssl"

local AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt" -- Debian's, of the package ca-certificates
local ALTERNATIVE_NAMES = "2.5.29.17"

-- True where a certificate's name is the host's; "*" stands for its first label.
local function is_name_of(name, host)
  name, host = name:lower(), host:lower()
  if name == host then return true end
  local rest, below = name:match("^%*(%..+)$"), host:match("^[^.]+(%..+)$")
  return rest ~= nil and rest == below and rest:find("%..*%.") ~= nil
end

local function is_for(certificate, host)
  local names = certificate and certificate:extensions()[ALTERNATIVE_NAMES] or {}
  for _, kind in ipairs { "dNSName", "iPAddress" } do
    for _, name in ipairs(names[kind] or {}) do
      if is_name_of(name, host) then return true end
    end
  end
  return false
end

-- The file of the authorities that are trusted; nil and what to do where there is none.
local function authorities()
  local path = os.getenv("SSL_CERT_FILE") or AUTHORITIES
  local f <close> = io.open(path)
  if f then return path end
  return nil, ("cannot read %s, the authorities to trust: apt install ca-certificates, or set SSL_CERT_FILE"):format(path)
end

local function shake_hands(tcp, host)
  local trusted, problem = authorities()
  if not trusted then return nil, problem end
  local connection, err = ssl.wrap(tcp, { mode = "client", protocol = "any", options = { "all", "no_sslv2", "no_sslv3", "no_tlsv1", "no_tlsv1_1" },
    verify = "peer", cafile = trusted })
  if not connection then return nil, err end
  connection:sni(host)
  local ok, reason = connection:dohandshake()
  if ok and not is_for(connection:getpeercertificate(), host) then ok, reason = nil, "the certificate is not for " .. host end
  if ok then return connection end
  connection:close() -- it has the socket now
  return nil, reason
end

-- What socket.http calls for a connection.
return function()
  local current = socket.tcp()
  local forward = {}
  for _, name in ipairs { "settimeout", "send", "receive", "close", "getfd", "dirty" } do
    forward[name] = function(_, ...) return current[name](current, ...) end
  end
  function forward.connect(_, host, port)
    local ok, err = current:connect(host, port)
    if not ok then return nil, err end
    local connection, reason = shake_hands(current, host)
    if not connection then return nil, reason end
    current = connection
    return 1
  end
  return forward
end
