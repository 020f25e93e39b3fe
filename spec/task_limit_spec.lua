-- SPDX-License-Identifier: MIT
-- limits.tasks reached at every place in turn: the n-th task cannot start, for every n that a scenario comes to.
-- Whatever it breaks is told; nothing is left over, no stream stays open with nothing to come, and the next request is
-- answered as ever.
local helper = require "spec.helper"

local APP = [[
local news = sse.channel("news", { history = 20 })
local upper = news:derive(function(ev) return { data = ev.data:upper() } end)
local function ticks() return sse.interval(1):map(function(n) return "tick " .. n end) end
app:get("/plain", function()
  for _ = 1, 2 do collectgarbage() end -- the second for what finalizers have let go of
  return "fine"
end)
app:post("/news", function(req) return { id = news:publish(req:body()) } end)
app:get("/merge", function() return sse.reply(sse.merge(ticks():take(3), sse.from { "a", "b" }, sse.once "c")) end)
app:get("/merge/news", function() return sse.reply(sse.merge(news:subscribe(), sse.never())) end)
app:get("/merge/deep", function() return sse.reply(sse.merge(sse.merge(news:subscribe(), sse.once "a"), sse.merge(sse.once "b", upper:subscribe()))) end)
app:get("/merge/again", function() return sse.reply(function(send)
  local merged <close> = sse.merge(sse.from { "a", "b" }, sse.once "c")
  local next, values = merged:each(), {}
  for _ = 1, 6 do
    local ok, value = pcall(next)
    if ok then values[#values + 1] = value end
  end
  send("got " .. #values)
end) end)
app:get("/timed", function() return sse.reply(sse.merge(news:subscribe():timeout(200), ticks():debounce(0.5):take(2), ticks():batch(2, 5):map(json.encode):take(2))) end)
app:get("/function", function(req)
  req:on_close(function(reason) spate.log.info("closed " .. reason) end)
  return sse.reply(function(send) for i = 1, 3 do send(i) sse.sleep(1) end end)
end)
app:get("/raw", function() return reply.stream(function(write) for i = 1, 3 do write(i) sse.sleep(1) end end) end)
app:get("/on_close", function(req)
  req:on_close(function() sse.spawn(sse.sleep, 1):join() spate.log.info "first" end)
  req:on_close(function() sse.sleep(1) spate.log.info "second" end)
  return "x"
end)
app:get("/every", function()
  local every <close> = setmetatable({ task = sse.every(1, function() end) }, { __close = function(self) self.task:cancel() end })
  local other = sse.spawn(function() return sse.spawn(function() sse.sleep(1) return "inner" end):join() end)
  return (other:join())
end)
app:get("/wrap", function() return sse.reply(function(send)
  for v in sse.wrap(function() local t = sse.spawn(sse.sleep, 1) t:join() coroutine.yield "a" coroutine.yield "b" end) do send(v) end
end) end)
app:get("/upper", function() return sse.reply(upper:subscribe { replay = 5 }) end)
app:get("/upper/mapped", function() return sse.reply(upper:subscribe():map(function(ev) return ev.data .. "!" end)) end)
app:get("/news", function(req) return sse.reply(news:subscribe { after = req.last_event_id, replay = 5 }) end)
app:get("/news/mapped", function() return sse.reply(news:subscribe():map(function(ev) return ev.data end):start_with "first") end)
app:get("/shot", function() return sse.reply(news:snapshot(function() sse.spawn(sse.sleep, 0.1):join() return "all" end)) end)
app:get("/room", function(req)
  local room = sse.channel "room"
  return sse.reply(function(send)
    local feed <close> = room:subscribe()
    local _me <close> = room:join(req.query.user)
    for event in feed:each() do send(event) end
  end)
end)
app:get("/answers", function(req)
  return sse.reply(sse.resumable("answer", function(send)
    for i = 1, 3 do sse.spawn(sse.sleep, 0.2):join() send("w" .. i) end
  end, { after = req.last_event_id, linger = 1, ttl = 1 }))
end)
app:post("/form", function(req)
  local n = 0
  local form = assert(req:form())
  for _ in pairs(form) do n = n + 1 end
  return { parts = n }
end)
app:on_stop(function() sse.spawn(sse.sleep, 0.1):join() spate.log.info "stopped" end)
]]

local FORM = table.concat({ "--b", 'Content-Disposition: form-data; name="a"', "", "1", "--b",
  'Content-Disposition: form-data; name="f"; filename="f.txt"', "", "text", "--b--", "" }, "\r\n")

local function get(target) return function(server) server:get(target) end end

local SCENARIOS = {
  form = function(server) server:post("/form", { body = FORM, headers = { ["Content-Type"] = "multipart/form-data; boundary=b" } }) end,
  ["news and derived"] = function(server)
    for _, target in ipairs { "/news", "/upper", "/upper/mapped", "/news/mapped" } do server:get(target) end
    server:post("/news", { body = "one" })
  end,
  ["a room"] = function(server)
    server:get "/room?user=ann"
    server:get "/room?user=bob"
  end,
  ["a resumable stream, twice"] = function(server)
    server:get "/answers"
    server:advance(0.3)
    server:get "/answers"
  end,
  ["a reload"] = function(server)
    server:get "/upper"
    server:get "/merge/news"
    server:get "/function"
    assert(server:reload(APP))
    server:get "/upper"
  end,
}
for _, target in ipairs { "/merge", "/merge/news", "/merge/deep", "/merge/again", "/timed", "/function", "/raw", "/on_close", "/every", "/wrap",
  "/upper", "/upper/mapped", "/shot" } do
  SCENARIOS[target] = get(target)
end

local names = {}
for name in pairs(SCENARIOS) do names[#names + 1] = name end
table.sort(names)

local BY_ITSELF = 100 -- seconds after which what a scenario began has ended, or waits for events

describe("the task that is one too many", function()
  local server, events_before, before

  local function settle()
    for _, client in ipairs(server.clients) do client:finish() end
    server.clients = {}
    server:advance(BY_ITSELF)
  end

  -- The responses to what a scenario asks for.
  local function run(scenario)
    local list, send = {}, server.send
    server.send = function(self, ...)
      local res = send(self, ...)
      list[#list + 1] = res
      return res
    end
    scenario(server)
    server.send = send
    server:advance(BY_ITSELF)
    return list
  end

  -- An event for each stream that waits for one: those that get none are left with nothing to come.
  local function check_alive(n, responses)
    local open = {}
    for i, res in ipairs(responses) do
      if not res:has_ended() and res.client:state() == "open" then open[i] = #res:events() end
    end
    server:post("/news", { body = "probe" }):close()
    server:get("/room?user=probe"):close()
    server:advance(3)
    for i, count in pairs(open) do
      local res = responses[i]
      assert(res:has_ended() or res.client:state() ~= "open" or #res:events() > count,
        ("task %d: response %d stays open with nothing to come\n%s\n%s"):format(n, i, res:raw(), server:log()))
    end
  end

  local function check_unharmed(n)
    settle()
    local res = server:get "/plain"
    assert(res:status() == 200 and res:body() == "fine", ("task %d: then %s\n%s"):format(n, res:raw(), server:log()))
    settle()
    local stats = server:stats()
    for _, kind in ipairs { "connections", "streams", "tasks", "timers", "generations", "events" } do
      local more = stats[kind] - before[kind]
      assert(more <= 0, ("task %d: %d %s are left\n%s"):format(n, more, kind, server:log()))
    end
    server:log()
  end

  -- What each answer is in the end, without what changes from run to run.
  local function shapes(responses)
    local list = {}
    for i, res in ipairs(responses) do list[i] = ("%s %s %d"):format(res:status(), res:has_ended(), #res:events()) end
    return table.concat(list, "; ")
  end

  local function start(scenario)
    events_before = helper.harness.events()
    server = helper.serve(APP, { settings = { keep_alive = { interval = 1e6 } } })
    for i = 1, 6 do server:post("/news", { body = "old " .. i }):close() end
    server:get("/upper"):close()
    local responses = run(scenario)
    local shape = shapes(responses)
    check_alive(-1, responses)
    settle()
    server:get("/plain"):close()
    settle()
    before = server:stats()
    return shape
  end

  -- Refuses task 1, 2, 3 ... and `count` in all, until the scenario comes to its end without.
  local function sweep(scenario, count)
    local n, done = 0
    repeat
      server.core:fail_task(n, count)
      local responses = run(scenario)
      done = server.core:fail_task(0, 0) == count
      check_alive(n, responses)
      check_unharmed(n)
      n = n + 1
    until done
    return n
  end

  for _, name in ipairs(names) do
    for what, count in pairs { one = 1, ["all from one on"] = 1 << 30 } do
      it(("%s: %s"):format(what, name), function()
        local shape = start(SCENARIOS[name])
        sweep(SCENARIOS[name], count)
        local responses = run(SCENARIOS[name]) -- which works as before
        assert.equal(shape, shapes(responses))
        settle()
        server:close { tasks = before.tasks }
        assert.equal(events_before, helper.harness.events())
      end)
    end
  end
end)
