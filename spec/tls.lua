-- SPDX-License-Identifier: MIT
-- A client of TLS for a server in memory, which stands in for a client of helper.serve: what is sent is encrypted, what
-- is taken was decrypted. `raw` is the connection below.
local helper = require "spec.helper"

local Client = {}
Client.__index = Client

-- Moves bytes both ways until none are left to move.
function Client:settle()
  for _ = 1, 200 do
    local moved = self.tls:pump(self.raw)
    self.server:turn()
    if not moved and not self.tls:pump(self.raw) then return self end
  end
  error("no end of bytes to move", 2)
end

function Client:send(bytes)
  self.tls:write(bytes)
  self.tls:pump(self.raw)
  return self
end

function Client:take()
  self:settle()
  return self.tls:take()
end

function Client:state() return self.raw:state() end

-- Says that it has ended (close_notify), and ends; `finish_rudely` without a word.
function Client:finish()
  self.tls:shutdown()
  self.tls:pump(self.raw)
  self.raw:finish()
end

function Client:finish_rudely() self.raw:finish() end

function Client:is() return self.tls:state() end

local tls = {}

-- A client that has begun nothing yet. options: those of harness.tls, and address.
function tls.begin(server, options)
  options = options or {}
  local raw = server:connect(options.address, "tls")
  return setmetatable({ server = server, raw = raw, tls = helper.harness.tls(options) }, Client)
end

-- The same once it is open, or refused.
function tls.connect(server, options) return tls.begin(server, options):settle() end

return tls
