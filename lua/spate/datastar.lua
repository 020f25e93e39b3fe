-- SPDX-License-Identifier: MIT
-- require "spate.datastar": events that Datastar's client in the browser carries out, and what it sends (the SDK's ADR of
-- Datastar 1.0). Each function returns an event, for send, sse.reply and channels; durations are seconds here as well.
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local spate = require "spate"

local datastar = {}

local MODES = { outer = true, inner = true, replace = true, prepend = true, append = true, before = true, after = true, remove = true }
local MODE_NAMES = "outer, inner, replace, prepend, append, before, after or remove"
local NAMESPACES = { html = true, svg = true, mathml = true }
local DEFAULT_RETRY = 1

local ELEMENT_OPTIONS = { "selector", "mode", "namespace", "use_view_transition", "id", "retry" }
local SIGNAL_OPTIONS = { "only_if_missing", "id", "retry" }
local SCRIPT_OPTIONS = { "auto_remove", "attributes", "id", "retry" }
local REMOVE_OPTIONS = { "use_view_transition", "id", "retry" }

-- Adds a line of data for each line of the text. What ends a line is what ends one for the browser.
local function add(lines, name, text)
  for line in (text:gsub("\r\n?", "\n") .. "\n"):gmatch "([^\n]*)\n" do lines[#lines + 1] = name .. " " .. line end
end

local function event(kind, lines, options)
  return { event = "datastar-patch-" .. kind, id = options.id, retry = options.retry ~= DEFAULT_RETRY and options.retry or nil,
    data = table.concat(lines, "\n") }
end

-- A text that is one line, as selectors are.
local function one_line(value, what)
  if value == nil then return nil end
  if check.text(value, what):find "[\r\n]" then core.raise(what .. ": must not contain line breaks") end
  return value
end

local function flag(value, what)
  if value ~= nil and type(value) ~= "boolean" then core.raise(("%s: expected true or false, got %s"):format(what, tostring(value))) end
  return value
end

local function choice(value, set, what, names)
  if value ~= nil and not set[value] then core.raise(("%s: expected %s, got %s"):format(what, names, tostring(value))) end
  return value
end

local function element_lines(options, what)
  local lines = {}
  local selector = one_line(options.selector, what .. ": selector")
  local mode = choice(options.mode, MODES, what .. ": mode", MODE_NAMES)
  local namespace = choice(options.namespace, NAMESPACES, what .. ": namespace", "html, svg or mathml")
  if selector then add(lines, "selector", selector) end
  if mode and mode ~= "outer" then add(lines, "mode", mode) end
  if namespace and namespace ~= "html" then add(lines, "namespace", namespace) end
  if flag(options.use_view_transition, what .. ": use_view_transition") then add(lines, "useViewTransition", "true") end
  return lines
end

-- HTML whose elements take the place of those with their ids, or go where selector and mode say.
function datastar.patch_elements(html, options)
  options = check.options(options or {}, "datastar.patch_elements", ELEMENT_OPTIONS)
  local lines = element_lines(options, "datastar.patch_elements")
  local is_removal = options.mode == "remove" and options.selector and (html == nil or html == "")
  if not is_removal then
    if not check.text(html, "datastar.patch_elements"):find "%S" then core.raise "datastar.patch_elements: expected elements, got an empty text" end
    add(lines, "elements", html)
  end
  return event("elements", lines, options)
end

-- Removes what the selector finds.
function datastar.remove_elements(selector, options)
  options = check.options(options or {}, "datastar.remove_elements", REMOVE_OPTIONS)
  check.text(selector, "datastar.remove_elements")
  local lines = element_lines({ selector = selector, mode = "remove", use_view_transition = options.use_view_transition }, "datastar.remove_elements")
  return event("elements", lines, options)
end

-- Changes signals as by JSON merge patch (RFC 7386): a table, or JSON as a text; json.null removes one.
function datastar.patch_signals(signals, options)
  options = check.options(options or {}, "datastar.patch_signals", SIGNAL_OPTIONS)
  local text = signals
  if type(signals) == "table" then
    local ok, encoded = pcall(json.encode, json.object(signals))
    if not ok then core.raise("datastar.patch_signals: " .. encoded) end
    text = encoded
  elseif type(signals) ~= "string" then
    core.raise("datastar.patch_signals: expected a table, or JSON as a text, got " .. type(signals))
  elseif not json.decode(signals) then
    core.raise("datastar.patch_signals: " .. select(2, json.decode(signals)))
  end
  local lines = {}
  if flag(options.only_if_missing, "datastar.patch_signals: only_if_missing") then add(lines, "onlyIfMissing", "true") end
  add(lines, "signals", text)
  return event("signals", lines, options)
end

-- Removes signals by their names; "user.name" is within "user".
function datastar.remove_signals(names, options)
  options = check.options(options or {}, "datastar.remove_signals", SIGNAL_OPTIONS)
  local patch = {}
  for _, name in ipairs(check.strings(type(names) == "string" and { names } or names, "datastar.remove_signals")) do
    local at, last = patch, name:match "[^.]*$"
    for part in name:sub(1, -#last - 1):gmatch "[^.]+" do
      if type(at[part]) ~= "table" then at[part] = {} end
      at = at[part]
    end
    at[last] = json.null
  end
  return datastar.patch_signals(patch, options)
end

-- ' name="value"' of a table by its names, or of a list of texts as they are.
local function attributes_of(attributes)
  if attributes == nil then return "" end
  if type(attributes) ~= "table" then core.raise("datastar.execute_script: attributes: expected a table, got " .. type(attributes)) end
  local parts = {}
  for i, text in ipairs(attributes) do parts[i] = check.text(text, "datastar.execute_script: attributes") end
  if #parts == 0 then
    for name, value in pairs(attributes) do
      if type(name) ~= "string" or name:find "[%s\"'<>/=]" then
        core.raise("datastar.execute_script: attributes: no name of an attribute: " .. tostring(name))
      end
      parts[#parts + 1] = ('%s="%s"'):format(name, spate.escape(tostring(value)))
    end
    table.sort(parts)
  end
  return #parts > 0 and " " .. table.concat(parts, " ") or ""
end

-- Runs a script in the page. "</script" in it would end its element, and is written "<\/script", which is the same in a
-- string of JavaScript.
function datastar.execute_script(script, options)
  options = check.options(options or {}, "datastar.execute_script", SCRIPT_OPTIONS)
  check.text(script, "datastar.execute_script")
  local attributes = attributes_of(options.attributes)
  if flag(options.auto_remove, "datastar.execute_script: auto_remove") ~= false then attributes = attributes .. ' data-effect="el.remove()"' end
  local lines = { "mode append", "selector body" }
  add(lines, "elements", ("<script%s>%s</script>"):format(attributes, (script:gsub("<(/[sS][cC][rR][iI][pP][tT])", "<\\%1"))))
  return event("elements", lines, options)
end

-- The signals that the page has sent with a request: of GET and DELETE in the query, else in the body. nil and what is wrong.
function datastar.read_signals(req)
  local text, err
  if req.method == "GET" or req.method == "DELETE" or req.method == "HEAD" then
    text, err = req.query.datastar, "no signals in the query"
  else
    text, err = req:body()
  end
  if not text then return nil, err end
  if not text:find "^%s*{" then return nil, "expected an object of signals" end
  local signals, why = json.decode(text)
  if signals == nil then return nil, why end
  return signals
end

core.public(datastar, "patch_elements", "remove_elements", "patch_signals", "remove_signals", "execute_script", "read_signals")

return datastar
