-- SPDX-License-Identifier: MIT
-- Random schedules: clients of two workers join, come back, fall behind, have comments and events of their own between, and
-- leave; whatever they do, each decodes what was published, to the closing sum. GZIP_SEEDS says how many, GZIP_SEED which.
local channels = require "spec.channels"
local gunzip = require "spec.gunzip"
local helper = require "spec.helper"

local SEEDS, ONE = tonumber(os.getenv "GZIP_SEEDS") or 4, tonumber(os.getenv "GZIP_SEED")
local STEPS = 150
local NAMES = { "conflates", "drops", "cuts" }

local APP = channels.APP .. [[
options = {
  conflates = { queue = 3, on_full = "conflate", history = 20 }, drops = { queue = 4, on_full = "drop_oldest", history = 40 },
  cuts = { history = 60 },
}
app:get("/at/:name", function(req)
  local channel = sse.channel(req.params.name, options[req.params.name])
  if req.query.own then
    return sse.reply(channel:snapshot(function() return { event = "own", data = ("own "):rep(tonumber(req.query.own)) } end), { compress = true })
  end
  local sub = channel:subscribe { after = req.last_event_id, replay = tonumber(req.query.replay) }
  if req.query.mapped then sub = sub:map(function(event) return event end) end
  return sse.reply(sub, { compress = true })
end)
app:post("/publish/:name", function(req)
  local channel = sse.channel(req.params.name, options[req.params.name])
  for text in req:body():gmatch "[^\1]+" do assert(channel:publish { event = req.query.key, data = text }) end
  return "ok"
end)
app:post("/finish/:name", function(req) sse.channel(req.params.name, options[req.params.name]):finish() return "ok" end)
]]

local WORDS = { "<tr>", "<td>", "</td>", "price", "4711", "row ", "0.25", "a cell of the table", "\n", "x" }

local function text_of(random, len)
  local parts, n = {}, 0
  local noise = random(8) == 1
  while n < len do
    local part = noise and string.char(random(33, 126)) or WORDS[random(#WORDS)]
    parts[#parts + 1], n = part, n + #part
  end
  return table.concat(parts)
end

local function length(random)
  local kind = random(40)
  if kind == 1 then return random(20000, 90000) end
  return kind < 12 and random(2000) or kind < 20 and 1 or random(40, 700)
end

-- A world of one seed.
local World = {}
World.__index = World

local function new_world(seed)
  local state = seed * 7919 + 1
  local function random(low, high)
    state = (state * 6364136223846793005 + 1442695040888963407)
    if not high then low, high = 1, low end
    return low + (state >> 33) % (high - low + 1)
  end
  local quiet = { log = { access = false } }
  local one = helper.serve(APP, { settings = quiet })
  local two = helper.serve(APP, { with = one.core, worker = 1, settings = quiet })
  local world = setmetatable({ random = random, servers = { one, two }, clients = {}, logs = {}, references = {}, newest = {} }, World)
  for _, name in ipairs(NAMES) do
    world.references[name], world.logs[name] = one:get("/at/" .. name), {}
    world.references[name].blocks = 0
  end
  return world
end

function World:turn()
  for _ = 1, 3 do
    for _, server in ipairs(self.servers) do server:turn() end
  end
end

-- What a client that misses nothing got in plain words: by id.
function World:note(name)
  local reference, log = self.references[name], self.logs[name]
  local text = reference:body()
  for block, to in text:sub(reference.blocks + 1):gmatch "(.-\n\n)()" do
    local id = block:match "id: ([^\n]+)\n"
    if id then
      log[#log + 1] = id
      log[id] = { block = block, at = #log }
    end
    self.to = to
  end
  reference.blocks = #text
end

function World:publish()
  local name, texts = NAMES[self.random(#NAMES)], {}
  for i = 1, self.random(5) == 1 and self.random(12) or 1 do texts[i] = text_of(self.random, length(self.random)) end
  local server = self.servers[self.random(2)]
  server:post(("/publish/%s?key=k%d"):format(name, self.random(3)), { body = table.concat(texts, "\1") })
  self:turn()
  self:note(name)
end

function World:join()
  local random = self.random
  local name = NAMES[random(#NAMES)]
  local server, log = self.servers[random(2)], self.logs[name]
  local how, after = random(8), nil
  local target = "/at/" .. name
  if how == 1 then target = target .. "?own=" .. random(400)
  elseif how == 2 and #log > 0 then after = log[math.max(1, #log - random(0, 25))]
  elseif how == 3 then target = target .. "?replay=" .. random(30)
  elseif how == 4 then target = target .. "?mapped=1" end
  local client, is_whole = server:connect(), how ~= 4 -- what Lua reads may be conflated before it does
  if random(6) == 1 then client, is_whole = client:step(random(3000)), false end
  if random(6) == 1 then client, is_whole = client:late(), false end
  local res = server:get(target, { headers = { ["Accept-Encoding"] = "gzip", ["Last-Event-ID"] = after }, client = client })
  local one = { body = gunzip(res), res = res, client = client, name = name, checked = 0, last = 0, is_whole = is_whole }
  self.clients[#self.clients + 1] = one
end

function World:pick() return self.clients[self.random(math.max(#self.clients, 1))] end

-- So many more bytes are taken of its connection.
local function window(client, bytes)
  local raw = client.is_http2 and client.raw or client
  raw:window(bytes)
end

-- Takes no more, a little, or all.
function World:slow()
  local one = self:pick()
  if not one then return end
  one.is_whole, one.is_slow = false, true
  local how = self.random(3)
  window(one.client, how == 1 and 0 or how == 2 and self.random(4000) or nil)
  if how == 3 then one.is_slow = false end
end

function World:leave()
  local at = self.random(math.max(#self.clients, 1))
  local one = table.remove(self.clients, at)
  if one then one.client:leave() end
end

function World:wait()
  for _, server in ipairs(self.servers) do server:advance(self.random(4) == 1 and 70 or self.random(20)) end
end

-- Each whole event that has come is one that was published, later than the one before; all of them where the client has taken
-- what there was.
function World:check_client(one)
  local text, log = one.body:read(), self.logs[one.name]
  for block, to in text:sub(one.checked + 1):gmatch "(.-\n\n)()" do
    local id = block:match "^event: k%d\nid: ([^\n]+)\n" or block:match "^id: ([^\n]+)\n"
    if id then
      local known = assert(log[id], "no such event: " .. id)
      assert(known.block == block, "another event than that of this id")
      assert(known.at > one.last, "an event twice")
      assert(not one.is_whole or one.last == 0 or known.at == one.last + 1, "an event is missing")
      one.last = known.at
    else assert(block:find "^:" or block:find "^event: own\n" or block:find "^event: reset\n" or block:find "^retry:", "what is " .. block) end
    one.to = to
  end
  one.checked = one.checked + (one.to and one.to - 1 or 0)
  one.to = nil
  if one.is_whole and one.client:state() == "open" and one.last > 0 then
    assert(one.last == #log and one.checked == #text, "an event waits for the next")
  end
end

function World:check()
  self:turn()
  for _, name in ipairs(NAMES) do self:note(name) end
  for _, one in ipairs(self.clients) do self:check_client(one) end
end

function World:finish()
  for _, one in ipairs(self.clients) do
    window(one.client, nil)
    one.is_slow = false
  end
  self:turn()
  for _, name in ipairs(NAMES) do self.servers[1]:post("/finish/" .. name) end
  self:turn()
  for _, one in ipairs(self.clients) do
    self:check_client(one)
    local state = one.client:state()
    assert(state == "reset" or state == "closed" or one.body:has_ended(), "no end, or a wrong sum")
    if state ~= "reset" and one.body:has_ended() then self.ended = (self.ended or 0) + 1 end
  end
end

local ACTIONS = {
  { 50, "publish" }, { 12, "join" }, { 12, "slow" }, { 4, "leave" }, { 6, "wait" },
}

local function run(seed)
  local world = new_world(seed)
  local _ <close> = setmetatable({}, { __close = function()
    for i = 2, 1, -1 do pcall(world.servers[i].close, world.servers[i]) end
  end })
  for step = 1, STEPS do
    local n, action = world.random(84), nil
    for _, one in ipairs(ACTIONS) do
      action, n = one[2], n - one[1]
      if n <= 0 then break end
    end
    local ok, why = pcall(function()
      world[action](world)
      world:check()
    end)
    if not ok then error(("seed %d, step %d (%s): %s"):format(seed, step, action, why), 0) end
  end
  local ok, why = pcall(world.finish, world)
  if not ok then error(("seed %d, at the end: %s"):format(seed, why), 0) end
  local metrics = channels.run(world.servers[1], "local s = spate.stats() return json.encode(s)")
  return world.ended, helper.json.decode(metrics)
end

describe("compressed streams", function()
  after_each(function() helper.http = 1 end)

  local function check(http)
    helper.http = http
    local ended, bytes_in, bytes_out = 0, 0, 0
    for seed = ONE or 1, ONE or SEEDS do
      local n, stats = run(seed)
      ended = ended + n
      bytes_in, bytes_out = bytes_in + stats.compressed_bytes_in_total, bytes_out + stats.compressed_bytes_out_total
    end
    assert.is_true(ended > (ONE and 0 or SEEDS * 3), ended) -- else nothing was shown
    assert.is_true(bytes_in > 2 * bytes_out, bytes_in / bytes_out)
  end

  it("hold what was published, in whatever order things happen", function() check(1) end)

  local with_http2 = helper.harness.hpack and it or pending
  with_http2("do so over HTTP/2", function() check(2) end)
end)
