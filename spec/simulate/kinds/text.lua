-- SPDX-License-Identifier: MIT
-- A string as the answer.
local kind = { weight = 1, answer = "text" }

function kind.code() return 'return "text " .. t' end

return kind
