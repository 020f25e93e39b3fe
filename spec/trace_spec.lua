-- SPDX-License-Identifier: MIT
-- Traces: a request's traceparent goes on to other servers, and its ids are in the log.
local helper = require "spec.helper"
local t = require "spate.test"

local TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
local TRACEPARENT = ("00-%s-%s-01"):format(TRACE, PARENT)

describe("the log", function()
  it("has the trace, the span and its parent of a request that says so", function()
    local server = helper.serve("app:get('/', function() return '' end) app:get('/s', function() return sse.reply { 'a' } end)",
      { settings = { log = { format = "json" } } })
    server:get("/", { headers = { traceparent = TRACEPARENT } })
    server:advance(0.001)
    server:get("/s", { headers = { traceparent = TRACEPARENT } })
    server:get "/"
    local lines = {}
    for line in server:log():gmatch "[^\n]+" do lines[#lines + 1] = helper.json.decode(line) end
    assert.equal(4, #lines)
    for i = 1, 3 do
      assert.equal(TRACE, lines[i].trace_id)
      assert.equal(PARENT, lines[i].parent_id)
      assert.truthy(lines[i].span_id:find "^%x+$" and #lines[i].span_id == 16)
    end
    assert.equal(lines[2].span_id, lines[3].span_id) -- of one stream
    assert.are_not.equal(lines[1].span_id, lines[2].span_id)
    assert.is_nil(lines[4].trace_id)
    server:close()
  end)
end)

describe("a request to another server", function()
  local function serve(code)
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    f:write("local spate, sse = require 'spate', require 'spate.sse'\nlocal app, reply = spate.app(), spate.reply\n",
      "app:get('/', function(req)\n", code, "\nend)\nreturn app\n")
    f:close()
    local app = t.load(path)
    os.remove(path)
    return app
  end

  it("carries the trace on, with a span of its own, unless it has one", function()
    local stub = t.http.stub("GET", "http://other/")
    local app = serve [[
spate.http.get "http://other/"
spate.http.get "http://other/"
spate.http.get("http://other/", { headers = { traceparent = "mine" } })
return ""]]
    assert.equal(200, app:get("/", { headers = { traceparent = TRACEPARENT } }).status)
    local function seen(i) return stub.requests[i].headers.traceparent end
    local first, second = seen(1), seen(2)
    for _, each in ipairs { first, second } do assert.truthy(each:find("^00%-" .. TRACE .. "%-%x+%-01$"), each) end
    assert.are_not.equal(first, second)
    assert.is_nil(first:find(PARENT, 1, true))
    assert.equal("mine", seen(3))
    assert.equal(200, app:get("/").status)
    assert.is_nil(seen(4))
  end)
end)
