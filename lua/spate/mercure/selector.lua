-- SPDX-License-Identifier: MIT
-- Topic selectors of Mercure: "*", the topic itself, or a URI template (RFC 6570) that the topic may be an expansion of. A
-- template becomes a row of states, and a topic is read once through all of them that it may be in, so that no selector that a
-- client has sent makes it slow. Knows no server.
local selector = {}

local UNRESERVED = "%w%-%._~%%"
local RESERVED = UNRESERVED .. ":/%?#%[%]@!%$&'%(%)%*%+,;="
local OPERATORS = { -- what an expression begins with, and what may be in it
  [""] = { set = UNRESERVED .. "," }, ["+"] = { set = RESERVED }, ["#"] = { first = "#", set = RESERVED },
  ["."] = { first = ".", set = UNRESERVED .. "," }, ["/"] = { first = "/", set = UNRESERVED .. ",/" }, [";"] = { first = ";", set = UNRESERVED .. ",;=" },
  ["?"] = { first = "?", set = UNRESERVED .. ",&=" }, ["&"] = { first = "&", set = UNRESERVED .. ",&=" },
}

-- The states of a template, each { char =, optional = } or { set = }; nil of what is none. Prefixes ({name:3}) are not taken:
-- such a selector is a topic's name and no more.
local function compile(template)
  local states, at = {}, 1
  while at <= #template do
    local operator, names, behind = template:match("^{([+#./;?&]?)([%w_.,*%%]+)}()", at)
    if operator then
      for name in (names .. ","):gmatch "([^,]*)," do
        if not name:find "^[%w_.%%]+%*?$" then return nil end
      end
      local op = OPERATORS[operator]
      if op.first then states[#states + 1] = { char = op.first, skips = 1 } end
      states[#states + 1] = { set = "^[" .. op.set .. "]$" }
      at = behind
    else
      local char = template:sub(at, at)
      if char == "{" or char == "}" then return nil end
      states[#states + 1] = { char = char }
      at = at + 1
    end
  end
  return states
end

-- Marks a state, and those that are reached from it without a character.
local function enter(states, marked, list, i)
  while not marked[i] do
    marked[i], list[#list + 1] = true, i
    local state = states[i]
    if not state then return end
    if state.skips then enter(states, marked, list, i + 2) end
    if not state.set then return end
    i = i + 1
  end
end

local function expands_to(states, topic)
  local current = {}
  enter(states, {}, current, 1)
  for at = 1, #topic do
    local char, following, marked = topic:sub(at, at), {}, {}
    for _, i in ipairs(current) do
      local state = states[i]
      if state and state.set then
        if char:find(state.set) then enter(states, marked, following, i) end
      elseif state and state.char == char then
        enter(states, marked, following, i + 1)
      end
    end
    if #following == 0 then return false end
    current = following
  end
  for _, i in ipairs(current) do
    if i > #states then return true end
  end
  return false
end

local KEPT = 10000
local compiled, count = {}, 0

local function states_of(template)
  local states = compiled[template]
  if states == nil then
    if count >= KEPT then compiled, count = {}, 0 end
    states = template:find("{", 1, true) and compile(template) or false
    compiled[template], count = states, count + 1
  end
  return states
end

-- Whether a selector means a topic.
function selector.matches(text, topic)
  if text == "*" or text == topic then return true end
  local states = states_of(text)
  return states and expands_to(states, topic) or false
end

-- Whether one of the selectors means one of the topics.
function selector.any(selectors, topics)
  for _, text in ipairs(selectors) do
    for _, topic in ipairs(topics) do
      if selector.matches(text, topic) then return true end
    end
  end
  return false
end

-- Whether each of the topics is meant by one of the selectors.
function selector.all(selectors, topics)
  for _, topic in ipairs(topics) do
    if not selector.any(selectors, { topic }) then return false end
  end
  return true
end

return selector
