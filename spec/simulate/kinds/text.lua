-- SPDX-License-Identifier: MIT
-- A string as the answer.
local says = require "spec.simulate.promises"

local kind = { weight = 1 }

function kind.random() return {} end

function kind.code() return 'return "text " .. t' end

function kind.on_end(model, request, how)
  if how == "end" then model:expect(request.content == "text " .. request.token, says.TEXT, "%s: %q", request, request.content) end
end

return kind
