-- SPDX-License-Identifier: MIT
-- spate top [URL | SERVER]: what the inspector's page shows, in a terminal. Where it is asked is found here; spate.cli.screen
-- asks and draws.
local control = require "spate.cli.control"
local json = require "spate.json"
local request = require "spate.cli.request"
local screen_views = require "spate.cli.screen_views"

local FAILED, USAGE = 1, 2

-- What the view can be sorted by, for who has named another: "age, bytes, events, lag or queued".
local function sorts_of(view)
  local names = {}
  for _, name in pairs(view.sorts) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ", 1, #names - 1) .. " or " .. names[#names]
end

-- The view that is asked for, once its order is known to be one.
local function view_of(arguments)
  local view, names = screen_views.find(arguments.view or "streams")
  if not view then return nil, ("--view: expected %s or %s, got %s"):format(table.concat(names, ", ", 1, #names - 1), names[#names], arguments.view) end
  if not arguments.sort then return view end
  if not view.sorts then return nil, ("--sort: the view %s has no order"):format(view.name) end
  for _, name in pairs(view.sorts) do
    if name == arguments.sort then return view end
  end
  return nil, ("--sort: expected %s, got %s"):format(sorts_of(view), arguments.sort)
end

-- The address of the listener for who looks after the server, as `spate status` tells it.
local function address_of(native, wanted)
  local server, code, message = control.choose(native, wanted)
  if not server then return nil, code, message end
  if server.admin then return server.admin end
  return nil, FAILED, ("%s has no admin listener: start it with --admin 127.0.0.1:9090, or name the URL where spate.admin is mounted"):format(server.app)
end

local function is_url(text) return text:find("://", 1, true) ~= nil or text:find "^unix:" ~= nil or text:find "^[^/]*:%d+" ~= nil end

return function(arguments, native)
  local address, code, message = arguments.server, nil, nil
  if not address or not is_url(address) then address, code, message = address_of(native, arguments.server) end
  if not address then return code, message end
  local url, unix = address, address:match "^unix:(.*)$"
  if not unix then url, message = request.url_of(address) end
  if not url then return USAGE, message end
  local view, wrong = view_of(arguments)
  if not view then return USAGE, wrong end
  local interval = tonumber(arguments.interval or 1)
  if not interval or interval < 0.1 or interval > 3600 then return USAGE, "--interval: expected seconds from 0.1 on, got " .. arguments.interval end
  local token = os.getenv "SPATE_ADMIN_TOKEN"
  if token == "" then token = nil end
  if token and token:find "[%c%s]" then return USAGE, "SPATE_ADMIN_TOKEN: expected no white space and no control characters" end
  local once = arguments.once or not (native.is_terminal(0) and native.is_terminal(1))
  if once then native.end_by_interrupt() end
  return native.run_alone("spate.cli.screen", json.encode { url = unix and "http://localhost" or (url:gsub("/+$", "")), unix = unix,
    view = view.name, sort = arguments.sort, token = token, interval = interval, once = once, json = arguments.json })
end
