-- SPDX-License-Identifier: MIT
-- The clients of e2e_clients_spec.lua once more, whose streams are compressed.
local clients = require "spec.clients"

clients.more_settings = "compress = true, "
describe("by gzip", assert(loadfile("spec/e2e_clients_spec.lua", "t", _ENV)))
