-- SPDX-License-Identifier: MIT
-- reply.proxy: a request goes on to another server, and comes back as its answer. What lies beneath the route's `*rest`
-- is put behind the URL as it came; dot segments have been refused before there was a route.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local report = require "spate.report"
local Upload = require "spate.upload"
local reply -- of spate.reply, which requires this module

local OPTIONS = { "headers", "timeout", "preserve_host", "max_body", "via", "tls", "unix" }
local PLANS_MAX = 100

local NONE = {}

local proxy = {}

-- Where to, and how: `url` and its `origin`, `asked` and `given` as core.proxy_begin wants them, `max_body`.
local Plan = {}
Plan.__index = Plan

local function check_url(url)
  if type(url) ~= "string" or not url:find "^https?://[^/?#]" then
    core.raise("reply.proxy: expected a URL with http or https, got " .. (type(url) == "string" and url or type(url)))
  end
  if url:find "#" then core.raise("reply.proxy: the URL must not have a fragment") end
end

-- The fields that are to be said in the place of the client's; false: neither.
local function given_of(options)
  local list = { via = options.via ~= false, preserve_host = options.preserve_host and true or false }
  for name, value in pairs(options.headers or NONE) do
    if value then core.check_field(name, value) end
    list[#list + 1] = tostring(name)
    list[#list + 1] = value and tostring(value)
  end
  return list
end

local plans, plan_count = {}, 0 -- of URLs without options: most handlers have one

-- What reply.proxy was given, checked.
function proxy.plan(url, options)
  local plan = options == nil and plans[url]
  if plan then return plan end
  check_url(url)
  plan = setmetatable({ url = url, origin = core.proxy_origin(url) }, Plan)
  if options ~= nil then
    check.options(options, "reply.proxy", OPTIONS)
    plan.given, plan.max_body = given_of(options), options.max_body
    if options.timeout ~= nil or options.tls ~= nil or options.unix ~= nil then
      plan.asked = require("spate.http").asked("GET", url, { timeout = options.timeout, tls = options.tls, unix = options.unix, redirects = 0 },
        "reply.proxy")
    end
    return plan
  end
  if plan_count == PLANS_MAX then plans, plan_count = {}, 0 end
  plans[url], plan_count = plan, plan_count + 1
  return plan
end

local function send_body(handle, req, max) return Upload.send(handle, req:chunks(max)) end

-- Sends the body as it comes, until the answer begins; nil, message and code where none does.
local function begin_answer(handle, req, max)
  local upload = Upload.begin(handle, send_body, req, max)
  local _ <close> = at_end(function() upload:stop() end)
  return upload:head()
end

local STATUS = { timeout = 504, fields = 431, path = 400 }

local function failed(plan, req, message, code)
  reply = reply or require "spate.reply"
  if code ~= "path" then core.log.warn(("reply.proxy: %s"):format(report.logged(message)), { request = tostring(req), url = plan.url }) end
  return reply.error(STATUS[code] or 502)
end

-- The answer with fields of the reply in whose place it is.
local function with_fields(handle, list)
  local status, message, code = core.http_head(handle)
  if not status then return nil, message, code end
  reply = reply or require "spate.reply"
  local passed = reply.of_response(handle, status)
  for i = 1, #list, 2 do passed:header(list[i], list[i + 1]) end
  return passed
end

-- Asks, and answers the request where it has been `given` no fields of its own; else a reply.
function Plan:answer(req, given)
  local handle, is_open, code = core.proxy_begin(req, self.url, self.origin, self.asked, self.given)
  if not handle then return failed(self, req, is_open, code) end
  local passed, message = true, nil
  if is_open then passed, message, code = begin_answer(handle, req, self.max_body) end
  if not passed then return failed(self, req, message, code) end
  if given._fields then passed, message, code = with_fields(handle, given._fields)
  else passed, message, code = core.pass_whole(req, handle) end
  if not passed then return failed(self, req, message, code) end
  return passed ~= true and passed or nil
end

return proxy
