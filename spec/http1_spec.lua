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
