-- SPDX-License-Identifier: MIT
-- Waiting for descriptors that others own: of LuaSocket, luaossl, cqueues, a driver.
local core = require "spate.core"

local METHODS = { "getfd", "pollfd", "fileno" } -- of objects, that tell their descriptor
local EVENTS = { r = true, w = true, rw = true }

-- A method of an object, which may have no fields at all.
local function method_of(object, name)
  local found, method = pcall(function() return object[name] end)
  return found and type(method) == "function" and method or nil
end

local function descriptor_of(object)
  if io.type(object) then return object end
  local fd = type(object) == "number" and math.tointeger(object) or nil
  if type(object) == "userdata" or type(object) == "table" then
    for _, name in ipairs(METHODS) do
      local method = method_of(object, name)
      if method then fd = math.tointeger(method(object)) break end
    end
  end
  if not fd then
    core.raise(("sse.wait_fd: expected a descriptor, or an object with getfd(), pollfd() or fileno(), got %s"):format(type(object)))
  end
  return fd
end

-- Waits until a descriptor can be read from ("r"), written to ("w"), or one of both ("rw"): what of it; nil, "timeout".
return function(object, events, timeout)
  local fd = descriptor_of(object)
  if not EVENTS[events] then core.raise(('sse.wait_fd: expected "r", "w" or "rw", got %s'):format(tostring(events))) end
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    core.raise(("sse.wait_fd: expected seconds, got %s"):format(type(timeout) == "number" and timeout or type(timeout)))
  end
  return core.wait_fd(fd, events, timeout, object)
end
