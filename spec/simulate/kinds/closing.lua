-- SPDX-License-Identifier: MIT
-- A stream whose on_close function waits.
local pipeline = require "spec.simulate.pipeline"
local base = require "spec.simulate.kinds.pipeline"

local kind = { weight = 2, on_event = base.on_event, on_end = base.on_end, check = base.check }

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

-- Of old code they have shutdown.grace after the last of its streams, which is more than they take.
function kind.finish(model, request)
  model:expect(request.has_closed, "`fn` runs at its end, or when the client leaves", "%s: its on_close has not ended", request)
end

return kind
