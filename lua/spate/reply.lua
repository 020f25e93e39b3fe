-- SPDX-License-Identifier: MIT
-- Replies: values that a handler returns. `_status`, `_type`, `_body`, `_fields` (names and values in a flat list),
-- `_file` with what it takes to open it once more, and `_stream` with `_keep_alive` for an event stream.
local check = require "spate.check"
local core = require "spate.core"
local fields = require "spate.fields"
local file_options = require "spate.file_options"
local json = require "spate.json"
local plan_of = require("spate.proxy").plan
local recheck = require "spate.recheck"

local Reply = {}
Reply.__index = Reply
Reply.__name = "reply"

local reply = { Reply = Reply }

local FIELDS_MAX = 60 -- of a reply; the server adds its own

local function new(status, type, body)
  return setmetatable({ _status = status, _type = type, _body = body }, Reply)
end

local function check_dot(first, name)
  if first == reply then core.raise(("reply.%s(...): write it with a dot"):format(name)) end
end

local function check_status(status)
  if math.type(status) ~= "integer" or status < 200 or status > 599 then
    local got = math.type(status) and tostring(status) or type(status)
    core.raise("status: expected an integer from 200 to 599, got " .. got)
  end
  return status
end

local function check_text(what, text)
  local kind = type(text)
  if kind ~= "string" and kind ~= "number" then core.raise(what .. ": expected a string, got " .. kind) end
  return tostring(text)
end

function reply.text(text, status)
  check_dot(text, "text")
  return new(check_status(status or 200), "text/plain; charset=utf-8", check_text("reply.text", text))
end

function reply.html(text, status)
  check_dot(text, "html")
  return new(check_status(status or 200), "text/html; charset=utf-8", check_text("reply.html", text))
end

function reply.json(value, status)
  check_dot(value, "json")
  return new(check_status(status or 200), "application/json", json.encode(value))
end

-- Bytes of any type.
function reply.body(bytes, type, status)
  check_dot(bytes, "body")
  if type == nil then core.raise 'reply.body: expected a type, such as "image/png", got nil' end
  local r = new(check_status(status or 200), nil, check_text("reply.body", bytes))
  return r:header("Content-Type", type)
end

function reply.status(status)
  check_dot(status, "status")
  return new(check_status(status))
end

-- A line of text, or JSON where the client prefers that; the message is that of the status unless given.
function reply.error(status, message)
  check_dot(status, "error")
  check_status(status)
  if message == nil then message = core.status_phrase(status) end
  local text = check_text("reply.error", message)
  local r = new(status, "text/plain; charset=utf-8", text .. "\n")
  r._error = utf8.len(text) and text
  return r
end

function reply.redirect(url, status)
  check_dot(url, "redirect")
  url, status = check_text("reply.redirect", url), check_status(status or 303)
  if status < 300 or status > 399 then core.raise(("reply.redirect: expected a status from 300 to 399, got %d"):format(status)) end
  return new(status):header("Location", url)
end

local WHY_NO_FILE = { missing = "no such file", directory = "is a folder", forbidden = "may not be read", busy = "too many open files" }
local FILE_STATUS = { missing = 404, directory = 404, forbidden = 403, busy = 503 }

-- The status that tells a client why there is no file.
function reply.file_status(why) return FILE_STATUS[why] end

-- A file, beneath `root` where one is given, as a reply; `plan` is what file_options has made. Nil and why not.
function reply.of_file(plan, path, root, dotfiles)
  local file, why = core.open_file(path, root, dotfiles)
  if not file then return nil, why end
  local r = new(plan.status, plan.type)
  r._file, r._path, r._root, r._dotfiles = file, path, root, dotfiles
  r._fields = fields.copy(plan.fields)
  return r
end

-- The file at a path, which is relative to the script's folder; the error that says why there is none.
function reply.file(path, options)
  check_dot(path, "file")
  path = check_text("reply.file", path)
  local plan = file_options.read("reply.file", options)
  local whole = file_options.in_folder(path)
  local r, why = reply.of_file(file_options.for_path(plan, path), whole)
  if not r and core.dev then core.log.warn(("reply.file: %s: %s"):format(whole, WHY_NO_FILE[why])) end
  return r or reply.error(FILE_STATUS[why])
end

-- The stream as a reply; `options` has status, headers, compress, keep_alive = false.
function reply.event_stream(stream, options)
  local r = new(check_status(options.status or 200))
  r._recheck = recheck.plan(options)
  r._stream, r._keep_alive, r._compress = stream, options.keep_alive, options.compress
  for name, value in pairs(options.headers or {}) do r:header(name, value) end
  return r
end

local STREAM_OPTIONS = { "status", "headers", "type", "length" }

-- A body of any type that fn(write) writes piece by piece; `options` has status, type, headers, length in bytes.
function reply.stream(fn, options)
  check_dot(fn, "stream")
  if type(fn) ~= "function" then core.raise("reply.stream: expected a function(write), got " .. type(fn)) end
  options = check.options(options or {}, "reply.stream", STREAM_OPTIONS)
  local length = options.length
  if length ~= nil and (math.type(length) ~= "integer" or length < 0) then
    core.raise("reply.stream: length: expected a number of bytes, got " .. check.shown(length))
  end
  local r = new(check_status(options.status or 200), "application/octet-stream")
  r._write, r._length = fn, length
  for name, value in pairs(options.headers or {}) do r:header(name, value) end
  if options.type ~= nil then r:header("Content-Type", options.type) end
  return r
end

local function add_headers(r, headers)
  for name, value in pairs(headers or {}) do r:header(name, value) end
  return r
end

local PASS_OPTIONS = { "headers" }

-- The response that `handle` holds, as a reply.
function reply.of_response(handle, status)
  local r = new(status <= 599 and status or 502)
  r._response, r._fields = handle, core.response_fields(handle)
  return r
end

-- Another server's response as it comes, but for the fields of its connection; `options` has headers, which take the
-- place of those of their name. What is read of it already does not come again.
function reply.pass(response, options)
  check_dot(response, "pass")
  if response == nil and type(options) == "string" then core.raise("reply.pass: expected a response of spate.http, got nil: " .. options) end
  options = check.options(options or {}, "reply.pass", PASS_OPTIONS)
  if getmetatable(response) ~= require "spate.http_response" then core.raise("reply.pass: expected a response of spate.http, got " .. type(response)) end
  return add_headers(reply.of_response(response._handle, response.status), options.headers)
end

-- What the server at `url` answers to the same request: proxy.lua says how, once the reply is sent.
function reply.proxy(url, options)
  check_dot(url, "proxy")
  return setmetatable({ _status = 200, _proxy = plan_of(url, options) }, Reply)
end

local function check_self(self, name)
  if getmetatable(self) ~= Reply then core.raise(("expected a reply, got %s; write r:%s(...), with a colon"):format(type(self), name)) end
end

function Reply:status(status)
  check_self(self, "status")
  self._status = check_status(status)
  return self
end

-- Whether its body goes compressed to clients that take it: a text of 1 KiB to 1 MiB. By default the settings say it.
function Reply:compress(wanted)
  check_self(self, "compress")
  if type(wanted) ~= "boolean" then core.raise("r:compress: expected true or false, got " .. tostring(wanted)) end
  self._compress = wanted
  return self
end

-- A field takes the place of earlier ones of its name, but for these, which add up.
local adds_up = { ["set-cookie"] = true, link = true, vary = true, ["www-authenticate"] = true }

function Reply:header(name, value)
  check_self(self, "header")
  core.check_field(name, value)
  name = tostring(name)
  local list, lower = self._fields or {}, name:lower()
  self._fields = list
  if lower == "content-type" and not self._stream and not self._response then
    self._type, self._error = tostring(value), nil
    return self
  end
  if not adds_up[lower] then fields.remove(list, lower) end
  if #list >= 2 * FIELDS_MAX and not self._response then core.raise(("more than %d header fields"):format(FIELDS_MAX)) end
  list[#list + 1], list[#list + 2] = name, tostring(value)
  return self
end

local same_site = { strict = "Strict", lax = "Lax", none = "None" }
local cookie_options = { "max_age", "expires", "domain", "path", "secure", "http_only", "same_site" }

local function attribute(parts, name, value)
  value = check_text("cookie " .. name, value)
  if value:find("[;%c\128-\255]") then core.raise("cookie " .. name .. ": must not contain ';', a control character or bytes beyond ASCII") end
  parts[#parts + 1] = name .. "=" .. value
end

local function check_seconds(what, value)
  if type(value) ~= "number" or value ~= value or math.abs(value) > 1e11 then
    core.raise(("cookie %s: expected seconds, got %s"):format(what, check.shown(value)))
  end
  return math.floor(value)
end

local function check_cookie(name, value, options)
  if type(name) ~= "string" or name == "" or name:find("[^%w!#$%%&'*+%-.^_`|~]") then
    core.raise("cookie name: expected letters, digits and '-', '_', '.', got " .. tostring(name))
  end
  if value:find('[%c%s",;\\\128-\255]') then
    core.raise("cookie " .. name .. ": the value must not contain blanks, quotes, ',', ';', '\\' or bytes beyond ASCII; encode it first")
  end
  check.options(options, "cookie " .. name, cookie_options)
end

-- A cookie (RFC 6265 4.1); path is "/" unless given, max_age in seconds, expires in seconds since 1970.
function Reply:cookie(name, value, options)
  check_self(self, "cookie")
  options = options == nil and {} or options
  if type(options) ~= "table" then core.raise("cookie: expected a table of options, got " .. type(options)) end
  value = check_text("cookie value", value)
  check_cookie(name, value, options)
  local parts = { name .. "=" .. value }
  attribute(parts, "Path", options.path or "/")
  if options.domain then attribute(parts, "Domain", options.domain) end
  if options.max_age then attribute(parts, "Max-Age", check_seconds("max_age", options.max_age)) end
  if options.expires then attribute(parts, "Expires", os.date("!%a, %d %b %Y %H:%M:%S GMT", check_seconds("expires", options.expires))) end
  if options.secure then parts[#parts + 1] = "Secure" end
  if options.http_only then parts[#parts + 1] = "HttpOnly" end
  if options.same_site then
    local site = same_site[tostring(options.same_site):lower()]
    if not site then core.raise("cookie " .. name .. ": same_site is Strict, Lax or None") end
    attribute(parts, "SameSite", site)
  end
  return self:header("Set-Cookie", table.concat(parts, "; "))
end

-- The same reply once more, with fields of its own.
function reply.copy(r)
  local copy = setmetatable({}, Reply)
  for name, value in pairs(r) do copy[name] = value end
  copy._fields = fields.copy(r._fields)
  return copy
end

-- Sends it as the answer to `req`; the body of a reply with a stream is its stream, for the caller to run.
function reply.send(req, r)
  local type, body = r._type, r._body
  if r._error and core.prefers_json(req) then
    type, body = "application/json", ('{"error":{"status":%d,"message":%s}}'):format(r._status, json.encode(r._error))
  end
  if not r._file then return core.answer(req, r._status, type, body, r._fields, r._compress) end
  if core.answer_file(req, r._status, r._type, r._file, r._fields) then return end
  local file, why = core.open_file(r._path, r._root, r._dotfiles) -- the same reply for the second time
  if not file then return reply.send(req, reply.error(FILE_STATUS[why])) end
  core.answer_file(req, r._status, r._type, file, r._fields)
end

core.public(reply, "text", "html", "json", "body", "status", "error", "redirect", "stream", "file", "pass", "proxy")
core.public(Reply, "status", "header", "cookie", "compress")

return reply
