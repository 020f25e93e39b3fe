-- SPDX-License-Identifier: MIT
-- A stream whose on_close function waits.
local pipeline = require "spec.simulate.pipeline"
local base = require "spec.simulate.kinds.pipeline"
local says = require "spec.simulate.promises"

local kind = { weight = 2, on_event = base.on_event, check = base.check }

function kind.random(r) return { delay = r:pick { 0, 0.5, 1 }, pipeline = pipeline.random(r) } end

function kind.code(r)
  return ([[req:on_close(function(reason)
    log("closing", t, reason)
    sse.sleep(%g)
    log("closed", t, reason)
  end)
  return sse.reply(%s)]]):format(r.delay, pipeline.code(r.pipeline, 't .. ":a:"'))
end

function kind.on_head(model, request, now)
  base.on_head(model, request, now)
  model.owed[#model.owed + 1] = request
end

function kind.on_end(model, request, how, now)
  base.on_end(model, request, how, now)
  model.is_closing = model.is_closing or {}
  if how == "end" then table.insert(model.is_closing, request) end
end

function kind.at_rest(model)
  local list = model.is_closing
  for i = #(list or {}), 1, -1 do
    model:expect(list[i].closing or model:excused(list[i], "refused"), says.ON_CLOSE, "%s: has ended, and its on_close does not run", list[i])
    list[i] = nil
  end
end

-- Of old code they have shutdown.grace after the last of its streams, which is more than they take, but where a worker was
-- held up for as long.
function kind.finish(model, request)
  local function is_cut_short() return model:excused(request, "replaced") and model:excused(request.sent_at, "jumped") end
  model:expect(request.has_closed or model:excused(request, "refused") or is_cut_short(), says.ON_CLOSE, "%s: its on_close has not ended", request)
end

kind.spawns = base.spawns

return kind
