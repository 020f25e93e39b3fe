-- SPDX-License-Identifier: MIT
-- The building blocks that applications are made of, one file of kinds/ each. A kind has `weight`, and
--   random(r, n)        a route: plain data; n channels are there
--   code(route)         the body of its handler, a function of `req` and the request's token `t`
-- and what the model asks of it, all but on_end optional: on_head, on_event, on_body, on_end(model, request, ...), check
-- (what is overdue, at rest), at_rest, finish (at the end of all), statuses other than 200, lines of the log by their first
-- word. prelude: Lua of the application before its routes; with: names of kinds that it is of no use without.
local kinds, list = {}, {}

for _, name in ipairs { "pipeline", "channel", "derived", "snapshot", "publish", "finish", "presence", "resumable", "closing", "task", "late", "text",
  "counter", "raw", "file", "session", "form", "failing", "passing", "pass", "window", "joiners", "echo", "late_stream", "reader", "forgotten" } do
  local kind = require("spec.simulate.kinds." .. name)
  kind.name = name
  kinds[name] = kind
  list[#list + 1] = { kind.weight, kind }
end

kinds.list = list
kinds.dropping = require "spec.simulate.kinds.dropping" -- of what rare.lua adds alone
kinds.dropping.name = "dropping"

return kinds
