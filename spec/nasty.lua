-- SPDX-License-Identifier: MIT
-- Events at random, of what has broken servers and clients of event streams; what a client should see of each.
-- Loaded by specs and, in the server, by their applications: a seed gives both the same events.
local nasty = {}

local PIECES = {
  "\r", "\n", "\r\n", "\n\r", "\n\n", "\0", "\u{FEFF}", " ", "  ", ":", ": ", "\t", "\v", "\f", "\x1b[31m", "\x7f",
  "\u{85}", "\u{2028}", "\u{2029}", "\xff", "\xfe", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "ä", "漢字", "🎈", "e\u{301}",
  "data: x", "\ndata: x", "id: 1", "event: e", "\nevent: e", "retry: 1", "\r\n\r\n", "0\r\n\r\n", "[DONE]", "{}", "a", "bc", "42",
}
local PLAIN = { " ", ":", "\u{FEFF}", "\u{2028}", "\u{85}", "\xff", "\xc3", "ä", "漢字", "🎈", "\t", "data: x", "a", "bc", "42" }
local RETRIES = { 0, 0.0015, 0.05, 2.5, 86400 }
local WRONG_RETRIES = { -1, 0 / 0, math.huge, -math.huge }

local function one_in(n) return math.random(n) == 1 end

local function pick(list) return list[math.random(#list)] end

local function text(pieces, most)
  local list = {}
  for i = 1, math.random(0, most) do list[i] = pick(pieces) end
  return table.concat(list)
end

-- A field of one line: mostly one that can be.
local function line() return text(one_in(12) and PIECES or PLAIN, 4) end

local function event()
  local e = {}
  if one_in(3) then e.event = line() end
  if one_in(3) then e.id = line() end
  if one_in(8) then e.comment = line() end
  if one_in(8) then e.retry = pick(one_in(6) and WRONG_RETRIES or RETRIES) end
  if one_in(10) then e.json = { text = "a\r\nb\u{2028}\u{FEFF}", n = math.random(1000) }
  elseif not one_in(8) then e.data = text(PIECES, 12) end
  return e
end

-- `count` events and, with `big`, the largest that can be, one of many lines, and one that is too large.
function nasty.events(seed, count, big)
  math.randomseed(seed)
  local list = { { event = "\u{FEFF}first", id = "\u{FEFF}", data = "\u{FEFF}mark" }, { data = "" }, { id = "only" }, { retry = 1 }, {} }
  while #list < count do list[#list + 1] = event() end
  if big then
    list[#list + 1] = { data = ("x"):rep(4 * 1024 * 1024 - 100) }
    list[#list + 1] = { data = ("line\r\n"):rep(9999) .. "last" }
    list[#list + 1] = { data = ("y"):rep(4 * 1024 * 1024) }
  end
  return list
end

-- What a refusal of the event has to name, as a set; nil where it is to be sent.
function nasty.faults(e)
  local faults = {}
  for _, name in ipairs { "event", "id", "comment" } do
    if e[name] and e[name]:find "[\r\n\0]" then faults[("'%s'"):format(name)] = true end
  end
  if e.retry and not (e.retry >= 0 and e.retry < math.huge) then faults["'retry'"] = true end
  if e.data and #e.data >= 4 * 1024 * 1024 then faults.large = true end
  if not next(e) then faults["the event is empty"] = true end
  return next(faults) and faults
end

-- The data as clients have it (WHATWG HTML 9.2.6): any line break is LF.
function nasty.data(e, encode)
  local data = e.json and encode(e.json) or e.data
  return data and data:gsub("\r\n", "\n"):gsub("\r", "\n")
end

return nasty
