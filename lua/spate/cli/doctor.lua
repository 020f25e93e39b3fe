-- SPDX-License-Identifier: MIT
-- spate doctor URL: what stands between here and a stream. What is asked for is checked here; spate.cli.diagnosis asks.
local json = require "spate.json"
local request = require "spate.cli.request"

local USAGE = 2
local WAIT_MAX = 500 -- seconds, less than spate.doctor is silent for at most

return function(arguments, native)
  local url, problem = request.url_of(arguments.url)
  if not url then return USAGE, problem end
  local headers, wrong = request.fields_of(arguments.header)
  if not headers then return USAGE, wrong end
  local wait = tonumber(arguments.wait or 65)
  if not wait or wait < 0 or wait > WAIT_MAX then return USAGE, ("--wait: expected seconds, up to %d, got '%s'"):format(WAIT_MAX, arguments.wait) end
  native.end_by_interrupt()
  return native.run_alone("spate.cli.diagnosis", json.encode { url = url, headers = headers, wait = wait, proxy = arguments.proxy,
    json = arguments.json, coloured = native.is_terminal(1) and not os.getenv "NO_COLOR", talks = native.is_terminal(2) })
end
