-- SPDX-License-Identifier: MIT
-- The application of the admin listener, in a state of its own beside the one that is served.
local app = require "spate.app"
local core = require "spate.core"
local guard = require "spate.panel.guard"
local rates = require "spate.panel.rates"
local sse = require "spate.sse"

local settings = core.admin_settings()
core.log_lines(0) -- are kept from now on
sse.every(1, rates.sample)
local listener = app.new()
listener:use(settings.token and guard.token(settings.token) or guard.hosts(settings.hosts))
return require "spate.panel.routes" (listener)
