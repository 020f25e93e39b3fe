-- SPDX-License-Identifier: MIT
-- Durable streams, for the protocol's conformance suite.
local spate = require "spate"
local app = spate.app()

require("spate.durable").streams({ poll = 1 }):serve(app, "/v1/stream")

return app
