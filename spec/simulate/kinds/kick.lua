-- SPDX-License-Identifier: MIT
-- A POST that ends streams by their name.
local says = require "spec.simulate.promises"

local kind = { weight = 1, method = "POST", with = { "tagged" } }

function kind.random(r) return { tag = r:pick { "g1", "g1", "g2", "all" } } end

function kind.code(r)
  return ([[log("kicks", t, "%s")
  spate.kick { tag = "%s", reason = "r" .. t, retry = 7 }
  return "kick " .. t]]):format(r.tag, r.tag)
end

function kind.on_end(model, request, how)
  if how == "end" then model:expect(request.content == "kick " .. request.token, says.TEXT, "%s: %q", request, request.content) end
end

return kind
