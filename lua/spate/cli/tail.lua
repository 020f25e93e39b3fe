-- SPDX-License-Identifier: MIT
-- spate tail URL: prints the events of a stream and comes back to it as a browser does. What is asked for is checked
-- here; spate.cli.follow asks.
local json = require "spate.json"

local USAGE = 2

-- The fields to send: those of the command line before those of an EventSource. Or nil and what is wrong.
local function fields_of(arguments)
  local fields = { accept = "text/event-stream", ["cache-control"] = "no-cache" }
  if arguments.data then
    fields["content-type"] = arguments.data:find("^%s*[%[{]") and "application/json" or "application/x-www-form-urlencoded"
  end
  for _, line in ipairs(arguments.header) do
    local name, value = line:match("^([^%s:%c]+):%s*([^%c]*)$")
    if not name then return nil, ("-H: expected 'Name: value', got '%s'"):format(line) end
    fields[name:lower()] = value
  end
  return fields
end

-- http:// before it where it has no scheme; or nil and what is wrong.
local function url_of(text)
  if not text:find "^%a[%w+.-]*://" then text = "http://" .. text end
  local scheme, host = text:match "^(%a[%w+.-]*)://([^/?#]*)"
  if scheme ~= "http" and scheme ~= "https" then return nil, ("%s: expected a URL with http or https"):format(text) end
  if host == "" then return nil, ("%s: expected a URL with a host"):format(text) end
  return text
end

return function(arguments, native)
  local url, problem = url_of(arguments.url)
  if not url then return USAGE, problem end
  local fields, wrong = fields_of(arguments)
  if not fields then return USAGE, wrong end
  native.end_by_interrupt()
  return native.run_alone("spate.cli.follow", json.encode { url = url, fields = fields, data = arguments.data, since = arguments.since,
    json = arguments.json, coloured = native.is_terminal(1) })
end
