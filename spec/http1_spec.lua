-- SPDX-License-Identifier: MIT
-- Every vector through the whole server, whole and in pieces: the outcome depends on the bytes alone.
local helper = require "spec.helper"
local vectors = require "spec.vectors.http1"

local APP = [[
app:get("/", function(req) return reply.text "here" end)
app:post("/", function(req)
  local body, err = req:body()
  if not body then return reply.error(500, err) end
  return reply.text(body)
end)
]]

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

-- The responses in `bytes` as { status, head, body }; fails on anything that is no response.
local function responses_of(bytes, is_head)
  local list, at = {}, 1
  while at <= #bytes do
    local head, from = bytes:match("^(HTTP/1%.1 %d%d%d.-\r\n)\r\n()", at)
    assert(head, "no response: " .. bytes:sub(at, at + 80))
    local status, length = tonumber(head:sub(10, 12)), tonumber(head:match("\r\nContent%-Length: (%d+)\r\n"))
    local is_bare = status == 100 or status == 204
    assert.equal(is_bare, length == nil)
    if is_bare or is_head then length = 0 end
    assert(#bytes >= from + length - 1, "the body is cut")
    list[#list + 1] = { status = status, head = head, body = bytes:sub(from, from + length - 1) }
    at = from + length
  end
  return list
end

local function is_closed(client) return client:state() == "ended" or client:state() == "closed" end

local function check(server, vector, piece)
  local client = server:connect()
  feed(server, client, vector.bytes, piece)
  local responses = responses_of(client:take(), vector.bytes:find "^HEAD ")
  -- Where the body came with its head there is nothing to wait for (RFC 9110 10.1.1).
  if vector.status == 100 and piece > 1 and responses[1].status ~= 100 then
    table.insert(responses, 1, { status = 100, head = "", body = "" })
  end
  local final = vector.status == 100 and 2 or 1
  local statuses = {}
  for i, r in ipairs(responses) do statuses[i] = r.status end
  assert.same({ vector.status, vector.next }, statuses)
  -- A body that the handler did not ask for and that is still on its way ends the connection.
  local is_unread = vector.bytes:find "^GET [^\r\n]+\r\nHost: a\r\nContent%-Length"
  if not is_unread then assert.equal(vector.close or false, is_closed(client)) end
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

for _, mode in ipairs { { "whole", math.maxinteger }, { "byte by byte", 1 }, { "in pieces of 7 bytes", 7 } } do
  describe("http1, " .. mode[1], function()
    local server
    setup(function() server = helper.serve(APP, { settings = { log = { access = false } } }) end)
    teardown(function() server:close() end)
    for _, vector in ipairs(vectors) do
      it(vector.name, function() check(server, vector, mode[2]) end)
    end
  end)
end
