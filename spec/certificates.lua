-- SPDX-License-Identifier: MIT
-- Certificates for specs, by the openssl program. Each is made once in a run, in a directory that the next one reuses
-- where it is named by CERTIFICATES.
local certificates = {}

local function shell(...)
  local command = (...):format(select(2, ...))
  assert(os.execute(command .. " >/dev/null 2>&1"), "failed: " .. command)
end

-- A directory for them; remove it with certificates.remove.
function certificates.directory()
  local path = os.tmpname()
  os.remove(path)
  shell("mkdir %s", path)
  return path
end

function certificates.remove(directory) shell("rm -rf %s", directory) end

-- Makes DIRECTORY/NAME.pem and NAME.key. options: names (a list such as { "DNS:a.example" }; by default DNS:NAME),
-- subject ("/CN=NAME"), days (90), issuer (a name that was made with `is_ca`), is_ca, algorithm ("ec"). Returns both
-- paths.
function certificates.make(directory, name, options)
  options = options or {}
  local path = directory .. "/" .. name
  local key = options.algorithm == "rsa" and "rsa:2048" or "ec -pkeyopt ec_paramgen_curve:P-256"
  local issuer = options.issuer and ("-CA %s/%s.pem -CAkey %s/%s.key"):format(directory, options.issuer, directory, options.issuer) or ""
  local names = table.concat(options.names or { "DNS:" .. name }, ",")
  shell("openssl req -x509 -newkey %s -nodes -keyout %s.key -out %s.pem -days %d -subj '%s' %s -addext 'subjectAltName=%s' -addext 'basicConstraints=critical,CA:%s'",
    key, path, path, math.max(options.days or 90, 1), options.subject or "/CN=" .. name, issuer, names, options.is_ca and "TRUE" or "FALSE")
  if options.days and options.days < 1 then -- one that has ended: `req` makes none, and what does is another way from OpenSSL 3.4 on
    shell("{ openssl x509 -in %s.pem -signkey %s.key -days %d -out %s.ended || openssl x509 -in %s.pem -signkey %s.key -not_before 20200101000000Z -not_after 20200201000000Z -out %s.ended; } && mv %s.ended %s.pem",
      path, path, options.days, path, path, path, path, path, path)
  end
  return path .. ".pem", path .. ".key"
end

return certificates
