-- SPDX-License-Identifier: MIT
-- A subscription to a channel that is there only while somebody uses it: each of its lives has an epoch of its own.
local says = require "spec.simulate.promises"

local kind = { weight = 2, publishes = true, makes_channels = true, with = { "pass" }, statuses = { [204] = "always", [503] = "store" } }

kind.prelude = [[
local passed = spate.shared "passed"
local function passing(i) return sse.channel("v" .. i, { history = i == 1 and 0 or 4, ttl = 3 }) end
]]

function kind.random(r) return { name = r:int(1, 2), replay = r:pick { 0, 2 }, collects = r:chance(50) or nil } end

function kind.code(r)
  return ([[%slocal channel = passing(%d)
  if not channel then return reply.error(503) end
  local sub, why = channel:subscribe { after = req.last_event_id, replay = %d }
  if not sub then return reply.error(503, why) end
  return sse.reply(sub)]]):format(r.collects and "collectgarbage() " or "", r.name, r.replay)
end

local function state(model)
  model.passing = model.passing or { lives = {}, readers = {}, news = {} }
  return model.passing
end

kind.lines = {}

function kind.lines.passed(model, text, now)
  local name, epoch, seq, data = text:match "^(%S+) (%w+)-(%d+) (%S+)$"
  if not name then return end -- one that could not wait for its store
  local s = state(model)
  local key = name .. " " .. epoch
  s.lives[key] = s.lives[key] or { events = {}, is_seen = {}, newest = 0 }
  local life = s.lives[key]
  seq = math.tointeger(tonumber(seq))
  model:expect(not life.events[seq] or life.events[seq] == data and life.is_seen[seq], says.IDS, "%s-%d is there already", key, seq)
  life.events[seq], life.newest = data, math.max(life.newest, seq)
  s.news[name] = { epoch = epoch, seq = life.newest, at = now }
end

function kind.lines.over(model, name, now)
  local news = state(model).news[name]
  if news then news.finished_at = now end
end

function kind.on_head(model, request)
  request.name = "v" .. request.route.name
  table.insert(state(model).readers, request)
end

-- What nobody told of, the first to see it says.
local function known(model, request, epoch, seq, data)
  local s, key = state(model), request.name .. " " .. tostring(epoch)
  local life = s.lives[key]
  if life and life.events[seq] then return life.events[seq] == data end
  if not seq or not (model:excused("pass", "unsaid") or model:excused(request, "store")) then return false end
  life = life or { events = {}, is_seen = {}, newest = 0 }
  s.lives[key], life.events[seq], life.is_seen[seq] = life, data, true
  return true
end

function kind.on_event(model, request, event)
  if event.event == "reset" then
    model:expect(request.after and not request.life and not request.was_reset, says.RESET, "%s: a reset", request)
    request.was_reset = true
    return
  end
  local epoch, seq = (event.id or ""):match "^(%w+)-(%d+)$"
  seq = math.tointeger(tonumber(seq))
  model:expect(known(model, request, epoch, seq, event.data), says.IDS, "%s: %s %q was never published", request, event.id, event.data)
  model:expect(not request.life or request.life == epoch and seq == request.seq + 1, says.GOES, "%s: %s behind %s-%s", request, event.id, request.life, request.seq)
  if not request.life and request.after and not request.was_reset then
    local after_epoch, after_seq = request.after:match "^(%w+)-(%d+)$"
    model:expect(after_epoch == epoch and seq == math.tointeger(tonumber(after_seq)) + 1, says.RESET, "%s: %s behind %s", request, event.id, request.after)
  end
  request.life, request.seq = epoch, seq
end

function kind.on_end(model, request) model.remove(state(model).readers, request) end

local function check_reader(model, request, news)
  if request.head_at >= news.at and request.life ~= news.epoch then return end
  local function is_excused() return model:excused(request, "late", "refused", "store") end
  model:expect(request.life == news.epoch and request.seq >= news.seq or is_excused(), says.REACHES, "%s: has not got %s-%d", request, news.epoch, news.seq)
  model:expect(not news.finished_at or request.head_at >= news.finished_at or is_excused(), says.FINISH, "%s: has not ended", request)
end

function kind.at_rest(model)
  local s = model.passing
  for _, request in ipairs(s and s.readers or {}) do
    local news = s.news[request.name]
    if news and model:listens(request.client) then check_reader(model, request, news) end
  end
end

return kind
