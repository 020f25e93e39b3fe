-- SPDX-License-Identifier: MIT
-- require "spate.http": requests to other servers. What the outside does wrong is nil, a message and a code.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local http_body = require "spate.http_body"
local Response = require "spate.http_response"
local Upload = require "spate.upload"

local http = { Response = Response } -- and asked, for the library's own

local OPTIONS = { "headers", "query", "body", "json", "form", "timeout", "redirects", "max", "auth", "tls", "unix", "private", "length" }
local TIMEOUTS, TLS, AUTH = { "connect", "idle", "total" }, { "ca", "cert", "key", "verify", "certificate" }, { "user", "password" }
local REDIRECTS = 5
local PIECE = 64 * 1024 -- of a body that is handed over at a time
local FIELDS_MAX = 90

local function boolean(value, what)
  if type(value) ~= "boolean" then core.raise(("%s: expected true or false, got %s"):format(what, type(value))) end
  return value
end

local function escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function scalar(value, what)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    core.raise(("%s: expected a string or a number, got %s"):format(what, kind))
  end
  return value
end

-- "a=1&b=2", sorted by name; a list is its values in their order.
local function encode(pairs_, what)
  if type(pairs_) ~= "table" then core.raise(("%s: expected a table, got %s"):format(what, type(pairs_))) end
  local names, parts = {}, {}
  for name in pairs(pairs_) do names[#names + 1] = check.text(name, what .. ": a name") end
  table.sort(names)
  for _, name in ipairs(names) do
    local values = pairs_[name]
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      parts[#parts + 1] = escape(name) .. "=" .. escape(scalar(value, ("%s.%s"):format(what, name)))
    end
  end
  return table.concat(parts, "&")
end

local function with_query(url, query, what)
  if query == nil then return url end
  local text = encode(query, what .. ": query")
  local base, fragment = url:match("^([^#]*)(.*)$")
  if text == "" then return url end
  return base .. (base:find("?", 1, true) and "&" or "?") .. text .. fragment
end

-- The fields in a flat list, checked as those of an answer are.
local function read_headers(headers, what)
  local list = {}
  if headers == nil then return list end
  if type(headers) ~= "table" then core.raise(("%s: headers: expected a table, got %s"):format(what, type(headers))) end
  for name, values in pairs(headers) do
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      core.check_field(name, value)
      list[#list + 1], list[#list + 2] = name, tostring(value)
    end
  end
  if #list > 2 * FIELDS_MAX then core.raise(("%s: headers: expected at most %d fields"):format(what, FIELDS_MAX)) end
  return list
end

local function read_timeout(asked, timeout, what)
  if timeout == nil then return end
  what = what .. ": timeout"
  if type(timeout) == "number" then
    asked.total = check.seconds(timeout, what)
    return
  end
  if type(timeout) ~= "table" then core.raise(("%s: expected seconds or a table of options, got %s"):format(what, type(timeout))) end
  for name, seconds in pairs(check.options(timeout, what, TIMEOUTS)) do asked[name] = check.seconds(seconds, what .. "." .. name) end
end

local function read_tls(asked, tls, what)
  if tls == nil then return end
  what = what .. ": tls"
  check.options(tls, what, TLS)
  for _, name in ipairs { "ca", "cert", "key" } do asked[name] = tls[name] and check.path(tls[name], what .. "." .. name) end
  if tls.verify ~= nil then asked.is_unverified = not boolean(tls.verify, what .. ".verify") end
  if tls.certificate ~= nil then asked.wants_certificate = boolean(tls.certificate, what .. ".certificate") end
  if tls.key and not tls.cert then core.raise(what .. ": a key without its cert") end
end

local function read_auth(asked, auth, what)
  if auth == nil then return end
  what = what .. ": auth"
  check.options(auth, what, AUTH)
  asked.user, asked.password = check.text(auth.user, what .. ".user"), check.text(auth.password or "", what .. ".password")
  if asked.user:find("[:%c]") or asked.password:find("%c") then
    core.raise(what .. ": the user may hold no colon, and neither of them control characters")
  end
end

local function read_options(method, url, options, what)
  options = check.options(options or {}, what, OPTIONS)
  local asked = { what = what, method = method, url = with_query(check.text(url, what .. ": url"), options.query, what) }
  asked.fields = read_headers(options.headers, what)
  asked.redirects = options.redirects == nil and REDIRECTS or check.count(options.redirects, what .. ": redirects")
  read_timeout(asked, options.timeout, what)
  read_tls(asked, options.tls, what)
  read_auth(asked, options.auth, what)
  if options.max ~= nil then check.count(options.max, what .. ": max") end
  if options.unix ~= nil then asked.unix = check.path(options.unix, what .. ": unix") end
  if options.private ~= nil then asked.refuses_private = not boolean(options.private, what .. ": private") end
  http_body.read(asked, options, what, encode)
  return asked, options.max
end

-- What the iterator has, in pieces that are handed over at a time; nil and what is wrong with it, such as that it is more than
-- `length`, if that is given.
local function cut(iterator, what, length)
  local piece, at, left = "", 1, length or math.huge
  return function()
    while at > #piece do
      local why
      piece, why = iterator()
      if piece == nil then return nil, type(why) == "string" and ("%s: the body's iterator: %s"):format(what, why) or nil end
      at, left = 1, left - #check.text(piece, what .. ": body: what its iterator returns")
      if left < 0 then return nil, ("%s: the body's iterator has more than its length of %d bytes"):format(what, length) end
    end
    at = at + PIECE
    return piece:sub(at - PIECE, at - 1)
  end
end

-- Sends what there is, while it is wanted; what is wrong with it.
local function send(handle, asked)
  local _ <close> = at_end(function() http_body.close(asked) end)
  return Upload.send(handle, cut(asked.iterator, asked.what, asked.length))
end

-- Without what may hold secrets: a user and password, the query.
local function plain_url(url)
  local scheme, rest = url:match "^(%a[%w+.-]*://)[^/?#]*@([^?#]*)"
  if scheme then return scheme .. rest end
  return url:match "^[^?#]*"
end

-- A request goes on with the trace of the one that is answered here, as a span of its own; it is told in the log.
local function continue_trace(asked)
  local trace_id, parent_id, flags = core.trace()
  if not trace_id then return nil end
  for i = 1, #asked.fields, 2 do
    if asked.fields[i]:lower() == "traceparent" then return nil end
  end
  local span_id = core.hex(core.random(8))
  table.insert(asked.fields, "traceparent")
  table.insert(asked.fields, ("00-%s-%s-%s"):format(trace_id, span_id, flags))
  return { trace_id = trace_id, span_id = span_id, parent_id = parent_id, method = asked.method, began = core.now(),
    url = plain_url(asked.url) }
end

local function tell_span(span, status, code)
  if not span then return end
  span.ms, span.began, span.status, span.code = math.floor((core.now() - span.began) * 1000), nil, status, code
  core.log.info("upstream", span)
end

local function request(method, url, options, what)
  local asked, max = read_options(method, url, options, what)
  local span = continue_trace(asked)
  local handle, response, upload
  local _ <close> = at_end(function()
    if response then return end
    if upload then upload:stop() end
    http_body.close(asked)
    if handle then core.http_close(handle) end
  end)
  local ok, err, code = http_body.open(asked)
  if not ok then return nil, err, code end
  handle, err, code = core.http_begin(asked)
  if not handle then return nil, err, code end
  upload = asked.iterator and Upload.begin(handle, send, asked)
  local status
  if upload then status, err, code = upload:head() else status, err, code = core.http_head(handle) end
  tell_span(span, status, code)
  if not status then return nil, err, code end
  response = Response.new(handle, status, max, method)
  if upload then upload:answered(status) end
  return response
end

http.asked = read_options

-- http.request(method, url [, options]): a response; nil, message and code.
function http.request(method, url, options)
  check.text(method, "http.request: method")
  if not method:find("^[%w!#$%%&'*+.^_`|~-]+$") then core.raise(("http.request: expected a method, got %q"):format(method)) end
  if method == "CONNECT" then core.raise("http.request: CONNECT asks for a tunnel, and not for an answer") end
  return request(method, url, options, "http.request")
end

for _, name in ipairs { "get", "post", "put", "patch", "delete", "head" } do
  local method, what = name:upper(), "http." .. name
  http[name] = function(url, options) return request(method, url, options, what) end
end

-- The events of a URL as a stream, which is come back to as a browser does where `reconnect` is set; nil, message and
-- code where it is none. Beside the options of requests: method, reconnect, last_event_id, on_open, on_error.
function http.events(url, options)
  return require("spate.event_source").open(function(method, options_) return request(method, url, options_, "http.events") end, url, options,
    OPTIONS)
end

-- Raises at the user's line where http.events would, or the URL is none; `also`: the name of one more option.
function http.check_events(url, options, what, also)
  if not url:lower():find "^https?://[^/?#]" then core.raise(("%s: expected a URL with http or https, got %s"):format(what, url)) end
  local names = table.move(OPTIONS, 1, #OPTIONS, 2, { also })
  local _, asked = require("spate.event_source").split(options, what, names)
  asked[also] = nil
  read_options("GET", url, asked, what)
end

core.public(http, "events", "request", "get", "post", "put", "patch", "delete", "head")

return http
