-- SPDX-License-Identifier: MIT
-- A null member says something in a patch (RFC 7396): it is kept where that is asked for.
local helper = require "spec.helper"

local json = helper.json

describe("json.decode with { null = json.null }", function()
  it("keeps null members, however deep, and the text's meaning", function()
    local text = '{"a":null,"b":[null,{"c":null}],"d":{}}'
    local value = json.decode(text, { null = json.null })
    assert.equal(json.null, value.a)
    assert.equal(json.null, value.b[2].c)
    assert.equal(text, json.encode(value))
    assert.equal(json.null, json.decode('{"a":1,"a":null}', { null = json.null }).a)
    assert.is_nil(json.decode(text).a)
    assert.is_nil(json.decode(text, {}).a)
    assert.is_nil(json.decode(text, nil).a)
    assert.same({ nil, "line 1, column 1: invalid token near 'x'" }, { json.decode("x", { null = json.null }) })
  end)

  it("has no other option, and no other value", function()
    for _, case in ipairs {
      { "{ null = 1 }", "null: expected json.null, got number" }, { "{ nul = json.null }", "unknown option 'nul'; did you mean 'null'?" },
      { "{ [1] = 1 }", "unknown option '1'" }, { "true", "expected a table of options, got boolean" },
    } do
      local err = helper.load_error("json.decode('1', " .. case[1] .. ")\n")
      assert.truthy(err:find(":3: json.decode: " .. case[2], 1, true), err)
    end
  end)

  it("is req:json's as well", function()
    local server = helper.serve [[
app:patch("/", function(req) return { kept = req:json({ null = json.null }).name == json.null } end)
app:put("/", function(req) return { kept = req:json().name == json.null } end)
app:post("/", function(req) return req:json { null = 1 } end)]]
    assert.same({ kept = true }, server:patch("/", { body = '{"name":null}' }):json())
    assert.same({ kept = false }, server:put("/", { body = '{"name":null}' }):json())
    assert.equal(500, server:post("/", { body = "1" }):status())
    assert.truthy(server:log():find(":5: req:json: null: expected json.null", 1, true))
    server:close()
  end)
end)

describe("json.array and json.object without an argument", function()
  it("make new, empty ones", function()
    assert.equal("[]", json.encode(json.array()))
    assert.equal("{}", json.encode(json.object()))
    local a, b = json.object(), json.object()
    a.x = 1
    assert.equal("{}", json.encode(b))
    assert.has_error(function() json.array(nil, 1) end)
    assert.has_error(function() json.array(nil) end)
  end)
end)
