-- SPDX-License-Identifier: MIT
-- What holds of Redis, with Valkey in its place. Debian has that from 13 on; what .ci/run excuses before is named here.
local redis_server = require "spec.redis_server"

if not os.execute "command -v valkey-server redis-cli >/dev/null" then
  local is_to_be_had = os.execute "apt-cache show valkey-server >/dev/null 2>&1"
  pending(is_to_be_had and "with Valkey: valkey-server is not installed" or "with Valkey: this Debian has no valkey-server")
  return
end

for _, name in ipairs { "e2e_redis", "e2e_redis_store", "e2e_redis_shared", "e2e_redis_ways", "e2e_nodes" } do
  describe("with Valkey,", function()
    local before

    setup(function() before, redis_server.program = redis_server.program, "valkey-server" end)
    teardown(function() redis_server.program = before end)
    describe(name, function() assert(loadfile("spec/" .. name .. "_spec.lua", "t", _ENV))() end)
  end)
end
