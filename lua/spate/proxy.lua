-- SPDX-License-Identifier: MIT
-- reply.proxy: a request goes on to another server, and comes back as its answer. What lies beneath the route's `*rest`
-- is put behind the URL as it came; dot segments have been refused before there was a route.
local check = require "spate.check"
local core = require "spate.core"
local fields = require "spate.fields"
local report = require "spate.report"
local reply -- of spate.reply, which requires this module

local OPTIONS = { "headers", "timeout", "preserve_host", "max_body", "via", "tls", "unix" }
local PASSED = { "timeout", "tls", "unix" } -- to spate.http
local DROPPED = { "date", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip" }

local proxy = {}

-- What reply.proxy was given, checked.
function proxy.plan(url, options)
  if type(url) ~= "string" or not url:find "^https?://[^/?#]" then
    core.raise("reply.proxy: expected a URL with http or https, got " .. (type(url) == "string" and url or type(url)))
  end
  if url:find "#" then core.raise("reply.proxy: the URL must not have a fragment") end
  options = check.options(options or {}, "reply.proxy", OPTIONS)
  return { url = url, options = options }
end

local function percent(byte) return ("%%%02X"):format(byte:byte()) end

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

-- The request's fields, those of one name in one, with ours in the place of what a client may not say.
local function headers_of(req, options)
  local list, headers = core.request_fields(req) or {}, {}
  for _, name in ipairs(DROPPED) do fields.remove(list, name) end
  for i = 1, #list, 2 do
    local name, value = list[i]:lower(), list[i + 1]
    headers[name] = headers[name] and headers[name] .. (name == "cookie" and "; " or ", ") .. value or value
  end
  headers["x-forwarded-for"], headers["x-forwarded-proto"], headers["x-forwarded-host"] = req.remote_addr, req.scheme, req.host
  if options.via ~= false then headers.via = (headers.via and headers.via .. ", " or "") .. "1.1 spate" end
  if options.preserve_host then headers.host = req.host end
  for name, value in pairs(options.headers or {}) do headers[name:lower()] = value or nil end
  return headers
end

-- The reply to the request, with the fields that were added to the one in whose place it is.
function proxy.answer(req, given)
  reply = reply or require "spate.reply"
  local plan, options = given._proxy, given._proxy.options
  local path, query = core.request_target(req)
  local url = join(plan.url, rest_of(req, path or "/"), query)
  local asked = { headers = headers_of(req, options), redirects = 0 }
  for _, name in ipairs(PASSED) do asked[name] = options[name] end
  local length = core.request_length(req)
  if length ~= false then asked.body, asked.length = req:chunks(options.max_body), length end
  local res, message, code = require("spate.http").request(req.method, url, asked)
  if not res then
    core.log.warn(("reply.proxy: %s"):format(report.logged(message)), { request = tostring(req), url = plan.url })
    return reply.error(code == "timeout" and 504 or 502)
  end
  local passed = reply.pass(res)
  for i = 1, #(given._fields or {}), 2 do passed:header(given._fields[i], given._fields[i + 1]) end
  return passed
end

return proxy
