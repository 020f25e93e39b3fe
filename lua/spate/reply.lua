-- SPDX-License-Identifier: MIT
-- Replies: values that a handler returns. `_status`, `_type`, `_body`, `_fields` (names and values in a flat list),
-- and `_stream` with `_keep_alive` for an event stream.
local core = require "spate.core"
local json = require "spate.json"

local Reply = {}
Reply.__index = Reply
Reply.__name = "reply"

local reply = { Reply = Reply }

local function new(status, type, body)
  return setmetatable({ _status = status, _type = type, _body = body }, Reply)
end

local function check_status(status)
  if math.type(status) ~= "integer" or status < 200 or status > 599 then
    core.raise("status: expected an integer from 200 to 599, got " .. tostring(status))
  end
  return status
end

local function check_text(what, text)
  local kind = type(text)
  if kind ~= "string" and kind ~= "number" then core.raise(what .. ": expected a string, got " .. kind) end
  return tostring(text)
end

function reply.text(text, status)
  return new(check_status(status or 200), "text/plain; charset=utf-8", check_text("reply.text", text))
end

function reply.html(text, status)
  return new(check_status(status or 200), "text/html; charset=utf-8", check_text("reply.html", text))
end

function reply.json(value, status) return new(check_status(status or 200), "application/json", json.encode(value)) end

function reply.status(status) return new(check_status(status)) end

function reply.error(status, message)
  return new(check_status(status), "text/plain; charset=utf-8", tostring(message or "error") .. "\n")
end

function reply.redirect(url, status)
  return new(check_status(status or 303)):header("Location", check_text("reply.redirect", url))
end

-- The stream as a reply; `options` has status, headers, keep_alive = false.
function reply.event_stream(stream, options)
  local r = new(check_status(options.status or 200))
  r._stream, r._keep_alive = stream, options.keep_alive
  for name, value in pairs(options.headers or {}) do r:header(name, value) end
  return r
end

function Reply:status(status)
  self._status = check_status(status)
  return self
end

-- Replaces earlier fields of that name, but for Set-Cookie and Link, which add up.
local adds_up = { ["set-cookie"] = true, link = true, vary = true, ["www-authenticate"] = true }

function Reply:header(name, value)
  core.check_field(name, value)
  local fields, lower = self._fields or {}, name:lower()
  self._fields = fields
  if lower == "content-type" and not self._stream then
    self._type = tostring(value)
    return self
  end
  if not adds_up[lower] then
    for i = #fields - 1, 1, -2 do
      if fields[i]:lower() == lower then
        table.remove(fields, i)
        table.remove(fields, i)
      end
    end
  end
  fields[#fields + 1], fields[#fields + 2] = name, tostring(value)
  return self
end

local same_site = { strict = "Strict", lax = "Lax", none = "None" }
local cookie_options = { max_age = true, expires = true, domain = true, path = true, secure = true, http_only = true, same_site = true }

local function attribute(parts, name, value)
  if type(value) == "string" and value:find("[;%c]") then core.raise("cookie " .. name .. ": must not contain ';' or a control character") end
  parts[#parts + 1] = name .. "=" .. tostring(value)
end

-- A cookie (RFC 6265 4.1); path is "/" unless given, max_age in seconds, expires in seconds since 1970.
function Reply:cookie(name, value, options)
  options = options or {}
  if type(name) ~= "string" or name == "" or name:find("[^%w!#$%%&'*+%-.^_`|~]") then
    core.raise("cookie name: expected letters, digits and '-', '_', '.', got " .. tostring(name))
  end
  value = check_text("cookie " .. name, value)
  if value:find('[%c%s",;\\\128-\255]') then
    core.raise("cookie " .. name .. ": the value must not contain blanks, quotes, ',', ';', '\\' or bytes beyond ASCII; encode it first")
  end
  for option in pairs(options) do
    if not cookie_options[option] then core.raise("cookie " .. name .. ": unknown option '" .. tostring(option) .. "'") end
  end
  local parts = { name .. "=" .. value }
  attribute(parts, "Path", options.path or "/")
  if options.domain then attribute(parts, "Domain", options.domain) end
  if options.max_age then attribute(parts, "Max-Age", math.floor(options.max_age)) end
  if options.expires then attribute(parts, "Expires", os.date("!%a, %d %b %Y %H:%M:%S GMT", math.floor(options.expires))) end
  if options.secure then parts[#parts + 1] = "Secure" end
  if options.http_only then parts[#parts + 1] = "HttpOnly" end
  if options.same_site then
    local site = same_site[tostring(options.same_site):lower()]
    if not site then core.raise("cookie " .. name .. ": same_site is Strict, Lax or None") end
    attribute(parts, "SameSite", site)
  end
  return self:header("Set-Cookie", table.concat(parts, "; "))
end

-- Sends it as the answer to `req`; the body of a reply with a stream is its stream, for the caller to run.
function reply.send(req, r) core.answer(req, r._status, r._body and r._type, r._body, r._fields) end

return reply
