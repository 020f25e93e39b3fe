-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"
local cases = require "spec.event_streams"

local parse_events = helper.harness.parse_events

-- What a stream that comes in these pieces dispatches, and what it leaves for the next connection.
local function parse(...) return assert(parse_events(...)) end

local function message(data, id) return { event = "message", data = data, id = id or "" } end

describe("the parser of event streams reads", function()
  for _, case in ipairs(cases) do
    local name, bytes, events, last_event_id, retry = table.unpack(case, 1, 5)
    local expected = { events = events, last_event_id = last_event_id or "", retry = retry }

    it(name .. ", whole and cut anywhere", function()
      assert.same(expected, parse { bytes })
      for i = 0, #bytes do
        for j = i, #bytes do
          assert.same(expected, parse { bytes:sub(1, i), bytes:sub(i + 1, j), bytes:sub(j + 1) }, ("cut after %d and %d"):format(i, j))
        end
      end
      local single = {}
      for i = 1, #bytes do single[i] = bytes:sub(i, i) end
      assert.same(expected, parse(single))
    end)
  end

  it("an event at once where CR ends it", function()
    assert.same({ message "1" }, parse { "data: 1\r\r" }.events)
  end)

  it("on with the id of an earlier connection", function()
    assert.same({ events = { message("a", "6") }, last_event_id = "6" }, parse({ "data: a\n\n" }, "6"))
  end)

  it("an event of many pieces", function()
    local piece, pieces = ("x"):rep(1000), { "data: " }
    for i = 1, 1000 do pieces[i + 1] = piece end
    pieces[#pieces + 1] = "\n\n"
    assert.equal(1000000, #parse(pieces).events[1].data)
  end)

  it("many short lines of a large piece", function()
    local bytes = ("data: 1\r\r"):rep(100000)
    assert.equal(100000, #parse({ bytes }).events)
    assert.equal(50000, #parse({ ("data\r\n\r\n"):rep(50000) }).events)
  end)

  local LINES = { "data: " .. ("x"):rep(94) .. "\n", "id: " .. ("x"):rep(96) .. "\nid\n", "event: " .. ("x"):rep(93) .. "\n", ":" .. ("x"):rep(99) }

  for _, line in ipairs(LINES) do
    it(("no event that is too large, of lines like %s"):format(line:match "^%w*:"), function()
      local bytes = line:rep(11) .. "\n\n"
      local pieces = {}
      for at = 1, #bytes do pieces[at] = bytes:sub(at, at) end
      local is_kept = line:find "^data" or line:find "^:"
      for _, cut in ipairs { { bytes }, pieces } do
        local parsed, why = parse_events(cut, "", 1000)
        assert.equal(is_kept and "too large" or nil, why)
        assert.equal(not is_kept, parsed ~= nil)
        assert.truthy(parse_events(cut, "", 1200))
      end
    end)
  end

  it("an event as large as the limit, the line that comes counted whole, and none of a byte more", function()
    for bytes, size in pairs { ["data: 1234567\n"] = 13, ["event: tick\ndata: 12\n"] = 4 + 8, ["id: 12345\ndata:5678\n"] = 5 + 9,
      ["data: 12\ndata: 45678\n"] = 2 + 11, ["data\ndata\ndata:45678\n"] = 1 + 10, [": 345678901\n"] = 11 } do
      for _, cut in ipairs { { bytes, "\n" }, { bytes:sub(1, 4), bytes:sub(5) .. "\n" }, { bytes:sub(1, -3), bytes:sub(-2), "\n" } } do
        assert.same({ nil, "too large" }, { parse_events(cut, "", size - 1) }, bytes)
        assert.truthy(parse_events(cut, "", size), bytes)
      end
    end
  end)

  it("nothing behind what was too large", function()
    assert.same({ nil, "too large" }, { parse_events({ "data: " .. ("x"):rep(20), "\n\n" }, "", 10) })
  end)

  it("events of any number, each below the limit", function()
    assert.equal(100, #parse({ ("data: 12345\n\n"):rep(100) }, "", 20).events)
  end)
end)
