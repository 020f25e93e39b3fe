-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

-- Runs `code` in a stream function (it has `send`) from line 5 of the script on; the response, and the server to close.
local function run(code, options)
  local server = helper.serve("app:get('/', function(req)\nreturn sse.reply(function(send)\n" .. code .. "\nend)\nend)", options)
  return server:get("/"), server
end

local function wire(code, options)
  local res, server = run(code, options)
  local body = res:body()
  local log = server:log()
  server:close()
  return body, log
end

-- The message of the error that `code` raises, without the file's name.
local function message(code, options)
  local body = wire("local ok, err = pcall(function()\n" .. code .. "\nend) send { json = { ok = ok, err = tostring(err) } }", options)
  local result = assert(helper.json.decode(body:match("data: (%b{})\n\n$")))
  assert.is_false(result.ok)
  return (result.err:gsub("^[^:]*:", ""))
end

describe("an event on the wire", function()
  local cases = {
    { "a string", [[send "hello"]], "data: hello\n\n" },
    { "the empty string", [[send ""]], "data: \n\n" },
    { "an integer", [[send(42)]], "data: 42\n\n" },
    { "the least integer", [[send(math.mininteger)]], "data: -9223372036854775808\n\n" },
    { "a whole float", [[send(42.0)]], "data: 42\n\n" },
    { "a large whole float", [[send(2^53)]], "data: 9007199254740992\n\n" },
    { "a negative whole float", [[send(-3.0)]], "data: -3\n\n" },
    { "a float", [[send(0.5)]], "data: 0.5\n\n" },
    { "a leading blank", [[send " x"]], "data:  x\n\n" },
    { "lines by LF", [[send "a\nb"]], "data: a\ndata: b\n\n" },
    { "lines by CR", [[send "a\rb"]], "data: a\ndata: b\n\n" },
    { "lines by CRLF", [[send "a\r\nb"]], "data: a\ndata: b\n\n" },
    { "mixed line ends", [[send "a\n\rb\r\n\r\nc\r\r"]], "data: a\ndata: \ndata: b\ndata: \ndata: c\ndata: \ndata: \n\n" },
    { "a final line break", [[send "a\n"]], "data: a\ndata: \n\n" },
    { "NUL in data", [[send "a\0b"]], "data: a\0b\n\n" },
    { "bytes beyond ASCII as they are", [[send "\xff\xfeä"]], "data: \xff\xfeä\n\n" },
    { "what looks like a field", [[send "event: x"]], "data: event: x\n\n" },
    { "a table", [[send { event = "e", data = "d", id = 7, retry = 2.5, comment = "c" }]], ": c\nevent: e\nid: 7\nretry: 2500\ndata: d\n\n" },
    { "numbers in fields", [[send { event = 1, data = 2.0, id = 3.5, comment = 4 }]], ": 4\nevent: 1\nid: 3.5\ndata: 2\n\n" },
    { "json", [[send { json = { a = { 1, 2.5 } } }]], 'data: {"a":[1,2.5]}\n\n' },
    { "json false", [[send { json = false }]], "data: false\n\n" },
    { "json null", [[send { json = json.null }]], "data: null\n\n" },
    { "json with a line break in a string", [[send { json = "a\nb" }]], 'data: "a\\nb"\n\n' },
    { "only an id", [[send { id = "5" }]], "id: 5\n\n" },
    { "an empty id", [[send { id = "" }]], "id: \n\n" },
    { "only an event", [[send { event = "e" }]], "event: e\n\n" },
    { "only a comment", [[send { comment = "hi" }]], ": hi\n\n" },
    { "an empty comment", [[send { comment = "" }]], ":\n\n" },
    { "only a retry", [[send { retry = 1 }]], "retry: 1000\n\n" },
    { "retry 0", [[send { retry = 0 }]], "retry: 0\n\n" },
    { "retry in fractions, rounded to ms", [[send { retry = 0.0015 }]], "retry: 2\n\n" },
    { "a table with methods behind it", [[send(setmetatable({ data = "x" }, { __index = { id = "no" } }))]], "data: x\n\n" },
    { "a builder", [[send(sse.event("tick"):id(1):data("x"):retry(2.5):comment("c"))]], ": c\nevent: tick\nid: 1\nretry: 2500\ndata: x\n\n" },
    { "a builder without a name", [[send(sse.event():data(1.0))]], "data: 1\n\n" },
    { "a builder's event()", [[send(sse.event("a"):event("b"):data ""),]], "event: b\ndata: \n\n" },
    { "a builder's json_data", [[send(sse.event():json_data { 1, "x" })]], 'data: [1,"x"]\n\n' },
    { "the last data of a builder", [[send(sse.event():data("a"):json_data(1):data("b"))]], "data: b\n\n" },
    { "a builder sent twice", [[local e = sse.event():data(1) send(e) send(e:data(2)) send(e)]], "data: 1\n\ndata: 2\n\ndata: 2\n\n" },
    { "coroutine.yield", [[coroutine.yield { data = "x" } coroutine.yield "y"]], "data: x\n\ndata: y\n\n" },
  }
  for _, case in ipairs(cases) do
    it("has " .. case[1], function() assert.equal(case[3], (wire((case[2]:gsub(",$", ""))))) end)
  end

  it("is a builder's tostring", function()
    assert.equal("data: event: e\ndata: id: 1\ndata: data: a\ndata: data: b\ndata: \ndata: \n\n",
      (wire [[send(tostring(sse.event("e"):id(1):data "a\nb"))]]))
    assert.equal("data: \n\n", (wire [[send(tostring(sse.event()))]]))
  end)

  it("has a builder's texts whatever their length, and whichever came last", function()
    assert.equal("data: all\n\n", (wire [[
      for n = 0, 64 do
        for m = 0, 64 do
          local a, b = ("a"):rep(n), ("b"):rep(m)
          local e = sse.event(b):data(a):id(a):data(b):event(a):json_data(n):data(a):comment(b):retry(1)
          local expected = (m > 0 and ": " or ":") .. b .. "\nevent: " .. a .. "\nid: " .. a .. "\nretry: 1000\ndata: " .. a .. "\n\n"
          assert(sse.encode(e) == expected, n .. " " .. m)
        end
      end
      send "all"]]))
  end)

  it("has the last of many numbers that a builder was given", function()
    assert.equal("id: 1000\ndata: -1000\n\n", (wire [[
      local e = sse.event()
      for i = 1, 1000 do e:id(i):data(-i) end
      send(e)]]))
  end)

  it("is true from send, and from coroutine.yield", function()
    assert.equal("data: x\n\ndata: y\n\ndata: true true\n\n",
      (wire [[local a, b = send "x", coroutine.yield "y" send(tostring(a) .. " " .. tostring(b))]]))
  end)

  it("leaves the table that was sent as it was", function()
    assert.equal("data: 1\n\ndata: float\n\n", (wire [[local t = { data = 1.0 } send(t) send(math.type(t.data))]]))
  end)
end)

describe("a mistake in an event raises at the user's line", function()
  local cases = {
    { [[send { dat = 1 }]], "unknown event field 'dat'; did you mean 'data'?" },
    { [[send { evnt = 1 }]], "unknown event field 'evnt'; did you mean 'event'?" },
    { [[send { Id = 1 }]], "unknown event field 'Id'; did you mean 'id'?" },
    { [[send { retyr = 1 }]], "unknown event field 'retyr'; did you mean 'retry'?" },
    { [[send { commment = 1 }]], "unknown event field 'commment'; did you mean 'comment'?" },
    { [[send { jsn = 1 }]], "unknown event field 'jsn'; did you mean 'json'?" },
    { [[send { payload = 1 }]], "unknown event field 'payload': an event has event, data, json, id, retry and comment" },
    { [[send { 1, 2 }]], "expected an event, got a list; { json = list } is one, :map(fn) makes it" },
    { [[send { ["data\0x"] = 1 }]], "unknown event field 'data" },
    { [[send { [true] = 1 }]], "unknown event field 'true'" },
    { [[send { event = "a\nb" }]], "'event' must not contain a line break" },
    { [[send { id = "a\rb" }]], "'id' must not contain a line break" },
    { [[send { comment = "a\r\nb" }]], "'comment' must not contain a line break" },
    { [[send { event = "a\0b" }]], "'event' must not contain a NUL" },
    { [[send { id = "\0" }]], "'id' must not contain a NUL" },
    { [[send { comment = "\0" }]], "'comment' must not contain a NUL" },
    { [[send {}]], "the event is empty" },
    { [[send(sse.event())]], "the event is empty" },
    { [[send()]], "expected an event (a string, a number, a table of fields or sse.event()), got no value" },
    { [[send(nil)]], "expected an event (a string, a number, a table of fields or sse.event()), got nil" },
    { [[send(true)]], "expected an event (a string, a number, a table of fields or sse.event()), got boolean" },
    { [[send(send)]], "got function" },
    { [[coroutine.yield()]], "expected an event" },
    { [[coroutine.yield { dat = 1 }]], "did you mean 'data'?" },
    { [[return send { dat = 1 }]], "did you mean 'data'?" },
    { [[send { data = {} }]], "event field 'data': expected a string or a number, got table; use json for a table" },
    { [[send { data = true }]], "event field 'data': expected a string or a number, got boolean" },
    { [[send { id = false }]], "event field 'id': expected a string or a number, got boolean" },
    { [[send { data = "x", json = 1 }]], "an event has 'data' or 'json', not both" },
    { [[send { json = send }]], "function" },
    { [[local t = {} t[1] = t send { json = t }]], "nested deeper than" },
    { [[send { retry = "2" }]], "event field 'retry': expected seconds, 0 or more, got \"2\"" },
    { [[send { retry = -1 }]], "event field 'retry': expected seconds, 0 or more, got -1" },
    { [[send { retry = 0/0 }]], "event field 'retry': expected seconds" },
    { [[send { retry = 1/0 }]], "event field 'retry': expected seconds" },
    { [[sse.event("a\nb")]], "'event' must not contain a line break" },
    { [[sse.event({})]], "event field 'event': expected a string or a number, got table" },
    { [[sse.event():id("a\nb")]], "'id' must not contain a line break" },
    { [[sse.event():comment("a\nb")]], "'comment' must not contain a line break" },
    { [[sse.event():event("a\0b")]], "'event' must not contain a NUL" },
    { [[sse.event():data({})]], "event field 'data': expected a string or a number, got table; use json" },
    { [[sse.event():data()]], "event field 'data': expected a string or a number, got nil" },
    { [[sse.event():json_data()]], "json_data" },
    { [[sse.event():json_data(print)]], "function" },
    { [[sse.event():retry("x")]], "event field 'retry': expected seconds, 0 or more, got \"x\"" },
    { [[sse.event():retry()]], "event field 'retry': expected seconds" },
    { [[sse.event().data("x")]], "write event:data(...), with a colon" },
  }
  for _, case in ipairs(cases) do
    it(case[1]:gsub("%c", "."), function()
      local text = message(case[1])
      assert.truthy(text:find("6: ", 1, true) == 1, "no line of the user's: " .. text)
      assert.truthy(text:find(case[2], 1, true), text)
    end)
  end

  it("and leaves the stream as it was", function()
    local body = wire [[pcall(send, { id = "1", data = {} }) pcall(send, { event = "x\n" }) send "after"]]
    assert.equal("data: after\n\n", body)
  end)

  it("and leaves a builder as it was", function()
    assert.equal("id: 1\ndata: x\n\n", (wire [[local e = sse.event():id(1):data("x") pcall(e.id, e, "a\n") pcall(e.retry, e, -1) send(e)]]))
  end)
end)

describe("sse.encode", function()
  it("is the text that goes over the wire", function()
    assert.equal("event: a\ndata: {\"x\":1}\n\n", (wire [[assert(sse.encode { event = "a", json = { x = 1 } } == tostring(sse.event("a"):json_data { x = 1 })) send(sse.event("a"):json_data { x = 1 })]]))
    assert.equal("data: data: 42\ndata: \ndata: \n\n", (wire "send(sse.encode(42))"))
  end)

  it("says at the caller's line what is no event", function()
    assert.equal("6: 'event' must not contain a line break", message 'sse.encode { event = "a\\nb", data = "x" }')
    assert.equal("6: an event of 1008 bytes is larger than limits.event (1000)",
      message('sse.encode(("x"):rep(1000))', { settings = { limits = { event = 1000 } } }))
  end)
end)

describe("limits.event", function()
  local function with_limit(code, limit) return wire(code, { settings = { limits = { event = limit } } }) end

  it("counts the encoded bytes", function()
    assert.equal("data: 012345678901\n\n", (with_limit([[send "012345678901"]], 20)))
  end)

  it("refuses a larger event at the user's line, once and for all fields", function()
    local body, log = with_limit([[send "0123456789012"]], 20)
    assert.equal("", body)
    assert.truthy(log:find(":5: an event of 21 bytes is larger than limits.event (20)", 1, true), log)
    body, log = with_limit([[send { comment = "0123456", id = "0123456" }]], 20)
    assert.equal("", body)
    assert.truthy(log:find(":5: an event of 23 bytes is larger", 1, true), log)
  end)

  it("counts each line of the data", function()
    local _, log = with_limit([[send "\n\n\n"]], 20)
    assert.truthy(log:find(":5: an event of 29 bytes", 1, true), log)
  end)

  it("holds for a number too", function()
    local _, log = with_limit("send(123456789012345)", 20)
    assert.truthy(log:find(":5: an event of 23 bytes", 1, true), log)
  end)
end)

describe("a large event", function()
  it("may have very many lines", function()
    local body = wire [[send(("x\n"):rep(100000))]]
    assert.equal(("data: x\n"):rep(100000) .. "data: \n\n", body)
  end)
end)
