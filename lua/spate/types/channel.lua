---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: channels. types.lua says how they are used.

---@class spate.Channel
local Channel = {}

---Publishes an event, and returns its id.
---@param event spate.event
---@return string? id
---@return string? err "full", "finished", "too large" or "unavailable"
---@return string? code of "unavailable": why
function Channel:publish(event) end

---A stream of its events, behind an id, or with so many of its past.
---@param options? { after?: string, replay?: integer|"all" }
---@return spate.Stream
function Channel:subscribe(options) end

---Its newest events.
---@param n? integer
---@return spate.fields[]
function Channel:history(n) end

---How many are subscribed.
---@return integer
function Channel:count() end

---Ends it, with a last event where one is given.
---@param event? spate.event
---@return true?
---@return string? err
function Channel:finish(event) end

---Is a member from now on, until it is closed.
---@param id string|number
---@param meta? any
---@return spate.Membership?
---@return string? err
function Channel:join(id, meta) end

---Who is a member.
---@return { id: string, meta: any }[]?
---@return string? err "unavailable"
function Channel:members() end

---What `fn` returns, then the events that it does not contain.
---@param fn fun(): spate.event
---@return spate.Stream
function Channel:snapshot(fn) end

---@class spate.RelayOptions: spate.EventsOptions
---@field linger? number seconds without a subscriber until it ends; 30

---Has the channel carry another server's event stream, or another one, which is read once for all subscribers, while there is one.
---@param source string|spate.Stream|fun(): spate.Stream?, string? a URL, pg:listen(...), or what makes a stream
---@param options? spate.RelayOptions
---@return spate.Channel
function Channel:relay(source, options) end

---A channel that is made of this one, once for all of its readers.
---@param fn fun(event: spate.fields): spate.event?
---@return spate.Derived
function Channel:derive(fn) end

---@class spate.Membership
local Membership = {}

---Is a member no longer.
function Membership:close() end

---@class spate.Derived
local Derived = {}

---A stream of what is derived.
---@param options? { after?: string, replay?: integer|"all" }
---@return spate.Stream
function Derived:subscribe(options) end

---How many are subscribed.
---@return integer
function Derived:count() end
