-- SPDX-License-Identifier: MIT
-- Every vector through the whole server, whole and in pieces: the outcome depends on the bytes alone.
local helper = require "spec.helper"
local responses_of = require "spec.responses"
local vectors = require "spec.vectors.http1"

local SEND_AT_ONCE = 8 << 10

-- Sends all bytes, as long as the server listens, in reads of at most `piece` bytes.
local function feed(server, client, bytes, piece)
  client:pieces(piece)
  for from = 1, #bytes, SEND_AT_ONCE do
    client:send(bytes:sub(from, from + SEND_AT_ONCE - 1))
    repeat local turns = server:turn() until turns < 1000
    if client:state() ~= "open" then return end
  end
end

local function is_closed(client) return client:state() == "ended" or client:state() == "closed" end

local function check(server, vector, piece)
  local client = server:connect()
  feed(server, client, vector.bytes, piece)
  local responses = responses_of(client:take(), vector.is_head)
  -- Where the body came with its head there is nothing to wait for (RFC 9110 10.1.1).
  if vector.status == 100 and piece > 1 and responses[1].status ~= 100 then
    table.insert(responses, 1, { status = 100, head = "", body = "" })
  end
  local final = vector.status == 100 and 2 or 1
  local statuses = {}
  for i, r in ipairs(responses) do statuses[i] = r.status end
  assert.same({ vector.status, vector.next }, statuses)
  if not vector.is_unread then assert.equal(vector.close or false, is_closed(client)) end
  if vector.body then assert.equal(vector.body, responses[final].body) end
  for i, r in ipairs(responses) do
    local says_close = r.head:find("\r\nConnection: close", 1, true) ~= nil
    local is_last = i == #responses
    if not vector.bytes:find "HTTP/1.0" then assert.equal(is_last and is_closed(client), says_close) end
  end
  client:finish()
  server:turn()
  assert.equal("closed", client:state())
end

-- The statuses of what comes back for `bytes` in two reads.
local function outcome(server, bytes, at)
  local client = server.core:connect() -- not kept by `server`: there are thousands
  client:send(bytes:sub(1, at))
  server:turn()
  if client:state() == "open" then client:send(bytes:sub(at + 1)) end
  server:turn()
  local list = { is_closed(client) }
  for status in client:take():gmatch "HTTP/1%.1 (%d%d%d) " do
    if status ~= "100" then list[#list + 1] = status end
  end
  client:reset()
  server:turn()
  return table.concat(list, " ", 2) .. (list[1] and " closed" or "")
end

describe("http1, split in two at each offset", function()
  it("has the outcome of the whole", function()
    local server = helper.serve(vectors.APP, { settings = { log = { access = false } } })
    local splits = 0
    for _, vector in ipairs(vectors) do
      if #vector.bytes <= 120 and not vector.is_unread then
        local whole = outcome(server, vector.bytes, #vector.bytes)
        for at = 1, #vector.bytes - 1 do
          splits = splits + 1
          local split = outcome(server, vector.bytes, at)
          if split ~= whole then error(("%s at %d: %s, not %s"):format(vector.name, at, split, whole)) end
        end
      end
      collectgarbage()
    end
    assert(splits > 10000, splits)
    server:close()
  end)
end)

for _, mode in ipairs { { "whole", math.maxinteger }, { "byte by byte", 1 }, { "in pieces of 7 bytes", 7 } } do
  describe("http1, " .. mode[1], function()
    local server
    setup(function() server = helper.serve(vectors.APP, { settings = { log = { access = false } } }) end)
    teardown(function() server:close() end)
    for _, vector in ipairs(vectors) do
      it(vector.name, function() check(server, vector, mode[2]) end)
    end
  end)
end

describe("what is refused", function()
  local function get(fields) return "GET / HTTP/1.1\r\nHost: a\r\n" .. fields .. "\r\n" end
  local function post(fields, body) return "POST / HTTP/1.1\r\nHost: a\r\n" .. fields .. "\r\n" .. (body or "") end
  local function chunked(body) return post("Transfer-Encoding: chunked\r\n", body) end
  local function line(text) return text .. "\r\nHost: a\r\n\r\n" end

  it("is told why", function()
    local server = helper.serve(vectors.APP, { settings = { log = { access = false } } })
    for bytes, expected in pairs {
      ["GET / HTTP/1.1\rX"] = { 400, "bad line end" }, ["\rX"] = { 400, "bad line end" }, [get "X: a\rb"] = { 400, "bad line end" }, ["\r\n\r\n\r\n"] = { 400, "empty lines before the request" },
      [line "G(T / HTTP/1.1"] = { 400, "bad method" }, [line((("X"):rep(25)) .. " / HTTP/1.1")] = { 501, "unknown method" },
      [line "GET ftp://a/ HTTP/1.1"] = { 400, "bad request target" }, [line "GET /\xff HTTP/1.1"] = { 400, "bad request target" }, [line "GET * HTTP/1.1"] = { 400, "bad request target" },
      [line("GET /" .. ("x"):rep(8 << 10) .. " HTTP/1.1")] = { 414, "request target too long" }, [line "GET / HTTP/1.x"] = { 400, "bad HTTP version" },
      [line "GET / HTTP/2.0"] = { 505, "unknown HTTP version" }, [line "TRACE / HTTP/1.1"] = { 405, "method not allowed" }, [get "X: 1\r\n folded\r\n"] = { 400, "folded field" },
      [get "X\xff: 1\r\n"] = { 400, "bad field name" }, [get "\xff: 1\r\n"] = { 400, "bad field name" }, [get "X: \0\r\n"] = { 400, "bad field value" }, [get(("X: 1\r\n"):rep(100))] = { 431, "too many fields" },
      [get("X: " .. ("x"):rep(16 << 10) .. "\r\n")] = { 431, "request head too large" }, [get "Host: a\r\n"] = { 400, "more than one Host" },
      ["GET / HTTP/1.1\r\n\r\n"] = { 400, "no Host" }, ["GET / HTTP/1.1\r\nHost: a b\r\n\r\n"] = { 400, "bad Host" },
      [line "GET http:///x HTTP/1.1"] = { 400, "bad authority in the request target" },
      ["POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"] = { 400, "Transfer-Encoding in HTTP/1.0" }, [post "Transfer-Encoding: gzip\r\n"] = { 501, "unknown transfer coding" },
      [get "Expect: x\r\n"] = { 417, "unknown expectation" }, [chunked "x\r\n"] = { 400, "bad chunk size" }, [chunked "\r\n"] = { 400, "bad chunk size" },
      [chunked "200000\r\n"] = { 413, "request body too large" }, [chunked "1\r\naX"] = { 400, "bad chunk" }, [chunked "1\r\na\rX"] = { 400, "bad chunk" }, [chunked "1\rX"] = { 400, "bad chunk" },
      [chunked "1;;\r\n"] = { 400, "bad chunk extension" }, [chunked("1;" .. ("x"):rep(17000) .. "\r\n")] = { 413, "chunk extensions too long" },
      [chunked("0\r\n" .. ("X: 1\r\n"):rep(101) .. "\r\n")] = { 431, "too many trailer fields" }, [chunked("0\r\nX: " .. ("x"):rep(16 << 10) .. "\r\n\r\n")] = { 431, "too many trailer fields" },
      [chunked "0\r\nContent-Length: 1\r\n\r\n"] = { 400, "length in a trailer field" },
    } do
      local res = server:send(bytes)
      local what = bytes:sub(1, 60)
      assert.equal(expected[1], res:status(), what)
      assert.equal(expected[2] .. "\n", (res:body()), what)
      res:close()
    end
    server:close()
  end)
end)
