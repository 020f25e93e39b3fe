-- SPDX-License-Identifier: MIT
-- Reads an event stream by the rules of WHATWG HTML 9.2.6, in pieces of any size.
local Parser = {}
Parser.__index = Parser

local BOM = "\xEF\xBB\xBF"
local MAX = 64 << 20 -- bytes of one event

-- A parser that calls `on_event` with a table of event, data and id for each. `last_event_id` is what an earlier
-- connection has left. Its fields `last_event_id` and `retry` (milliseconds, nil until told) are for the next one.
function Parser.new(on_event, last_event_id)
  last_event_id = last_event_id or ""
  return setmetatable({
    on_event = on_event, last_event_id = last_event_id, id = last_event_id,
    start = "", parts = {}, data = {}, event = "", size = 0,
  }, Parser)
end

function Parser:dispatch()
  self.last_event_id = self.id
  local data, event = self.data, self.event
  self.data, self.event, self.size = {}, "", 0
  if #data == 0 then return end
  self.on_event { event = event ~= "" and event or "message", data = table.concat(data, "\n"), id = self.id }
end

local take = {}

function take.event(self, value) self.event = value end

function take.data(self, value) self.data[#self.data + 1] = value end

function take.id(self, value)
  if not value:find("\0", 1, true) then self.id = value end
end

function take.retry(self, value)
  if value:find("^%d+$") then self.retry = math.min(tonumber(value), math.maxinteger) end
end

function Parser:line(line)
  if line == "" then return self:dispatch() end
  local name, value = line:match("^([^:]*):? ?(.*)$")
  local field = take[name]
  if field then field(self, value) end
end

-- The bytes after a byte order mark, which may come in pieces as well; nil while that is not known.
function Parser:after_mark(bytes)
  if not self.start then return bytes end
  bytes = self.start .. bytes
  if #bytes < #BOM and BOM:sub(1, #bytes) == bytes then
    self.start = bytes
    return nil
  end
  self.start = nil
  return bytes:sub(1, #BOM) == BOM and bytes:sub(#BOM + 1) or bytes
end

function Parser:keep(part)
  self.size = self.size + #part
  if part ~= "" then self.parts[#self.parts + 1] = part end
end

-- Takes the next bytes. True, or nil and "too large" for an event of more than 64 MiB.
function Parser:feed(bytes)
  bytes = self:after_mark(bytes)
  if not bytes or bytes == "" then return true end
  local at = self.ended_by_cr and bytes:byte(1) == 10 and 2 or 1
  self.ended_by_cr = false
  while true do
    local stop = bytes:find("[\r\n]", at)
    self:keep(bytes:sub(at, stop and stop - 1))
    if self.size > MAX then return nil, "too large" end
    if not stop then return true end
    local line = table.concat(self.parts)
    self.parts = {}
    at = stop + 1
    if bytes:byte(stop) == 13 then
      if at > #bytes then self.ended_by_cr = true
      elseif bytes:byte(at) == 10 then at = at + 1 end
    end
    self:line(line)
  end
end

return Parser
