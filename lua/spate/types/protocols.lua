---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: protocols upon event streams. types.lua says how they are used.

---@class spate.DatastarOptions
---@field id? string|number
---@field retry? number seconds

---@class spate.DatastarElementOptions: spate.DatastarOptions
---@field selector? string where; the ids of the elements unless given
---@field mode? "outer"|"inner"|"replace"|"prepend"|"append"|"before"|"after"|"remove"
---@field namespace? "html"|"svg"|"mathml"
---@field use_view_transition? boolean

---@class spate.DatastarSignalOptions: spate.DatastarOptions
---@field only_if_missing? boolean

---@class spate.DatastarScriptOptions: spate.DatastarOptions
---@field auto_remove? boolean true unless given
---@field attributes? table<string, string|number>|string[]

---@class spate.datastar
local datastar = {}

---Elements that take the place of those with their ids, or go where selector and mode say.
---@param html string
---@param options? spate.DatastarElementOptions
---@return spate.fields
function datastar.patch_elements(html, options) end

---@param selector string
---@param options? { use_view_transition?: boolean, id?: string|number, retry?: number }
---@return spate.fields
function datastar.remove_elements(selector, options) end

---A table, or JSON as a text; json.null removes a signal.
---@param signals table|string
---@param options? spate.DatastarSignalOptions
---@return spate.fields
function datastar.patch_signals(signals, options) end

---@param names string|string[] "user.name" is within "user"
---@param options? spate.DatastarSignalOptions
---@return spate.fields
function datastar.remove_signals(names, options) end

---@param script string
---@param options? spate.DatastarScriptOptions
---@return spate.fields
function datastar.execute_script(script, options) end

---The signals that the page has sent; nil and what is wrong with them.
---@param req spate.Request
---@return table? signals
---@return string? err
function datastar.read_signals(req) end
