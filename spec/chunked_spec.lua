-- SPDX-License-Identifier: MIT
-- A body in chunks, byte for byte: what the application has of it, where it ends, which is none and what its client is told.
local helper = require "spec.helper"

local MOST, EXTENSIONS = 1000, 16 << 10
local NAME, VALUE = "!#$%%&'*+%-.^_`|~0-9A-Za-z", "\t -~\x80-\xff"

local server

-- The status line and the body of what comes back for a body that arrives `piece` bytes at a time; whether the connection is open.
local function answer(body, piece, head)
  local client = server.core:connect()
  if piece then client:pieces(piece) end
  client:send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" .. (head or "") .. "\r\n" .. body)
  repeat local turns = server:turn() until turns < 1000
  local raw, state = client:take(), client:state()
  client:reset()
  server:turn()
  local status, text = raw:match "^HTTP/1%.1 ([^\r]*)\r\n.-\r\n\r\n(.*)$"
  return status, text, state == "open"
end

local function is(char, class) return char:find("^[" .. class .. "]$") ~= nil end

describe("a body in chunks", function()
  setup(function()
    server = helper.serve([[
      app:post("/", function(req)
        local body, err = req:body()
        return body and "<" .. body .. ">" or reply.error(500, err)
      end)
      app:post("/late", function(req) sse.sleep(1) return tostring(#req:body()) end)
    ]], { settings = { log = { access = false }, limits = { body = MOST } } })
  end)
  teardown(function() server:close() end)

  it("that is none has its client told why", function()
    for body, expected in pairs {
      ["x\r\n"] = { "400 Bad Request", "bad chunk size" }, ["\r\n"] = { "400 Bad Request", "bad chunk size" }, [";a\r\n"] = { "400 Bad Request", "bad chunk size" }, [" 1\r\n"] = { "400 Bad Request", "bad chunk size" },
      ["1 \r\n"] = { "400 Bad Request", "bad chunk size" }, ["1\n"] = { "400 Bad Request", "bad chunk size" }, ["1\r\na\r\n\r\n"] = { "400 Bad Request", "bad chunk size" }, ["1\r\na\r\n;a\r\n"] = { "400 Bad Request", "bad chunk size" }, ["00000000000000001"] = { "400 Bad Request", "bad chunk size" }, ["-1\r\n"] = { "400 Bad Request", "bad chunk size" },
      ["1\r\naX"] = { "400 Bad Request", "bad chunk" }, ["1\r\na\rX"] = { "400 Bad Request", "bad chunk" }, ["1\rX"] = { "400 Bad Request", "bad chunk" }, ["0\rX"] = { "400 Bad Request", "bad chunk" },
      ["1;a\rX"] = { "400 Bad Request", "bad chunk" }, ["1\r\na\n"] = { "400 Bad Request", "bad chunk" }, ["1;;\r\n"] = { "400 Bad Request", "bad chunk extension" }, ["1;\r\n"] = { "400 Bad Request", "bad chunk extension" },
      ["3e9\r\n"] = { "413 Content Too Large", "request body too large" }, ["1\r\na\r\n3e8\r\n"] = { "413 Content Too Large", "request body too large" }, ["ffffffffffffffff\r\n"] = { "413 Content Too Large", "request body too large" },
      ["3e8\r\n" .. ("x"):rep(1000) .. "\r\n1\r\n"] = { "413 Content Too Large", "request body too large" }, ["1;" .. ("x"):rep(EXTENSIONS + 1)] = { "413 Content Too Large", "chunk extensions too long" },
      ["0\r\n" .. ("X: 1\r\n"):rep(101)] = { "431 Request Header Fields Too Large", "too many trailer fields" }, ["0\r\nX: " .. ("x"):rep(16 << 10)] = { "431 Request Header Fields Too Large", "too many trailer fields" },
      ["0\r\nContent-Length: 1\r\n\r\n"] = { "400 Bad Request", "length in a trailer field" }, ["0\r\nX: 1\r\ntransfer-encoding:\r\nY: 1\r\n\r\n"] = { "400 Bad Request", "length in a trailer field" },
      ["0\r\nX\r\n"] = { "400 Bad Request", "bad field name" }, ["0\r\n X: 1\r\n"] = { "400 Bad Request", "folded field" }, ["0\r\n\rX"] = { "400 Bad Request", "bad line end" },
    } do
      for _, piece in ipairs { math.maxinteger, 1, 3 } do
        assert.same({ expected[1], expected[2] .. "\n", false }, { answer(body, piece) }, ("%q in pieces of %d"):format(body:sub(1, 60), piece))
      end
    end
  end)

  it("is what its chunks hold together", function()
    local digits = {}
    for size = 1, 300 do digits[size] = ("%s%x\r\n%s\r\n"):format(("0"):rep(size % 5), size, ("y"):rep(size)) end
    for body, expected in pairs {
      ["0\r\n\r\n"] = "", ["000\r\n\r\n"] = "", ["1\r\na\r\n0\r\n\r\n"] = "a", ["a\r\n0123456789\r\nA\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"] = "0123456789\r\n\r\n\r\n\r\n\r\n", ["3\r\n0\r\n\r\n0\r\n\r\n"] = "0\r\n", ["0000000000000001\r\na\r\n0000000000000001\r\nb\r\n0000000000000000\r\n\r\n"] = "ab",
      ["0000000000000001\r\na\r\n0;x\r\nX: 1\r\n\r\n"] = "a", ["3e8\r\n" .. ("z"):rep(1000) .. "\r\n0\r\n\r\n"] = ("z"):rep(1000), ["1f4\r\n" .. ("z"):rep(500) .. "\r\n1f4\r\n" .. ("z"):rep(500) .. "\r\n00\r\n\r\n"] = ("z"):rep(1000),
      ["1;" .. ("x"):rep(EXTENSIONS - 1) .. "\r\na\r\n0\r\n\r\n"] = "a", ["1;" .. ("x"):rep(EXTENSIONS) .. "\r\na\r\n0\r\n\r\n"] = "a",
    } do
      for _, piece in ipairs { math.maxinteger, 1, 7 } do
        assert.same({ "200 OK", "<" .. expected .. ">", true }, { answer(body, piece) }, body:sub(1, 60))
      end
    end
    for size = 1, 300 do assert.same({ "200 OK", "<" .. ("y"):rep(size) .. ">", true }, { answer(digits[size] .. "0\r\n\r\n") }, size) end
  end)

  it("has extensions, all of them together within the limit", function()
    local half = (EXTENSIONS - 4) // 2 -- ';' at both
    local function with(extra) return ("1;%s\r\na\r\n1;%s\r\nb\r\n0\r\n\r\n"):format(("x"):rep(half), ("x"):rep(half + extra)) end
    assert.same({ "200 OK", "<ab>", true }, { answer(with(4)) })
    assert.same({ "413 Content Too Large", "chunk extensions too long\n", false }, { answer(with(5)) })
  end)

  it("has each byte where it may stand, and nowhere else", function()
    local function outcome(body) return (answer(body) or "waits"):match "^%S+" end
    for byte = 0, 255 do
      local c = string.char(byte)
      local function check(is_allowed, format)
        assert.equal(is_allowed and "200" or "400", outcome((format:gsub("@", function() return c end))), ("%d in %s"):format(byte, format))
      end
      local LAST = "\r\na\r\n0\r\n\r\n"
      if not is(c, "%x\r") then check(c == ";", "1@a" .. LAST) end
      check(is(c, NAME .. "\t "), "1;@a" .. LAST)
      check(is(c, NAME .. ";="), "1;a@b" .. LAST)
      check(is(c, NAME .. ";"), "1;a=b@c" .. LAST)
      check(is(c, NAME .. "\t "), "1;a=@b" .. LAST)
      check(is(c, "\t "), "1;a @;b" .. LAST)
      check(is(c, "\t "), "1;a @=b" .. LAST)
      check(is(c, ";="), "1;a @b" .. LAST)
      check(is(c, "\t "), "1;a=b @;c" .. LAST)
      check(is(c, ";"), "1;a=b @c" .. LAST)
      check(is(c, VALUE) and c ~= '"', '1;a="b@c"' .. LAST)
      check(is(c, VALUE), '1;a="b\\@c"' .. LAST)
      check(is(c, ";"), '1;a="b"@c' .. LAST)
      check(is(c, "\r"), '1;a="b"@\n' .. LAST:sub(3))
      check(is(c, "\t "), '1;a="b"@;c' .. LAST)
      if c ~= "\r" then check(false, "1\r\na@\n0\r\n\r\n") end
      if c ~= "\n" then check(false, "1\r\na\r@0\r\n\r\n") check(false, "1\r@a" .. LAST) end
    end
  end)

  it("may be announced longer than it may be, and is refused as soon as that is known", function()
    local function asked(bytes)
      local client = server.core:connect()
      client:send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n" .. bytes)
      server:turn()
      local statuses = {}
      for status in client:take():gmatch "HTTP/1%.1 (%d+)" do statuses[#statuses + 1] = status end
      client:reset()
      server:turn()
      return table.concat(statuses, " ")
    end
    assert.equal("100", asked "")
    assert.equal("413", asked("3e9\r\n"):match "%d+$")
    assert.not_equal("413", asked("3e8\r\n"):match "%d+$")
  end)

  it("has what came before it was asked for count", function()
    for before, after in pairs { [600] = 400, [999] = 1, [1000] = 0, [1] = 999 } do
      for extra = 0, 1 do
        local client = server.core:connect()
        client:send(("POST /late HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n"):format(before, ("x"):rep(before)))
        server:turn()
        server:advance(2)
        client:send(("%x\r\n%s"):format(after + extra, ("x"):rep(after + extra)) .. (after + extra > 0 and "\r\n0" or "") .. "\r\n\r\n")
        repeat local turns = server:turn() until turns < 1000
        assert.equal(extra == 0 and "200" or "413", client:take():match "HTTP/1%.1 (%d+)", before)
        client:reset()
        server:turn()
      end
    end
  end)
end)
