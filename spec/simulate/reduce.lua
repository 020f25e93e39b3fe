-- SPDX-License-Identifier: MIT
-- Cuts a program down as long as it still fails in the same way: steps are left out in halves, quarters and so on, then
-- routes, applications, settings; times and numbers are halved.
local function cut_list(list, fails)
  local any, size = false, math.max(#list // 2, 1)
  while size >= 1 do
    local at = 1
    while at <= #list do
      local taken = table.move(list, at, math.min(at + size - 1, #list), 1, {})
      for _ = 1, #taken do table.remove(list, at) end
      if fails() then any = true
      else
        for i, value in ipairs(taken) do table.insert(list, at + i - 1, value) end
        at = at + size
      end
    end
    size = size // 2
  end
  return any
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

-- Leaves out what is named.
local function cut_fields(t, keep, fails)
  local any = false
  for _, key in ipairs(sorted_keys(t)) do
    local value = t[key]
    if not keep[key] and type(key) == "string" then
      t[key] = nil
      if fails() then any = true else t[key] = value end
    end
  end
  return any
end

local function halve(t, fails)
  local any = false
  for _, key in ipairs(sorted_keys(t)) do
    local value = t[key]
    local is_time = type(value) == "number" and value > 0.2 and key ~= "order"
    if is_time then
      t[key] = math.type(value) == "integer" and value // 2 or value / 2
      if fails() then any = true else t[key] = value end
    end
  end
  return any
end

-- `fails()` says whether the program as it is now still fails.
return function(plan, fails)
  repeat
    local any = cut_list(plan.steps, fails)
    if plan.workers > 1 then
      plan.workers = plan.workers - 1
      if fails() then any = true else plan.workers = plan.workers + 1 end
    end
    for _, app in ipairs(plan.apps) do
      any = cut_list(app.routes, fails) or any
      any = cut_list(app.every, fails) or any
    end
    if #plan.apps > 1 then
      local last = table.remove(plan.apps)
      if fails() then any = true else plan.apps[#plan.apps + 1] = last end
    end
    for _, step in ipairs(plan.steps) do
      any = cut_fields(step, { client = true, worker = true, order = true, app = true, bytes = true }, fails) or any
      if #step > 2 then -- a request behind another
        for i = #step, 2, -1 do
          local it = table.remove(step, i)
          if #step > 1 and fails() then any = true else table.insert(step, i, it) end
        end
      end
      if step[1] == "advance" then any = halve(step, fails) or any end
    end
    for _, group in ipairs(sorted_keys(plan.settings)) do
      any = cut_fields(plan.settings[group], {}, fails) or any
      if not next(plan.settings[group]) then plan.settings[group] = nil end
    end
  until not any
end
