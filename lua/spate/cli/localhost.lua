-- SPDX-License-Identifier: MIT
-- spate dev --tls: a certificate for localhost, made once and kept in the user's folder of state.
local localhost = {}

local RENEW_SECONDS = 30 * 86400

local TRUST = [[
TLS by a certificate of your own for localhost: %s
  curl --cacert %s
  NODE_EXTRA_CA_CERTS=%s node ...
  Chromium: certutil -d sql:$HOME/.pki/nssdb -A -t P,, -n spate-localhost -i %s
  Debian: sudo cp %s /usr/local/share/ca-certificates/spate-localhost.crt && sudo update-ca-certificates
  Firefox and others: go on where they warn, once
]]

-- $XDG_STATE_HOME/spate, or what that stands for; nil where there is no home.
local function folder()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  if state and state:sub(1, 1) == "/" then return state .. "/spate" end
  return home and home .. "/.local/state/spate"
end

local function make_folders(path, native)
  for at in path:gmatch "()/" do
    if at > 1 then native.make_directory(path:sub(1, at - 1)) end
  end
  native.make_directory(path)
end

-- The setting `tls` for it, or nil and a message.
function localhost.tls(native)
  local path = folder()
  if not path then return nil, "--tls keeps a certificate in $XDG_STATE_HOME or $HOME, and neither is set" end
  local cert, key = path .. "/localhost.pem", path .. "/localhost.key"
  local known = native.certificates { cert = cert, key = key }
  if not known or known[1].seconds < RENEW_SECONDS then
    make_folders(path, native)
    local made, err = native.make_certificate(cert, key)
    if not made then return nil, "--tls: no certificate: " .. err end
  end
  return { cert = cert, key = key }
end

function localhost.say_how_to_trust(tls, to) to:write((TRUST:gsub("%%s", function() return tls.cert end))) end

return localhost
