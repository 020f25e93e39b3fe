-- SPDX-License-Identifier: MIT
-- The last minutes of what is counted, a sample each second: what plots are made of. The admin listener samples by itself;
-- elsewhere whoever looks does.
local core = require "spate.core"
local json = require "spate.json"

local KEPT, LEAST = 300, 0.9 -- samples; seconds between two

local rates = {}

local samples, newest = {}, nil

-- What is shown as it is, and what by the second.
local GAUGES = { "streams", "connections", "channels", "tasks", "lua_bytes" }
local COUNTERS = { requests = "requests_total", opened = "streams_total", events = "events_total", bytes = "bytes_total", published = "published_total" }

local function take(now)
  local stats, process = core.stats(), core.process_figures()
  return { at = now, stats = stats, process = process }
end

local function between(old, new)
  local span = new.at - old.at
  local sample = { at = core.wall(), cpu = (new.process.cpu - old.process.cpu) / span, resident = new.process.resident }
  for _, name in ipairs(GAUGES) do sample[name] = new.stats[name] end
  for name, counter in pairs(COUNTERS) do sample[name] = (new.stats[counter] - old.stats[counter]) / span end
  return sample
end

-- Takes a sample, unless there is one of this second.
function rates.sample()
  local now = core.now()
  if newest and now - newest.at < LEAST then return end
  local last = newest
  newest = take(now)
  if not last or newest.at - last.at > KEPT then
    samples = {}
    return
  end
  samples[#samples + 1] = between(last, newest)
  if #samples > KEPT then table.remove(samples, 1) end
end

-- The newest sample, what is counted now, and what the system knows of the process.
function rates.now()
  rates.sample()
  return samples[#samples], newest.stats, newest.process
end

-- All samples, the oldest first.
function rates.history() return json.array(table.move(samples, 1, #samples, 1, {})) end

return rates
