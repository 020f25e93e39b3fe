-- SPDX-License-Identifier: MIT
-- The building blocks that applications are made of, one file of kinds/ each. A kind has `weight`, and
--   random(r, n)        a route: plain data, or nothing; n channels are there
--   code(route)         the body of its handler, a function of `req` and the request's token `t`
-- and what the model asks of it, all of it optional: answer (the word before the token, of which its answer consists), on_head, on_event,
-- on_end(model, request, ...), check (what is overdue, at rest), at_rest, finish (at the end of all), statuses other than 200, lines of the log by
-- their first word, spawns (whether it needs a task). prelude: Lua of the application before its routes; with: names of kinds that it is of no use without.
local kinds, list, others, all = {}, {}, {}, {}

local function add(name, to)
  local kind = require("spec.simulate.kinds." .. name)
  kind.name, kind.random = name, kind.random or function() return {} end
  kinds[name] = kind
  to[#to + 1] = { kind.weight, kind }
  all[#all + 1] = kind
end

for _, name in ipairs { "pipeline", "channel", "derived", "snapshot", "publish", "finish", "presence", "resumable", "closing", "task", "late", "text",
  "counter", "raw", "file", "session", "form", "failing", "passing", "pass", "window", "joiners", "echo", "late_stream", "reader", "forgotten" } do add(name, list) end
for _, name in ipairs { "combined", "events", "promised", "brings", "awaiting", "seat", "swap", "things", "cancelled", "pages", "answers", "fields", "upload",
  "tagged", "kick", "past" } do add(name, others) end

kinds.list = list
kinds.others = others -- of what blocks.lua adds
kinds.all = all
for _, name in ipairs { "dropping", "head" } do -- of what rare.lua adds alone; of requests
  kinds[name] = require("spec.simulate.kinds." .. name)
  kinds[name].name = name
end

-- Seconds that a plan's routes take to answer, by their paths.
function kinds.delays(plan)
  local delays = {}
  for _, app in ipairs(plan.apps) do
    for _, r in ipairs(app.routes) do
      local delay = r.kind == "late" and r.delay or r.kind == "snapshot" and 3 * (r.waits or 0) or r.wait or 0 -- three tries
      delays[r.path] = math.max(delays[r.path] or 0, delay)
    end
  end
  return delays
end

return kinds
