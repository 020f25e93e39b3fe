-- SPDX-License-Identifier: MIT
-- Every vector of requests to the real program over TCP, whole and byte by byte, many connections at a time: what the
-- server makes of the bytes is what it makes of them in memory.
local process = require "spec.process"
local responses_of = require "spec.responses"
local socket = require "socket"
local vectors = require "spec.vectors.http1"

local AT_ONCE = 100           -- connections
local BYTES_ONE_BY_ONE = 1000 -- of a vector; the rest follows in pieces
local PIECE = 64 << 10
local PROBE = "GET / HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"

-- The connections of a list of vectors, driven together: each sends its next bytes whenever all others have.
local Dialogue = {}
Dialogue.__index = Dialogue

local function open(server, vector, by_byte)
  local client = server:connect()
  client:setoption("tcp-nodelay", true)
  client:settimeout(0)
  return setmetatable({ client = client, vector = vector, by_byte = by_byte, sent = 0, received = {} }, Dialogue)
end

function Dialogue:receive()
  local bytes, err, rest = self.client:receive(PIECE)
  self.received[#self.received + 1] = bytes or rest
  if err and err ~= "timeout" then self.ended = true end
  return (bytes or rest) ~= ""
end

-- Sends on; the server may have closed in the middle, which is no error. False once all is sent.
function Dialogue:send()
  local bytes = self.vector.bytes
  if self.sent >= #bytes or self.ended then return false end
  local last = self.by_byte and self.sent < BYTES_ONE_BY_ONE and self.sent + 1 or math.min(#bytes, self.sent + PIECE)
  local sent, err, partial = self.client:send(bytes, self.sent + 1, last)
  self.sent = sent or partial
  if err and err ~= "timeout" then self.ended, self.sent = self.ended or err ~= "closed", #bytes end
  return true
end

function Dialogue:text() return table.concat(self.received) end

local function statuses_of(text, is_head)
  local ok, list = pcall(responses_of, text, is_head)
  if not ok then return nil, list end
  local statuses = {}
  for i, response in ipairs(list) do statuses[i] = response.status end
  return statuses, list
end

-- A 100 need not come where the body came with its head (RFC 9110 10.1.1), and whether it did is up to the network.
local function without_100(statuses)
  return statuses[1] == 100 and table.move(statuses, 2, #statuses + 1, 1, {}) or statuses
end

local function expected(vector)
  local list = vector.status == 100 and { vector.next } or { vector.status, vector.next }
  return list
end

function Dialogue:has_answer()
  local statuses = statuses_of(self:text(), self.vector.is_head)
  return statuses and #without_100(statuses) >= #expected(self.vector)
end

-- The answers are those of the vector, and the connection is closed, or carries another request.
function Dialogue:check()
  local v = self.vector
  local statuses, list = statuses_of(self:text(), v.is_head)
  assert(statuses, ("%s: %s"):format(v.name, list))
  assert.same(expected(v), without_100(statuses), v.name)
  if v.body then assert.equal(v.body, list[statuses[1] == 100 and 2 or 1].body, v.name) end
  self.client:settimeout(process.SECONDS)
  if v.close then
    local rest, err, partial = self.client:receive("*a")
    assert.equal("", rest or partial, v.name)
    assert(err ~= "timeout", v.name)
  elseif not v.is_unread then
    assert(self.client:send(PROBE), v.name)
    local bytes = self.client:receive("*a")
    assert(bytes and bytes:find "^HTTP/1%.1 200 OK.*here$", v.name .. ": the connection is of no use any more")
  end
  self.client:close()
end

local function wait_for_answers(dialogues)
  local deadline = socket.gettime() + process.SECONDS
  for _, d in ipairs(dialogues) do
    while not d:has_answer() and not d.ended and socket.gettime() < deadline do
      socket.select({ d.client }, nil, 1)
      d:receive()
    end
  end
end

local function run(server, from, to, by_byte)
  local dialogues = {}
  for i = from, to do dialogues[#dialogues + 1] = open(server, vectors[i], by_byte) end
  local more = true
  while more do
    more = false
    for _, d in ipairs(dialogues) do more = d:send() or more end
    if not by_byte then for _, d in ipairs(dialogues) do d:receive() end end
  end
  wait_for_answers(dialogues)
  for _, d in ipairs(dialogues) do d:check() end
end

describe("the program answers every vector", function()
  for name, by_byte in pairs { whole = false, ["byte by byte"] = true } do
    it(name, function()
      process.enter()
      finally(process.leave)
      local server = process.serve(vectors.APP, { settings = "{ log = { access = false }, limits = { turn = 10 } }" })
      local descriptors = server:descriptors_at_rest()
      for from = 1, #vectors, AT_ONCE do run(server, from, math.min(#vectors, from + AT_ONCE - 1), by_byte) end
      process.eventually("the connections to end", function() return server:descriptors() <= descriptors end)
      server:stop()
      assert.equal("", server:stderr():gsub("[^\n]* info  [^\n]*\n", ""))
    end)
  end
end)
