-- SPDX-License-Identifier: MIT
-- A task that is ended where it waits.
local says = require "spec.simulate.promises"

local kind = { weight = 1, spawns = true, method = "POST", lines = {} }

function kind.random(r)
  local delay = r:pick { 0.1, 0.6, 2 }
  return { delay = delay, wait = delay }
end

function kind.code(r)
  return ([[local task = sse.spawn(function()
    local _over <close> = setmetatable({}, { __close = function() log("undone", t) end })
    sse.sleep(20)
  end)
  sse.sleep(%g)
  local first = task:cancel()
  local value, why = task:join()
  local second = task:cancel()
  return ("cancelled %%s %%s %%s %%s %%s"):format(t, tostring(first), tostring(second), tostring(value), tostring(why))]]):format(r.delay)
end

function kind.lines.undone(model, token)
  local request = model.tokens[token]
  model:expect(not request.was_undone, says.CANCELLED, "%s: its task ends twice", request)
  request.was_undone = true
end

function kind.on_end(model, request, how)
  if how ~= "end" then return end
  local wanted = ("cancelled %s true false nil cancelled"):format(request.token)
  local function is_open() return model:excused(request, "replaced", "draining", "refused") end -- which may have ended it
  model:expect(request.content == wanted or is_open(), says.CANCELLED, "%s: %q", request, request.content)
  model:expect(request.was_undone or is_open(), says.CANCELLED, "%s: its task has not ended", request)
end

return kind
