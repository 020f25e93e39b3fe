-- SPDX-License-Identifier: MIT
-- What modules find in a state in which spate.offload runs their functions: what needs no loop. The rest says so when it
-- is called, so that a module may require what other functions of it use.
local core = require "spate.core"

local KEPT = {
  "base64", "base64_decode", "hex", "hex_decode", "hash", "hmac", "random", "equal", "password_hash", "password_verify", "jwt_key",
  "jwt_verify", "network", "shared", "shared_methods", "log", "now", "wall", "stats", "version",
  "raise", "public", "where", "traceback", "nearest", "distance", "advise_seconds", "is_redacted",
  "status_phrase", "check_field", "watch",
}

-- What raises when it is called, and whatever is in it.
local function refused(name)
  return setmetatable({}, {
    __index = function(_, field) return refused(("%s.%s"):format(name, field)) end,
    __call = function()
      core.raise(("%s: not in a function that spate.offload runs, which has a thread of its own: return what the caller is to do it with")
        :format(name))
    end,
  })
end

local kept = {}
for _, name in ipairs(KEPT) do kept[name] = true end
for name in pairs(core) do
  local is_value = type(core[name]) == "boolean" or type(core[name]) == "number" -- such as a setting
  if not (kept[name] or is_value) then core[name] = refused("spate.core." .. name) end
end

for _, name in ipairs { "sse", "reply", "http", "process", "fs" } do package.loaded["spate." .. name] = refused(name) end
package.loaded["spate.app"] = { new = refused "spate.app" }

local spate = require "spate"
for _, name in ipairs { "abort", "offload" } do spate[name] = refused("spate." .. name) end
for _, name in ipairs { "http", "process", "fs" } do spate[name] = refused(name) end
