-- SPDX-License-Identifier: MIT
-- require "spate": applications, replies, and what a script needs beside them.
local found, core = pcall(require, "spate.core")
if not found then -- by plain Lua, or in a spec
  local script = type(arg) == "table" and type(arg[0]) == "string" and arg[0]:match("%.lua$") and arg[0] or "app.lua"
  error(("the server has what an application needs: run `spate dev %s`; specs load it by spate.test"):format(script), 0)
end
local app = require "spate.app"

local kick = require "spate.kick"

local spate = { version = core.version, worker = core.worker, reply = require "spate.reply", log = core.log, app = app.new,
  stats = core.stats, shared = core.shared, kick = kick }

-- Ends the request with a status and a text (that of the status unless given), from however deep.
function spate.abort(status, text)
  if math.type(status) ~= "integer" or status < 200 or status > 599 then
    core.raise("spate.abort: expected a status from 200 to 599, got " .. (math.type(status) and tostring(status) or type(status)))
  end
  if text ~= nil and type(text) ~= "string" and type(text) ~= "number" then
    core.raise("spate.abort: expected a text, got " .. type(text))
  end
  error(setmetatable({ status = status, text = text, where = core.where() }, app.Abort), 0)
end

-- The environment variable, else `default`. In an application's specs, which need no secrets, one that is not set and has
-- no default is its name.
function spate.env(name, ...)
  if type(name) ~= "string" then core.raise("spate.env: expected the name of a variable, got " .. type(name)) end
  if name:find("[%z=]") then core.raise(("spate.env: expected the name of a variable, got %q"):format(name)) end
  local value = os.getenv(name)
  if value ~= nil then return value end
  if select("#", ...) > 0 or not core.in_spec then return (...) end
  core.placeholders[name] = true
  return name
end

-- A random UUID, version 4 (RFC 9562).
function spate.uuid()
  local b = { core.random(16):byte(1, 16) }
  b[7], b[9] = b[7] & 0x0f | 0x40, b[9] & 0x3f | 0x80
  local hex = core.hex(string.char(table.unpack(b)))
  return (hex:gsub("^(%x%x%x%x%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)", "%1-%2-%3-%4-"))
end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

-- Text for HTML, also inside attributes.
function spate.escape(text)
  if type(text) ~= "string" and type(text) ~= "number" then core.raise("spate.escape: expected a string or a number, got " .. type(text)) end
  return (tostring(text):gsub("[&<>\"']", entities))
end

core.public(spate, "abort", "env", "escape", "kick")

-- What is loaded when it is first used: the name, and the module that it is in, or that it is.
local LATER = {
  cors = "cors", allow_origins = "origins", allow_hosts = "hosts", rate_limit = "rate_limit", basic_auth = "basic_auth", hsts = "hsts",
  session = "session", jwt = "jwt", sign = "sign", verify = "sign", equal = "sign", crypto = "crypto", offload = "offload",
  cron = "cron", datastar = "datastar", durable = "durable", mcp = "mcp", mercure = "mercure", http = "http",
  process = "process", fs = "fs", sqlite = "sqlite", postgres = "postgres", redis = "redis",
  promise = "promise", metrics = "metrics", streams = "streams", admin = "admin", stream_limit = "stream_limit", ticket = "ticket",
  doctor = "doctor",
}

return setmetatable(spate, { __index = function(_, name)
  if not LATER[name] then return nil end
  local module = require("spate." .. LATER[name])
  spate[name] = type(module) == "table" and module[name] or module
  return spate[name]
end })
