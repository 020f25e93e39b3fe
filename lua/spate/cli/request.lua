-- SPDX-License-Identifier: MIT
-- What commands that ask other servers take: a URL, and header fields.
local request = {}

-- http:// before it where it has no scheme; or nil and what is wrong.
function request.url_of(text)
  if not text:find "^%a[%w+.-]*://" then text = "http://" .. text end
  local scheme, host = text:match "^(%a[%w+.-]*)://([^/?#]*)"
  if scheme ~= "http" and scheme ~= "https" then return nil, ("%s: expected a URL with http or https"):format(text) end
  if host == "" then return nil, ("%s: expected a URL with a host"):format(text) end
  local port = host:match ":(%d+)$"
  if port and (tonumber(port) < 1 or tonumber(port) > 65535) then return nil, ("%s: expected a port from 1 to 65535"):format(text) end
  return text
end

-- Fields by their names in lower case, of lines 'Name: value', into `fields` where it is given; or nil and what is wrong.
function request.fields_of(lines, fields)
  fields = fields or {}
  for _, line in ipairs(lines) do
    local name, value = line:match("^([^%s:%c]+):%s*([^%c]*)$")
    if not name then return nil, ("-H: expected 'Name: value', got '%s'"):format(line) end
    fields[name:lower()] = value
  end
  return fields
end

return request
