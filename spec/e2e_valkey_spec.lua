-- SPDX-License-Identifier: MIT
-- What holds of Redis, with Valkey in its place, where that is installed (Debian has it from 13 on; before there is nothing to skip).
local redis_server = require "spec.redis_server"

if not os.execute "command -v valkey-server redis-cli >/dev/null" then return end

for _, name in ipairs { "e2e_redis", "e2e_redis_store", "e2e_redis_shared", "e2e_redis_ways", "e2e_nodes" } do
  describe("with Valkey,", function()
    local before

    setup(function() before, redis_server.program = redis_server.program, "valkey-server" end)
    teardown(function() redis_server.program = before end)
    describe(name, function() assert(loadfile("spec/" .. name .. "_spec.lua", "t", _ENV))() end)
  end)
end
