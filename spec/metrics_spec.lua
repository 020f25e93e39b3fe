-- SPDX-License-Identifier: MIT
-- What is counted, to the last one.
local helper = require "spec.helper"

local APP = [[
app:get("/", function() return "x" end)
app:get("/three", function() return sse.reply(sse.from { "a", "b", "c" }) end)
app:get("/never", function() return sse.reply(sse.never()) end)
app:get("/file", function() return reply.file "spec/metrics_spec.lua" end)
]]

-- What has become more between two stats.
local function more(before, after)
  local list = {}
  for name, value in pairs(after) do
    local is_due = name ~= "collections_total" and not name:find "^batche" -- which come as they come, and the calls (connections_spec.lua)
    local difference = is_due and (name:find "_total$" or name == "connections" or name == "streams") and value - (before[name] or 0)
    if difference and difference ~= 0 then list[name] = difference end
  end
  return list
end

describe("the figures of a server", function()
  local server
  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  local function figures_now() return helper.json.decode(server.core:run 'return require("spate.json").encode(require("spate").stats())') end

  local function of(act)
    local before = figures_now()
    act()
    return more(before, figures_now())
  end

  it("count a request, its connection and each byte that leaves", function()
    for _, target in ipairs { "/", "/none", "/file" } do
      local res
      local figures = of(function() res = server:get(target) end)
      assert.same({ connections = 1, connections_total = 1, requests_total = 1, bytes_total = #res:raw() }, figures, target)
      figures = of(function() server:get(target, { client = res.client }) end)
      assert.same({ requests_total = 1, bytes_total = #res:raw() // 2 }, figures, target)
      assert.same({ connections = -1 }, of(function() res:close() end), target)
    end
  end)

  it("count an event stream and its events", function()
    local res
    local figures = of(function() res = server:get "/three" end)
    assert.same({ connections = 1, connections_total = 1, requests_total = 1, streams_total = 1, closed_finished_total = 1, events_total = 3, bytes_total = #res:raw() }, figures)
    res:close()
    figures = of(function() res = server:get "/never" end)
    assert.same({ connections = 1, connections_total = 1, requests_total = 1, streams = 1, streams_total = 1, bytes_total = #res:raw() }, figures)
    local said = #res:raw()
    figures = of(function() server:advance(60) end) -- keep-alive comments are no events
    assert.same({ bytes_total = #res:raw() - said }, figures)
    assert.is_true(#res:raw() > said)
    assert.same({ connections = -1, streams = -1, closed_client_closed_total = 1 }, of(function() res:close() end))
  end)

  it("count what is no request", function()
    local res
    local figures = of(function() res = server:send "nonsense\r\n\r\n" end)
    assert.same({ connections = 1, connections_total = 1, refused_none_total = 1 }, figures)
    assert.equal(400, res:status())
  end)

  it("are kept when a worker has gone", function()
    local other = helper.serve(APP, { worker = 1, with = server.core })
    local figures = of(function()
      local res = other:get "/three"
      res:close()
      other:close()
    end)
    assert.equal(1, figures.requests_total)
    assert.equal(3, figures.events_total)
    assert.equal(1, figures.connections_total)
    assert.is_nil(figures.connections)
  end)
end)
