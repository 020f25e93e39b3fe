-- SPDX-License-Identifier: MIT
package.path = "./lua/?.lua;" .. package.path
local event_parser = require "spate.event_parser"

-- What a stream that comes in these pieces dispatches, and what it leaves for the next connection.
local function parse(pieces, last_event_id)
  local events = {}
  local parser = event_parser.new(function(event) events[#events + 1] = event end, last_event_id)
  for _, piece in ipairs(pieces) do assert.is_true(parser:feed(piece)) end
  return { events = events, last_event_id = parser.last_event_id, retry = parser.retry }
end

local function message(data, id, event) return { event = event or "message", data = data, id = id or "" } end

local CASES = {
  { "nothing", "", {} },
  { "one event", "data: a\n\n", { message "a" } },
  { "an event without its blank line", "data: a\n", {} },
  { "a name", "event: tick\ndata: a\n\n", { message("a", "", "tick") } },
  { "an empty name as none", "event:\ndata: a\n\n", { message "a" } },
  { "the last of two names", "event: a\nevent: b\ndata: 1\n\n", { message("1", "", "b") } },
  { "a name for one event only", "event: a\ndata: 1\n\ndata: 2\n\n", { message("1", "", "a"), message "2" } },
  { "several lines of data", "data: a\ndata: b\ndata:\n\n", { message "a\nb\n" } },
  { "empty data", "data\n\ndata:\n\ndata\ndata\n\n", { message "", message "", message "\n" } },
  { "no event without data", "event: a\n\ndata: 1\n\n", { message "1" } },
  { "one blank after the colon", "data:a\n\ndata: a\n\ndata:  a\n\n", { message "a", message "a", message " a" } },
  { "a colon in the value", "data: a: b\n\n", { message "a: b" } },
  { "comments", ": hello\n:\n:data: no\ndata: 1\n\n", { message "1" } },
  { "unknown fields, case and blanks", "Data: no\n data: no\ndata : no\nfoo: no\nfoo\ndata: 1\n\n", { message "1" } },
  { "LF, CRLF and CR", "data: 1\n\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\r\n\n", { message "1", message "2", message "3", message "4" } },
  { "a CRLF as one end", "data: 1\r\ndata: 2\r\n\r\n", { message "1\n2" } },
  { "LF CR as two", "data: 1\n\rdata: 2\n\n", { message "1", message "2" } },
  { "a byte order mark", "\xEF\xBB\xBFdata: 1\n\n", { message "1" } },
  { "only one mark", "\xEF\xBB\xBF\xEF\xBB\xBFdata: 1\n\ndata: 2\n\n", { message "2" } },
  { "half a mark as a field", "\xEF\xBBdata: 1\n\ndata: 2\n\n", { message "2" } },
  { "bytes of any kind", "data: \xff\0\xc3\xa4\n\n", { message "\xff\0\xc3\xa4" } },
  { "an id, and its events after it", "id: 1\ndata: a\n\ndata: b\n\n", { message("a", "1"), message("b", "1") }, "1" },
  { "an id without data", "id: 7\n\n", {}, "7" },
  { "an id without a blank line", "id: 7\ndata: a\n", {}, "" },
  { "an empty id", "id: 1\ndata: a\n\nid\ndata: b\n\n", { message("a", "1"), message "b" }, "" },
  { "an id with NUL as none", "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", { message("a", "1"), message("b", "1") }, "1" },
  { "retry", "retry: 2500\n\n", {}, "", 2500 },
  { "retry without a blank line", "retry: 10\n", {}, "", 10 },
  { "the last retry that is a number", "retry: 1\nretry: 2\nretry: 3s\nretry: -4\nretry: 1.5\nretry:\nretry:  5\n", {}, "", 2 },
}

describe("the parser of event streams reads", function()
  for _, case in ipairs(CASES) do
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

  it("an event of many pieces in memory of its length", function()
    local piece, pieces = ("x"):rep(1000), { "data: " }
    for i = 1, 1000 do pieces[i + 1] = piece end
    pieces[#pieces + 1] = "\n\n"
    collectgarbage "stop" -- what is no longer needed counts as well
    local before = collectgarbage "count"
    local size = #parse(pieces).events[1].data
    local taken = (collectgarbage "count" - before) * 1024
    collectgarbage "restart"
    assert.equal(1000000, size)
    assert(taken < 10 * size, taken)
  end)

  it("no event that is too large", function()
    local parser, piece = event_parser.new(error), "data: " .. ("x"):rep(1 << 20) .. "\n"
    for _ = 1, 63 do assert.is_true(parser:feed(piece)) end
    assert.same({ nil, "too large" }, { parser:feed(piece) })
  end)
end)
