-- SPDX-License-Identifier: MIT
-- Which traceparent a request may have (W3C Trace Context 3.2 and 4.3): one that is none is as if it had not come.
local helper = require "spec.helper"

local TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

-- Such a field with parts in the place of its own.
local function field(parts)
  return ("%s-%s-%s-%s"):format(parts.version or "00", parts.trace or TRACE, parts.parent or PARENT, parts.flags or "01") .. (parts.more or "")
end

local function changed(text, at, byte) return text:sub(1, at - 1) .. byte .. text:sub(at + 1) end

describe("a traceparent", function()
  local server
  before_each(function()
    server = helper.serve("app:get('/', function() return '' end)", { settings = { log = { format = "json" } } })
  end)
  after_each(function() server:close() end)

  -- The trace and the parent that the log has of a request with these fields.
  local function logged(...)
    local lines = {}
    for i, value in ipairs { ... } do lines[i] = ("traceparent: %s\r\n"):format(value) end
    server:log()
    server:send("GET / HTTP/1.1\r\nHost: a\r\n" .. table.concat(lines) .. "\r\n"):close()
    local line = helper.json.decode(server:log():match "[^\n]*")
    return line.trace_id, line.parent_id
  end

  it("is of the version that is known, or of a later one, which may say more", function()
    for _, value in ipairs { field {}, field { flags = "00" }, field { flags = "ff" }, field { version = "01" }, field { version = "10" }, field { version = "fe" },
      field { version = "cc", more = "-what-comes" }, field { version = "01", more = "-" },
      field { trace = ("0"):rep(31) .. "1", parent = "1" .. ("0"):rep(15) }, field { trace = "f" .. ("0"):rep(31), parent = ("0"):rep(15) .. "a" } } do
      assert.same({ value:sub(4, 35), value:sub(37, 52) }, { logged(value) }, value)
    end
  end)

  it("is none that is not made like that", function()
    for _, value in ipairs { "", "00", field { version = "ff" }, field { version = "0" }, field { version = "000" }, field { version = "0g" }, field { version = "g0" },
      field { more = "-more" }, field { more = "-" }, field { more = "0" }, field { version = "01", more = "0-x" }, field { trace = ("0"):rep(32) }, field { parent = ("0"):rep(16) },
      field { trace = TRACE .. "0" }, field { trace = TRACE:sub(2) }, field { parent = PARENT .. "0" }, field { parent = PARENT:sub(2) }, field { flags = "1" }, field { flags = "" },
      field { trace = TRACE:upper() }, field { parent = PARENT:upper() }, field { flags = "0A" }, field({}):gsub("-", "_"), field({}):sub(1, 52) } do
      assert.is_nil(logged(value), value)
    end
    for _, byte in ipairs { "/", ":", "`", "g", "G", " " } do
      for _, at in ipairs { 1, 2, 4, 20, 35, 37, 52, 54, 55 } do
        local value = changed(field {}, at, byte)
        if at < 55 or byte ~= " " then assert.is_nil(logged(value), value) end
      end
    end
  end)

  it("comes once", function()
    assert.is_nil(logged(field {}, field {}))
    assert.is_nil(logged("", field {}))
  end)
end)
