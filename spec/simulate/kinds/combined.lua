-- SPDX-License-Identifier: MIT
-- A stream out of every source and combinator, beside another by the method, with an on_close function that may wait.
local base = require "spec.simulate.kinds.pipeline"
local pipeline = require "spec.simulate.pipeline"
local says = require "spec.simulate.promises"

local kind = { weight = 4, on_head = base.on_head, on_event = base.on_event, lines = {} }

function kind.random(r)
  return { pipeline = pipeline.random_of_all(r), beside = r:chance(25) and pipeline.random_of_all(r) or nil, lasts = r:pick { 0, 0, 0.4 } }
end

-- Where its client has left nothing can wait.
function kind.code(r)
  local beside = r.beside and (":merge(%s)"):format(pipeline.code(r.beside, 't .. ":b:"')) or ""
  local waits = r.lasts > 0 and ("pcall(sse.sleep, %g)"):format(r.lasts) or ""
  return ([[return sse.reply(%s%s:on_close(function() log("letgo", t) %s end))]]):format(pipeline.code(r.pipeline, 't .. ":a:"'), beside, waits)
end

function kind.lines.letgo(model, token)
  local request = model.tokens[token]
  model:expect(not request.was_let_go, says.ON_CLOSE, "%s: its on_close runs twice", request)
  request.was_let_go = true
end

function kind.on_head(model, request, now)
  base.on_head(model, request, now)
  model.owed[#model.owed + 1] = request
end

kind.check = base.check

function kind.on_end(model, request, how, now)
  base.on_end(model, request, how, now)
  if how == "end" then model:expect(request.was_let_go or model:excused(request, "refused"), says.ON_CLOSE, "%s: has ended, and its on_close has not run", request) end
end

function kind.finish(model, request)
  model:expect(request.was_let_go or model:excused(request, "refused"), says.ON_CLOSE, "%s: its on_close has not run", request)
end

kind.spawns = base.spawns

return kind
