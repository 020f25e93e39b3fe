-- SPDX-License-Identifier: MIT
-- spate tail URL: prints the events of a stream and comes back to it as a browser does. What is asked for is checked
-- here; spate.cli.follow asks.
local json = require "spate.json"
local request = require "spate.cli.request"

local USAGE = 2

-- The fields to send: those of the command line before those of an EventSource. Or nil and what is wrong.
local function fields_of(arguments)
  local fields = { accept = "text/event-stream", ["cache-control"] = "no-cache" }
  if arguments.data then
    fields["content-type"] = arguments.data:find("^%s*[%[{]") and "application/json" or "application/x-www-form-urlencoded"
  end
  return request.fields_of(arguments.header, fields)
end

return function(arguments, native)
  local url, problem = request.url_of(arguments.url)
  if not url then return USAGE, problem end
  local fields, wrong = fields_of(arguments)
  if not fields then return USAGE, wrong end
  native.end_by_interrupt()
  return native.run_alone("spate.cli.follow", json.encode { url = url, fields = fields, data = arguments.data, since = arguments.since,
    json = arguments.json, coloured = native.is_terminal(1) })
end
