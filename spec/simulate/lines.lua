-- SPDX-License-Identifier: MIT
-- The part of the model that hears what the application has logged: what was published, what has run, which code goes on. By the
-- first word of a line, with the model, the rest of it, and when. Kinds have lines of their own.
local doubts = require "spec.simulate.doubts"
local epochs = require "spec.simulate.epochs"
local kinds = require "spec.simulate.kinds"
local says = require "spec.simulate.promises"
local states = require "spec.simulate.states"

local lines = {}

function lines.pub(self, text, now)
  local name, epoch, seq, data = text:match "^(%S+) (%w+)-(%d+) (%S+)$"
  if not name then return end -- one that could not wait for its store
  if self.plan.has_epochs then return epochs.published(self, name, ("%s-%s"):format(epoch, seq), data) end
  local c = self.channels[name]
  seq = math.tointeger(tonumber(seq))
  c.epoch = c.epoch or epoch
  local known = c.events[seq]
  local is_new = not known or known.data == data and known.is_seen and self:excused({ channel = c, seq = seq }, "untold")
  self:expect(c.epoch == epoch and is_new, says.IDS, "%s: %s-%s is there already", name, epoch, seq)
  doubts.told(self, c, seq)
  c.events[seq] = known or { data = data, at = now }
  c.newest = math.max(c.newest, seq)
  c.burst, self.published = c.burst + 1, self.published + 1
  self.dirty[name] = true
end

-- It has been counted as well.
function lines.refused(self, text) self.channels[text:match "^%S+"].miscounted_at = self.now end

for _, what in ipairs { "loaded", "tick", "ticked", "stopped" } do lines[what] = states[what] end

-- What a handler has published in one go, which one that waits for a store has not, but for the last: more than may wait for a worker.
function lines.burst(self, text)
  local name, bytes = text:match "^(%S+) (%d+)$"
  local c, inbox = self.channels[name], self.plan.settings.limits.inbox
  if inbox and tonumber(bytes) > inbox and not c.is_finishing and not c.is_kept then c.is_lost_at = self.now end
end

-- Its end may be there before whoever waits for the store to have it, or leaves meanwhile.
function lines.finishing(self, text) self.channels[text].is_finishing = true end

function lines.finished(self, text)
  if self.is_away then return end -- its store may have refused that
  self.channels[text].is_finished, self.channels[text].finished_at = true, self.now
  self.dirty[text] = true
end

function lines.ran(self, text)
  local request = self.tokens[text]
  self:expect(request and not request.has_run, says.TASK, "task of %s runs twice", text)
  request.has_run = true
end

function lines.closing(self, text)
  local token, reason = text:match "^(%S+) (%S+)$"
  local request = self.tokens[token]
  self:expect(not request.closing, says.ON_CLOSE, "on_close of %s runs twice", token)
  request.closing = reason
end

function lines.closed(self, text)
  local token, reason = text:match "^(%S+) (%S+)$"
  local request = self.tokens[token]
  self:expect(request.closing == reason and not request.has_closed, says.ON_CLOSE, "on_close of %s ends twice", token)
  request.has_closed = true
end

for _, kind in ipairs(kinds.all) do
  for what, handle in pairs(kind.lines or {}) do lines[what] = handle end
end

return lines
