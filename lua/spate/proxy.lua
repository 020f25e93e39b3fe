-- SPDX-License-Identifier: MIT
-- reply.proxy: a request goes on to another server, and comes back as its answer. What lies beneath the route's `*rest`
-- is put behind the URL as it came; dot segments have been refused before there was a route.
local check = require "spate.check"
local core = require "spate.core"
local report = require "spate.report"
local reply -- of spate.reply, which requires this module

local OPTIONS = { "headers", "timeout", "preserve_host", "max_body", "via", "tls", "unix" }
-- Which a client may not say, or which are not its own; "proxy" is what a CGI program takes for its environment.
local DROPPED = { date = true, forwarded = true, proxy = true, ["x-real-ip"] = true }
local FIELDS_MAX = 96

local NONE = {}

local proxy = {}

-- What reply.proxy was given, checked.
function proxy.plan(url, options)
  if type(url) ~= "string" or not url:find "^https?://[^/?#]" then
    core.raise("reply.proxy: expected a URL with http or https, got " .. (type(url) == "string" and url or type(url)))
  end
  if url:find "#" then core.raise("reply.proxy: the URL must not have a fragment") end
  options = check.options(options or NONE, "reply.proxy", OPTIONS)
  if not options.headers then return { url = url, options = options } end
  local own = {}
  for name, value in pairs(options) do own[name] = value end
  own.headers = {}
  for name, value in pairs(options.headers) do
    if value then core.check_field(name, value) end
    own.headers[tostring(name):lower()] = value
  end
  return { url = url, options = own }
end

local function percent(byte) return ("%%%02X"):format(byte:byte()) end

-- Whether others may take a part of it for "..": what is behind a ";" is left out by some, and "\" is "/" to some.
local function is_devious(rest)
  if not rest:find "[%%;\\]" then return false end
  local plain = rest
  for _ = 1, 2 do plain = plain:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end) end
  for part in plain:gmatch "[^/\\]+" do
    if part:match "^%.%.?$" or part:match "^%.%.?;" then return true end
  end
  return false
end

-- What the request's path has behind the route's prefix, as it came; "" of a route without `*rest`.
local function rest_of(req, path)
  local prefix = (req.route or ""):match "^(.*)/%*[%w_]*$"
  if not prefix then return "" end
  local depth = select(2, prefix:gsub("/", ""))
  return (path:match("^" .. ("/[^/]*"):rep(depth) .. "(.*)$") or ""):gsub("[^%w%-._~!$&'()*+,;=:@/%%]", percent)
end

local function join(url, rest, query)
  local path, own = url:match "^([^?]*)%??(.*)$"
  if rest ~= "" then path = path:gsub("/$", "") .. rest end
  local both = {}
  if own ~= "" then both[1] = own end
  if query then both[#both + 1] = query end
  return #both > 0 and path .. "?" .. table.concat(both, "&") or path
end

local OURS = { ["x-forwarded-for"] = true, ["x-forwarded-proto"] = true, ["x-forwarded-host"] = true }

-- Fields that a client may not set: also with "_", which to programs behind CGI or WSGI is the same name.
local function is_ours(name)
  if name:find("_", 1, true) then name = name:gsub("_", "-") end
  return DROPPED[name] or OURS[name]
end

-- The fields that go on, in a flat list: the request's, but those that we or the options have instead.
local function fields_of(req, options)
  local given, list, via = options.headers, {}, nil
  local asked = core.request_fields(req) or list
  for i = 1, #asked, 2 do
    local name = asked[i]
    if name == "via" then via = via and via .. ", " .. asked[i + 1] or asked[i + 1]
    elseif not is_ours(name) and not (given and given[name] ~= nil) then
      list[#list + 1], list[#list + 2] = name, asked[i + 1]
    end
  end
  local function add(name, value)
    if value and not (given and given[name] ~= nil) then list[#list + 1], list[#list + 2] = name, value end
  end
  add("x-forwarded-for", req.remote_addr)
  add("x-forwarded-proto", req.scheme)
  add("x-forwarded-host", req.host)
  add("via", options.via ~= false and (via and via .. ", 1.1 spate" or "1.1 spate") or via)
  add("host", options.preserve_host and req.host)
  for name, value in pairs(given or {}) do
    if value then list[#list + 1], list[#list + 2] = name, tostring(value) end
  end
  return list
end

-- What http_begin is told.
local function asked_of(req, plan, url)
  local options = plan.options
  local asked = require("spate.http").asked(req.method, url, { timeout = options.timeout, tls = options.tls, unix = options.unix, redirects = 0 },
    "reply.proxy")
  asked.fields = fields_of(req, options)
  local length = core.request_length(req)
  asked.in_pieces, asked.length = length ~= false, length or nil
  return asked
end

-- The body as it comes, until the answer begins.
local function send_body(handle, req, max)
  for piece in req:chunks(max) do
    if not core.http_send(handle, piece) then return end
  end
  core.http_send_end(handle)
end

-- The status of the answer, in `handle`; nil, message and code.
local function ask(req, plan, url)
  local asked = asked_of(req, plan, url)
  if #asked.fields > 2 * FIELDS_MAX then return nil, "more fields than are passed on", "fields" end
  local handle, message, code = core.http_begin(asked)
  if not handle then return nil, message, code end
  if asked.in_pieces then send_body(handle, req, plan.options.max_body) end
  local status
  status, message, code = core.http_head(handle)
  return status and handle, status or message, code
end

local STATUS = { timeout = 504, fields = 431 }

-- The reply to the request, with the fields that were added to the one in whose place it is.
function proxy.answer(req, given)
  reply = reply or require "spate.reply"
  local plan = given._proxy
  local path, query = core.request_target(req)
  local rest = rest_of(req, path or "/")
  if is_devious(rest) then return reply.error(400) end
  local handle, status, code = ask(req, plan, join(plan.url, rest, query))
  if not handle then
    core.log.warn(("reply.proxy: %s"):format(report.logged(status)), { request = tostring(req), url = plan.url })
    return reply.error(STATUS[code] or 502)
  end
  local passed = reply.of_response(handle, status)
  for i = 1, #(given._fields or {}), 2 do passed:header(given._fields[i], given._fields[i + 1]) end
  return passed
end

return proxy
