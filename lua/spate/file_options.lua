-- SPDX-License-Identifier: MIT
-- What reply.file and app:static can be told about the answer: checked once, then a plan of status, type and fields.
local check = require "spate.check"
local core = require "spate.core"
local copy = require("spate.fields").copy

local KNOWN = { "type", "download", "cache", "status", "headers" }
local IMMUTABLE = "public, max-age=31536000, immutable" -- a year, the most that caches heed

local file_options = {}

-- A relative path is one from the folder of the application's script.
function file_options.in_folder(path)
  if path:sub(1, 1) == "/" then return path end
  return core.folder .. path
end

local function cache_control(what, cache)
  if cache == false then return "no-store" end
  if cache == "immutable" then return IMMUTABLE end
  if type(cache) ~= "number" or not (cache >= 0 and cache <= 1e9) then
    core.raise(('%s: cache: expected seconds, "immutable" or false, got %s'):format(what, check.shown(cache)))
  end
  return ("max-age=%d"):format(math.floor(cache))
end

local function percent(byte) return ("%%%02X"):format(byte:byte()) end

-- Content-Disposition (RFC 6266): a name that every client reads, and the name itself where that is another.
local function attachment(name)
  local plain = name:gsub("[%c\"\\%%\128-\255]+", "_")
  local value = ('attachment; filename="%s"'):format(plain)
  if plain == name or not utf8.len(name) then return value end
  return value .. "; filename*=UTF-8''" .. name:gsub("[^%w!#$&+%-.^_`|~]", percent)
end

local function check_download(what, download)
  if download == nil or type(download) == "boolean" then return download end
  if type(download) ~= "string" or download == "" or download:find("[%c/\\]") then
    core.raise(("%s: download: expected true or a file's name, got %s"):format(what, tostring(download)))
  end
  return download
end

local function check_status(what, status)
  if status == nil then return 200 end
  if math.type(status) ~= "integer" or status < 200 or status > 599 then
    core.raise(("%s: status: expected an integer from 200 to 599, got %s"):format(what, check.shown(status)))
  end
  return status
end

local function add(fields, name, value)
  core.check_field(name, value)
  fields[#fields + 1], fields[#fields + 2] = tostring(name), tostring(value)
end

-- The plan that the options make: status, type, fields (names and values in a flat list), download. `more` are the
-- names of options that the caller has beside these.
function file_options.read(what, options, more)
  options = check.options(options or {}, what, more and table.move(more, 1, #more, #KNOWN + 1, copy(KNOWN)) or KNOWN)
  local plan = { status = check_status(what, options.status), fields = {}, download = check_download(what, options.download) }
  if options.type ~= nil then
    core.check_field("Content-Type", options.type)
    plan.type = tostring(options.type)
  end
  if options.cache ~= nil then add(plan.fields, "Cache-Control", cache_control(what, options.cache)) end
  if options.headers ~= nil and type(options.headers) ~= "table" then
    core.raise(("%s: headers: expected a table, got %s"):format(what, type(options.headers)))
  end
  for name, value in pairs(options.headers or {}) do
    if tostring(name):lower() == "content-type" then plan.type = tostring(value) else add(plan.fields, name, value) end
  end
  return plan
end

-- The plan for one file: a download has a name.
function file_options.for_path(plan, path)
  if not plan.download then return plan end
  local fields = copy(plan.fields)
  add(fields, "Content-Disposition", attachment(plan.download == true and path:match("[^/]*$") or plan.download))
  return { status = plan.status, type = plan.type, fields = fields }
end

return file_options
