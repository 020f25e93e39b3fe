-- SPDX-License-Identifier: MIT
-- Each setting has an upper bound, and a server bears all of them at once.
local helper = require "spec.helper"

local COUNT, BYTES, INT_BYTES, SECONDS = 1000000000, 1 << 40, 1 << 30, 1e9
local MAX = {
  limits = {
    head = INT_BYTES, target = 1 << 20, fields = COUNT, body = BYTES, chunk_extensions = BYTES, requests = COUNT, connections = COUNT,
    connections_per_address = COUNT, send_buffer = INT_BYTES, upload = BYTES, parts = COUNT, spool = BYTES, query_pairs = COUNT, event = INT_BYTES,
    queue_high = BYTES, queue_low = BYTES, queue_events = COUNT, subscriber = BYTES, inbox = BYTES, lua_memory = BYTES, shared = BYTES,
    json_depth = 2000, tasks = COUNT, processes = COUNT, channels = COUNT, channel_bytes = BYTES, handshakes = COUNT, burst = SECONDS, turn = SECONDS,
    files = COUNT, file_window = INT_BYTES, file = BYTES, work = BYTES, hang = SECONDS,
    http_requests = COUNT, http_window = INT_BYTES, http_head = INT_BYTES, http_fields = COUNT, http_body = BYTES,
  },
  timeouts = { handshake = SECONDS, head = SECONDS, idle = SECONDS, body = SECONDS, body_total = SECONDS, send = SECONDS, start = SECONDS, kill = SECONDS,
    http_connect = SECONDS, http_idle = SECONDS },
  keep_alive = { interval = SECONDS },
  offload = { threads = 256, queue = COUNT, memory = BYTES, bytes = INT_BYTES, time = SECONDS },
  shutdown = { grace = SECONDS, window = SECONDS, retry = SECONDS },
  reload = { max_age = SECONDS, generations = COUNT },
}

-- The settings file of the documentation, which has all of them.
local function documented()
  local f <close> = assert(io.open("lua/README.md"))
  local text = f:read("a"):match("%-%- spate%.conf%.lua\n(return.-)\n```")
  return assert(load(text))()
end

local function refusal(settings)
  local ok, err = pcall(helper.serve, "\n", { settings = settings })
  if ok then err:close() end
  return not ok and tostring(err) or nil
end

describe("the largest settings", function()
  it("are of all that the documentation has", function()
    for group, settings in pairs(documented()) do
      for name, value in pairs(MAX[group] and settings or {}) do
        assert.equal("number", type(value))
        assert.truthy(MAX[group][name], group .. "." .. name)
      end
    end
  end)

  it("are taken, and no larger ones", function()
    for group, settings in pairs(MAX) do
      for name, max in pairs(settings) do
        local what = group .. "." .. name
        if name ~= "queue_low" and name ~= "burst" then assert.is_nil(refusal { [group] = { [name] = max } }, what) end
        for _, more in ipairs { max + 1, max * 2.0, math.maxinteger, math.huge } do
          local err = refusal { [group] = { [name] = more } }
          assert.truthy(err and err:find(what .. ": expected at most " .. math.tointeger(max), 1, true), err or what)
          assert.truthy(err:find("got " .. tostring(more), 1, true), err)
        end
        for _, wrong in ipairs { -1, 0 / 0, -math.huge, "1", {}, math.mininteger } do
          assert.truthy((refusal { [group] = { [name] = wrong } } or ""):find(what .. ": expected", 1, true), what)
        end
      end
    end
  end)

  it("serve, all at once", function()
    local server = helper.serve([[
app:get("/", function(req) return req.query.a end)
app:post("/", function(req) return json.encode(assert(req:json())) end)
app:post("/form", function(req) return (assert(req:form())).a end)
app:get("/deep", function() local t = {} for _ = 1, 3000 do t = { t } end return (pcall(json.encode, t)) and "encoded" or "refused" end)
app:get("/events", function() return sse.reply { ("x"):rep(1 << 20), 2 } end)
local channel = sse.channel("c", { history = 10 })
app:get("/channel", function() return sse.reply(channel:subscribe { replay = "all" }) end)
app:post("/channel", function(req) return channel:publish(req:body()) end)
]], { settings = MAX })
    assert.equal("1", (server:get("/?a=1&b=2"):body()))
    for _, deep in ipairs { ("["):rep(2000) .. ("]"):rep(2000), ('{"a":'):rep(1999) .. "[]" .. ("}"):rep(1999) } do
      assert.equal(deep, (server:post("/", { body = deep }):body()))
    end
    assert.equal(500, server:post("/", { body = ("["):rep(2001) .. ("]"):rep(2001) }):status())
    assert.equal("refused", (server:get("/deep"):body()))
    assert.equal("x", (server:post("/form", { body = "a=x&b=y", headers = { ["Content-Type"] = "application/x-www-form-urlencoded" } }):body()))
    assert.same({ ("x"):rep(1 << 20), "2" }, server:get("/events"):data())
    server:post("/channel", { body = "hello" })
    assert.same({ "hello" }, server:get("/channel"):data())
    assert.equal(200, server:get("/" .. "?a=" .. ("y"):rep((1 << 20) - 10)):status())
    server:close()
  end)
end)
