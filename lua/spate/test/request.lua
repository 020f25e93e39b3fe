-- SPDX-License-Identifier: MIT
-- The bytes of a request, of what a spec says about it.
local harness = require "spate.harness"

local OPTIONS = { headers = true, body = true, json = true, form = true, worker = true }

local function escape(text)
  return (tostring(text):gsub("[^%w%-._~ ]", function(c) return ("%%%02X"):format(c:byte()) end):gsub(" ", "+"))
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

local function form_body(fields)
  local pairs_of = {}
  for _, name in ipairs(sorted_keys(fields)) do
    local values = fields[name]
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      pairs_of[#pairs_of + 1] = escape(name) .. "=" .. escape(value)
    end
  end
  return table.concat(pairs_of, "&")
end

-- Raises at the caller's caller's line.
local function check(target, options)
  if type(target) ~= "string" or not target:find("^[/*]") then
    error(("expected a target that starts with /, got %s"):format(tostring(target)), 4)
  end
  local bodies = 0
  for name in pairs(options) do
    if not OPTIONS[name] then
      error(("unknown option '%s' of a request; it has headers, body, json, form and worker"):format(tostring(name)), 4)
    end
    if name == "body" or name == "json" or name == "form" then bodies = bodies + 1 end
  end
  if bodies > 1 then error("one of body, json and form is enough for a request", 4) end
end

local function add(lines, given, name, value)
  given[name:lower()] = true
  for _, one in ipairs(type(value) == "table" and value or { value }) do
    one = tostring(one)
    if one:find("[\r\n]") then error(("the header %s has a line break in it"):format(name), 4) end
    lines[#lines + 1] = name .. ": " .. one
  end
end

-- The bytes of `method target` with options headers, body, json, form.
return function(method, target, options)
  check(target, options)
  local body, kind = options.body, nil
  if options.json ~= nil then body, kind = harness.json.encode(options.json), "application/json"
  elseif options.form then body, kind = form_body(options.form), "application/x-www-form-urlencoded" end
  local lines, given = { ("%s %s HTTP/1.1"):format(method, target) }, {}
  local headers = options.headers
  if headers then
    for _, name in ipairs(sorted_keys(headers)) do add(lines, given, name, headers[name]) end
  end
  if not given.host then lines[#lines + 1] = "Host: localhost" end
  if kind and not given["content-type"] then lines[#lines + 1] = "Content-Type: " .. kind end
  if body and not (given["content-length"] or given["transfer-encoding"]) then lines[#lines + 1] = "Content-Length: " .. #body end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines, "\r\n") .. (body or "")
end
