-- SPDX-License-Identifier: MIT
-- A POST that finishes a channel for good.
local kind = { weight = 1, answer = "finished", method = "POST", with = { "channel", "publish" } }

function kind.random(r, n) return { channel = r:int(1, n) } end

function kind.code(r) return ('log("finishing", "c%d") C[%d]:finish() log("finished", "c%d") return "finished " .. t'):format(r.channel, r.channel, r.channel) end

return kind
