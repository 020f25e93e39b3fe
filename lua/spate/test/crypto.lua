-- SPDX-License-Identifier: MIT
-- spate.crypto for a spec, by the application that was used last: signatures of what it posts, tokens that it shows.
local mistake = require "spate.test.mistake"
local session = require "spate.test.session"

local NAMES = { "hash", "hmac", "base64", "base64_decode", "hex", "hex_decode" }

-- A text, nil, or a table of options.
local function source_of(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local fields = {}
  for name, each in pairs(value) do fields[#fields + 1] = ("[%q] = %q"):format(name, each) end
  return "{" .. table.concat(fields, ", ") .. "}"
end

local crypto = {}

for _, name in ipairs(NAMES) do
  crypto[name] = function(...)
    if not session.current then mistake(("t.crypto.%s: there is no application; t.load first"):format(name)) end
    local list = table.pack(...)
    for i = 1, list.n do list[i] = source_of(list[i]) end
    return session.current:run(('return ("return %%q"):format((require("spate.crypto").%s('):format(name) .. table.concat(list, ", ") .. ")))", 3)
  end
end

return crypto
