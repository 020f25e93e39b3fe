-- SPDX-License-Identifier: MIT
-- What spate.postgres stands on in an application's specs, in place of a server: t.postgres answers. The form is that of
-- the handles and links from below.
local core = require "spate.core"
local sse = require "spate.sse"

local Link = {}
Link.__index = Link

-- A page of what is there.
function Link:page(max)
  local page = {}
  while #page < max and self.at < #self.rows do
    self.at = self.at + 1
    page[#page + 1] = self.rows[self.at]
  end
  return page, self.at < #self.rows, self.count
end

function Link:ask(what, deadline, rows_max, _, is_plain, sql, ...)
  if is_plain then return {}, false, 0, nil, sql:match "^%a+":upper() end
  local answer = core.ask_spec("query", sql, select("#", ...), ...)
  if answer.after then
    local is_late = core.now() + answer.after > deadline
    sse.sleep(is_late and math.max(deadline - core.now(), 0) or answer.after)
    if is_late then return nil, what .. ": it has taken too long (timeout)", "timeout" end
  end
  if answer.error then return nil, what .. ": " .. answer.error, answer.code or "sql", answer.sqlstate end
  self.rows, self.at, self.count, self.max = answer.rows or {}, 0, answer.count or answer.rows and #answer.rows or 0, rows_max
  return self:page(rows_max)
end

function Link:more() return self:page(self.max) end

function Link.release() end

local Handle = { is_stub = true }
Handle.__index = Handle

function Handle:take(what)
  if self.is_closed then return nil, what .. ": the pool has been closed", "closed" end
  return setmetatable({}, Link)
end

function Handle:close() self.is_closed = true end

return function() return setmetatable({}, Handle) end
