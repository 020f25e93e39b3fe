-- SPDX-License-Identifier: MIT
-- spate.ticket: lets a client in once. EventSource cannot send a header, and a token in a URL stays in logs and histories;
-- a ticket is of no use to who finds it there.
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"

local OPTIONS = { "ttl", "store" }
local TTL, RANDOM_LEN, VALUE_MAX = 30, 18, 4096 -- seconds, bytes, bytes

local Tickets = { __name = "tickets" }
Tickets.__index = Tickets

local function check_self(self, name)
  if getmetatable(self) ~= Tickets then core.raise(("tickets:%s: write it with a colon"):format(name)) end
end

-- A ticket for `value`, which redeem gives back: a text for a URL. nil, "full" where limits.shared has no room.
function Tickets:issue(value)
  check_self(self, "issue")
  if value == nil then core.raise "tickets:issue: expected a value, got nil" end
  local ok, text = pcall(json.encode, value)
  if not ok then core.raise("tickets:issue: " .. text:gsub("^[^\n]-:%d+: ", "")) end
  if #text > VALUE_MAX then core.raise(("tickets:issue: the value has %d bytes of JSON, at most %d are kept"):format(#text, VALUE_MAX)) end
  local ticket = core.base64(core.random(RANDOM_LEN), true)
  local done, why = self.store:set(ticket, text, { ttl = self.ttl })
  if not done then return nil, why end
  return ticket
end

-- The value of a ticket that has not been redeemed yet; nil and why not.
function Tickets:redeem(ticket)
  check_self(self, "redeem")
  local is_one = type(ticket) == "string" and #ticket == RANDOM_LEN // 3 * 4
  local text = is_one and self.store:get(ticket)
  if not text or not self.store:delete(ticket) then return nil, "no such ticket, or it was used or is too old" end
  return json.decode(text)
end

core.public(Tickets, "issue", "redeem")

local made = 0

-- Tickets that are good for `ttl` seconds (30), on all workers; of all that have the same `store` (a name).
local function ticket(options)
  options = check.options(options == nil and {} or options, "spate.ticket", OPTIONS)
  if not options.store then made = made + 1 end
  local name = check.text(options.store or "spate.ticket." .. made, "spate.ticket: store")
  return setmetatable({ store = core.shared(name), ttl = options.ttl == nil and TTL or check.seconds(options.ttl, "spate.ticket: ttl") }, Tickets)
end

return { ticket = ticket, Tickets = Tickets }
