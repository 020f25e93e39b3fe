-- SPDX-License-Identifier: MIT
-- The events and comments of a stream's bytes, as they come: what is between two blank lines. Unlike the reader of
-- spate.http it tells comments as well, as they are what keeps a stream open.
local BLOCK_MAX = 1 << 20 -- bytes without a blank line

local Events = {}
Events.__index = Events

-- The fields of a block; nil of one that has none, such as a comment's.
local function fields_of(block)
  local event, data = {}, {}
  for line in (block .. "\n"):gmatch "([^\n]*)\n" do
    local name, value = line:match "^([^:]*):? ?(.*)$"
    if name == "data" then data[#data + 1] = value
    elseif name == "event" or name == "id" or name == "retry" then event[name] = value end
  end
  if #data > 0 then event.data = table.concat(data, "\n") end
  return next(event) and event or nil
end

-- A list of events, { comment = true } for each comment; nil where a block is too long.
function Events:feed(bytes)
  if self.after_cr then bytes = bytes:gsub("^\n", "") end -- the rest of a CRLF
  self.after_cr = bytes:sub(-1) == "\r"
  self.rest = self.rest .. bytes:gsub("\r\n?", "\n")
  local list, at = {}, 1
  while true do
    local from, to = self.rest:find("\n\n", at, true)
    if not from then break end
    local block = self.rest:sub(at, from - 1)
    list[#list + 1] = fields_of(block) or block:find("^\n*:") and { comment = true } or nil
    at = to + 1
  end
  self.rest = self.rest:sub(at)
  return #self.rest <= BLOCK_MAX and list or nil
end

return function() return setmetatable({ rest = "" }, Events) end
