-- SPDX-License-Identifier: MIT
-- A POST that ends streams by their name.
local kind = { weight = 1, answer = "kick", method = "POST", with = { "tagged" } }

function kind.random(r) return { tag = r:pick { "g1", "g1", "g2", "all" } } end

function kind.code(r)
  return ([[log("kicks", t, "%s")
  spate.kick { tag = "%s", reason = "r" .. t, retry = 7 }
  return "kick " .. t]]):format(r.tag, r.tag)
end

return kind
