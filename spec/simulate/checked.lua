-- SPDX-License-Identifier: MIT
-- Runs a program as run.lua does, and raises what it leaves to the process as well: descriptors, and bytes of the C heap.
-- The same for a worker's seeds, a schedule that is cut down and the specs that are printed. Returns what run.lua returns.
local run = require "spec.simulate.run"
local harness = require("spec.helper").harness

local TRIES = 8

local function c_bytes()
  for _ = 1, 2 do collectgarbage() end
  return harness.c_bytes()
end

-- A run that changes how many there are is repeated until one adds nothing: what a process makes once and keeps, or may
-- have let go, is no loss.
local function check_bytes(play, plan, before)
  local after = c_bytes()
  if after == before then return end
  local lost = math.huge
  for _ = 1, TRIES do
    before = after
    play(plan)
    after = c_bytes()
    lost = math.min(lost, after - before)
    if lost <= 0 then return end
  end
  error(("FAIL: %d bytes are lost"):format(lost), 0)
end

-- `play`: what runs it instead.
return function(plan, play)
  play = play or run
  local before, descriptors = c_bytes(), harness.descriptors()
  local result = play(plan)
  local left = harness.descriptors() - descriptors
  if left ~= 0 then error(("FAIL: %d descriptors are left open"):format(left), 0) end
  check_bytes(play, plan, before)
  return result
end
