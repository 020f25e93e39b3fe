-- SPDX-License-Identifier: MIT
-- spate.test, as its users have it.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
require "spec.helper"
local t = require "spate.test"

local PRELUDE = [[local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply
]]

local files = {}

local function write(source, path)
  path = path or os.tmpname()
  files[#files + 1] = path
  local f <close> = assert(io.open(path, "w"))
  f:write(PRELUDE, source, "\nreturn app\n")
  return path
end

-- An application of this source.
local function load(source, options) return t.load(write(source), options) end

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "expected an error")
  return tostring(err)
end

local TICKS = [[app:get("/ticks", function(req)
  return sse.reply(sse.interval(1):map(function(n) return sse.event("tick"):id(n):data(n) end))
end)]]

describe("spate.test", function()
  teardown(function()
    for _, path in ipairs(files) do os.remove(path) end
  end)

  describe("a request", function()
    it("has failures that tell \"3\" from 3", function()
      local app = load [[app:get("/", function() return sse.reply { { json = { n = 3, list = { { id = "7" } }, f = 1.5 } }, { json = "3" } } end)]]
      local res = app:get "/"
      assert.events(res, { { json = { n = 3, list = { { id = "7" } } } }, { json = "3" } })
      local function text(first, second) return failure(assert.events, res, { { json = first }, { json = second } }) end
      assert.truthy(text({ n = "3" }, "3"):find('json.n: expected "3" (string), got 3 (number)', 1, true))
      assert.truthy(text({ list = { { id = 7 } } }, "3"):find('json.list[1].id: expected 7 (number), got "7" (string)', 1, true))
      assert.truthy(text({ n = 3 }, 3):find('json: expected 3 (number), got "3" (string)', 1, true))
      assert.truthy(text({ m = true }, "3"):find("json.m: expected true (boolean), got nothing", 1, true))
      assert.falsy(failure(assert.events, res, { "x" }):find("json", 1, true))
    end)

    it("carries headers, a body, JSON or a form", function()
      local app = load [[app:all("/echo", function(req)
        return { method = req.method, body = req:body(), type = req.headers["content-type"], a = req:header_all "x-a" }
      end)]]
      assert.same({ method = "POST", body = '{"n":1}', type = "application/json", a = {} }, app:post("/echo", { json = { n = 1 } }):json())
      assert.same("a=1&b=x+%26+y&b=2", app:put("/echo", { form = { b = { "x & y", 2 }, a = 1 } }):json().body)
      assert.same("application/x-www-form-urlencoded", app:post("/echo", { form = {} }):json().type)
      assert.same({ "1", "2" }, app:patch("/echo", { headers = { ["X-A"] = { 1, 2 } }, body = "z" }):json().a)
      assert.same("DELETE", app:delete("/echo"):json().method)
      assert.same("", app:head("/echo"):body())
      assert.status(200, app:head "/echo")
      assert.status(200, app:options "/echo")
    end)

    it("is refused at the user's line where it is wrong", function()
      local app = load 'app:get("/", function() return "x" end)'
      assert.matches("test_lib_spec.lua:%d+: unknown option 'header' of a request; it has headers", failure(function() app:get("/", { header = {} }) end))
      assert.matches("test_lib_spec.lua:%d+: expected a target that starts with /, got ticks", failure(function() app:get "ticks" end))
      assert.matches("one of body, json and form is enough", failure(function() app:post("/", { body = "", json = 1 }) end))
      assert.matches("test_lib_spec.lua:%d+: write app:get%(...%) with a colon", failure(function() app.get("/") end))
    end)

    it("is answered with status, headers in any case, cookies and body", function()
      local app = load [[app:get("/", function() return reply.text("hi"):header("X-Mood", "good"):cookie("a", "1"):cookie("b", "2") end)]]
      local res = app:get "/"
      assert.equal("hi", res:body())
      assert.equal("good", res.headers["x-mood"])
      assert.equal("good", res.headers["X-MOOD"])
      assert.equal(2, #res:header_all "Set-Cookie")
      assert.closed(res, "finished")
      assert.matches("the body is not JSON", failure(res.json, res))
    end)

    it("says where the script does not load", function()
      assert.matches("^/tmp/.*:3: oops", failure(function() load 'error("oops")' end))
      assert.matches("cannot open", failure(function() t.load "no such file.lua" end))
      assert.matches("unknown setting 'limits.boddy'", failure(function() load("", { settings = { limits = { boddy = 1 } } }) end))
      assert.matches("unknown option 'setings'", failure(function() load("", { setings = {} }) end))
    end)
  end)

  describe("events", function()
    it("have all fields, JSON when it is asked for, and comments apart", function()
      local app = load [[app:get("/", function() return sse.reply(function(send)
        send { event = "move", id = 7, json = { x = 1 }, retry = 2.5 }
        send "two\nlines"
        send(sse.event():comment("psst"))
      end) end)]]
      local res = app:get "/"
      local list = res:events()
      assert.equal(2, #list)
      assert.same({ "move", "7", '{"x":1}', 2.5 }, { list[1].event, list[1].id, list[1].data, list[1].retry })
      assert.same({ x = 1 }, list[1].json)
      assert.same({ nil, "two\nlines", nil }, { list[2].event, list[2].data, list[2].json })
      assert.same({ "psst" }, res:comments())
      assert.closed(res, "finished")
      assert.sse_headers(res)
      assert.is_true(res:is_complete())
    end)

    it("come bit by bit, and what a spec holds does not change", function()
      local app = load(TICKS)
      local res = app:get "/ticks"
      t.advance(2)
      local before = res:events()
      t.advance(1)
      assert.equal(2, #before)
      assert.equal(3, #res:events())
      assert.matches("^HTTP/1.1 200 OK\r\n.*event: tick\nid: 3\ndata: 3\n\n", t.bytes(res))
      res:close()
    end)

    it("are cut off where the handler fails", function()
      local app = load [[app:get("/", function() return sse.reply(function(send) send "a" sse.sleep(1) error "no" end) end)]]
      local res = app:get "/"
      t.advance(1)
      assert.closed(res, "error")
      assert.is_false(res:is_complete())
      assert.matches("no", app:log())
    end)
  end)

  describe("an assertion that fails", function()
    local app

    before_each(function() app = load(TICKS .. '\napp:get("/fail", function() error("broken here") end)') end)

    it("does not speak of numbers where they are the same", function()
      local res = app:get "/ticks"
      t.advance(1)
      assert.matches("events of GET /ticks: not those expected\n", failure(assert.events, res, { "x" }))
      res:close()
    end)

    it("shows expected and actual events side by side, those that differ marked", function()
      local res = app:get "/ticks"
      t.advance(4)
      local text = failure(assert.events, res, { { id = "1" }, { data = "x" }, { data = "3" }, { data = "4" }, "5" })
      res:close()
      local rows = {}
      for mark, number, left, right in text:gmatch("\n([* ]) +(%d+)  (.-) +| ([^\n]*)") do rows[#rows + 1] = { mark, number, left, right } end
      assert.matches("events of GET /ticks: expected 5, got 4\n", text)
      assert.same({
        { "*", "2", "data: x", "event: tick  id: 2  data: 2" },
        { " ", "3", "data: 3", "event: tick  id: 3  data: 3" },
        { " ", "4", "data: 4", "event: tick  id: 4  data: 4" },
        { "*", "5", "data: 5", "(none)" },
      }, { table.unpack(rows, 2) })
      assert.same({ " ", "1", "id: 1" }, { table.unpack(rows[1], 1, 3) })
    end)

    it("keeps rows together where one is missing in the middle, and leaves out what is far away", function()
      local res, expected = app:get "/ticks", {}
      t.advance(30)
      for i = 1, 30 do
        if i ~= 15 then expected[#expected + 1] = { data = tostring(i) } end
      end
      local text = failure(assert.events, res, expected)
      res:close()
      local _, marked = text:gsub("\n%*", "")
      assert.equal(1, marked)
      assert.matches("\n%* +15  %(none%) +| event: tick  id: 15  data: 15\n", text)
      assert.not_matches("data: 3\n", text)
    end)

    it("says what is there instead", function()
      local res = app:get "/ticks"
      t.advance(1)
      assert.matches('GET /ticks has not sent json: {"a":1}, but\n +1  event: tick  id: 1  data: 1', failure(assert.has_event, res, { json = { a = 1 } }))
      assert.matches("what it should not: event: tick", failure(assert.has_no_event, res, { event = "tick" }))
      assert.matches("expected an end, got an open request", failure(assert.closed, res))
      assert.matches("unknown field 'dat' of an event", failure(assert.has_event, res, { dat = "1" }))
      res:close()
      assert.matches("expected an end with reason finished, got client_closed", failure(assert.closed, res, "finished"))
      local text = failure(assert.status, 200, app:get "/fail")
      assert.matches("GET /fail: expected status 200, got 500", text)
      assert.matches('GET /fail: expected status "500" %(string%), got 500', failure(assert.status, "500", app:get "/fail"))
      assert.matches("broken here", text)
      assert.matches("the status comes first", failure(assert.status, res, 200))
      assert.matches("Content%-Type: expected text/event%-stream, got text/plain", failure(assert.sse_headers, app:get "/fail"))
    end)

    it("takes members of JSON that are not expected, but no missing one", function()
      local json = load [[app:get("/", function() return sse.reply { { json = { a = 1, b = { 1, 2 } } } } end)]]
      local res = json:get "/"
      assert.events(res, { { event = "message", json = { b = { 1, 2 } } } })
      assert.has_no_event(res, { json = { b = { 1 } } })
      assert.has_no_event(res, { json = { a = 1, c = 2 } })
      assert.is_not.events(res, {})
    end)
  end)

  describe("a wait", function()
    it("takes real time for what comes from outside, while the clock stands", function()
      local app = load [[
        app:get("/", function(req)
          local path = req.query.path
          os.execute("(sleep 0.05; echo done > " .. path .. ") &")
          local before = sse.now()
          req:on_close(function() os.remove(path) end)
          return sse.reply(function(send)
            send { json = sse.now() == before }
            sse.sleep(1)
            send "slept"
          end)
        end)]]
      local path = os.tmpname()
      os.remove(path)
      local res = app:get("/?path=" .. path)
      assert.equal("done", t.wait(function()
        local f <close> = io.open(path)
        return f and f:read("l")
      end))
      assert.events(res, { "true" })
      t.advance(1)
      assert.events(res, { "true", "slept" })
      res:close()
    end)

    it("in vain is an error at the user's line, as is one without a function or seconds", function()
      load 'app:get("/", function() return "x" end)'
      local times = 0
      assert.matches("test_lib_spec.lua:%d+: t.wait: waited for 0.03 seconds in vain", failure(function()
        t.wait(function() times = times + 1 end, 0.03)
      end))
      assert.is_true(times >= 2 and times < 10, times)
      assert.matches("test_lib_spec.lua:%d+: t.wait: expected a function, got nil", failure(function() t.wait() end))
      assert.matches("test_lib_spec.lua:%d+: t.wait: expected seconds, got string", failure(function() t.wait(print, "1") end))
      assert.matches("test_lib_spec.lua:%d+: mine", failure(function() t.wait(function() error "mine" end) end))
    end)

    it("goes on in all workers", function()
      local app = load([[app:get("/", function()
        local n = 0
        return sse.reply(function(send) while n < 3 do n = n + 1 send(n) sse.sleep(0) end end)
      end)]], { workers = 2 })
      local res = { app:get "/", app:get "/" }
      assert.is_true(t.wait(function() return res[1].close_reason and res[2].close_reason and true end))
    end)
  end)

  describe("time", function()
    it("is one: os.time, os.date, sse.now, sleeps", function()
      local app = load([[app:get("/", function()
        return ("%d %s %g %s"):format(os.time(), os.date("!%FT%TZ"), sse.now(), os.date("!%F", 86400))
      end)
      app:get("/sleep", function() local began = os.time() sse.sleep(3600) return tostring(os.time() - began) end)]], { at = "2026-01-01T00:00:00Z" })
      assert.equal("1767225600 2026-01-01T00:00:00Z 0 1970-01-02", app:get("/"):body())
      t.advance(90.5)
      assert.equal("1767225690 2026-01-01T00:01:30Z 90.5 1970-01-02", app:get("/"):body())
      local res = app:get "/sleep"
      t.advance(3600)
      assert.equal("3600", res:body())
      t.at "2028-02-29T12:00:00+02:00"
      assert.matches("2028%-02%-29T10:00:00Z", app:get("/"):body())
      assert.equal("Tue, 29 Feb 2028 10:00:00 GMT", app:get("/").headers.date)
      app:reset()
      assert.matches("2028%-02%-29T10:00:00Z 0 ", app:get("/"):body())
      assert.matches('expected a time such as "2026', failure(t.at, "tomorrow"))
      app:close()
      t.at(0)
    end)

    it("has keep-alive, throttle, ttl and linger in it", function()
      local app = load [[
        local hits, stopped = spate.shared "hits", 0
        app:get("/quiet", function() return sse.reply(sse.never()) end)
        app:get("/throttled", function() return sse.reply(sse.interval(1):throttle(10)) end)
        app:post("/hits", function() return { mine = hits:add("lock", 1, { ttl = 60 }) } end)
        app:get("/job", function() return sse.reply(sse.resumable("job", function(send)
          local _ <close> = setmetatable({}, { __close = function() stopped = stopped + 1 end })
          while true do send "x" sse.sleep(1) end
        end, { linger = 30, ttl = 60 })) end)
        app:get("/stopped", function() return tostring(stopped) end)]]
      local quiet, throttled, job = app:get "/quiet", app:get "/throttled", app:get "/job"
      assert.keep_alive(quiet)
      assert.keep_alive(quiet, 15)
      assert.is_not.keep_alive(quiet, 14.9)
      assert.is_true(#throttled:events() <= 5)
      assert.same({ true, false }, { app:post("/hits"):json().mine, app:post("/hits"):json().mine })
      job:close()
      t.advance(29)
      assert.equal("0", app:get("/stopped"):body())
      t.advance(32)
      assert.equal("1", app:get("/stopped"):body())
      assert.is_true(app:post("/hits"):json().mine)
      quiet:close()
      throttled:close()
    end)

    it("is that of a day of keep-alives", function()
      local app = load [[app:get("/", function() return sse.reply(sse.never()) end)]]
      local res = app:get "/"
      t.advance(24 * 3600)
      assert.equal(24 * 3600 // 15, #res:comments())
      res:close()
    end)

    it("does not pass for 10,000 requests", function()
      local app = load [[app:get("/:n", function(req) return { n = req.params.n, at = sse.now() } end)]]
      local began = app:get("/0"):json().at
      for i = 1, 10000 do
        local answer = app:get("/" .. i):json()
        if answer.n ~= tostring(i) or answer.at ~= began then error("wrong answer") end
      end
    end)
  end)

  describe("a client", function()
    it("that stalls holds its producer up, which goes on where it was", function()
      local app = load([[local sent = 0
        app:get("/", function() return sse.reply(function(send)
          sse.sleep(1)
          for i = 1, 100 do send(("x"):rep(1000)) sent = i end
        end) end)
        app:get("/sent", function() return tostring(sent) end)]], { settings = { limits = { queue_high = 4000, queue_low = 1000 } } })
      local res = app:get "/"
      res:stall()
      t.advance(5)
      assert.is_true(tonumber(app:get("/sent"):body()) < 10)
      assert.events(res, {})
      res:stall(2500)
      t.advance(1)
      assert.equal(2, #res:events())
      res:resume()
      assert.equal(100, #res:events())
      assert.closed(res, "finished")
    end)

    it("that stalls for too long is cut", function()
      local app = load(TICKS, { settings = { timeouts = { send = 20 } } })
      local res = app:get "/ticks"
      t.advance(2)
      res:stall()
      t.advance(10)
      assert.equal(2, #res:events())
      res:resume()
      assert.equal(12, #res:events())
      res:stall()
      t.advance(22)
      assert.closed(res, "slow_consumer")
    end)

    it("that is dropped is found by the server's own timers", function()
      local app = load([[app:get("/", function() return sse.reply(sse.never()) end)]], { settings = { timeouts = { send = 20 } } })
      local res = app:get "/"
      res:drop()
      t.advance(34)
      assert.is_not.closed(res)
      t.advance(2)
      assert.closed(res, "slow_consumer")
      assert.matches("does not come back", failure(res.resume, res))
    end)

    it("comes back as a browser does: id, retry time, and not to what is no stream", function()
      local app = load [[
        app:get("/", function(req)
          if req.last_event_id == "2" then return reply.status(204) end
          return sse.reply(function(send)
            send { data = req.last_event_id or "none", retry = 7 }
            send { id = (req.last_event_id or "0") + 1, data = ("%g"):format(sse.now()) }
          end)
        end)]]
      local first = app:get("/", { headers = { ["X-A"] = "b" } })
      assert.events(first, { "none", { id = "1", data = "0" } })
      local second = first:reconnect()
      assert.events(second, { "1", { id = "2", data = "7" } })
      local third = second:reconnect()
      assert.status(204, third)
      assert.same({ nil, "a browser does not come back after a status of 204" }, { third:reconnect() })
    end)
  end)

  describe("a channel", function()
    it("is counted, read and published to", function()
      local app = load [[
        app:get("/", function(req) return sse.reply(sse.channel("news", { history = 10 }):subscribe { after = req.last_event_id }) end)]]
      local news = t.channel "news"
      assert.equal(0, news:count())
      assert.same({}, news:history())
      assert.matches("has made no channel 'news' yet", failure(news.publish, news, "x"))
      local res = app:get "/"
      assert.equal(1, news:count())
      local id = news:publish { event = "item", json = { a = "b\0\n\"" } }
      assert.events(res, { { id = id, event = "item", json = { a = "b\0\n\"" } } })
      news:publish "two\nlines"
      assert.equal("two\nlines", news:history(1)[1].data)
      assert.equal(2, #news:history())
      assert.matches("unknown event field 'dat'", failure(news.publish, news, { dat = 1 }))
      res:close()
      assert.equal(0, news:count())
    end)

    it("is shared by workers, and so are dictionaries", function()
      local app = load([[
        local mine = 0
        sse.channel "news"
        app:get("/", function() return sse.reply(sse.channel("news"):subscribe()) end)
        app:get("/worker", function() mine = mine + 1
          return { worker = spate.worker, mine = mine, all = spate.shared("a"):incr "n" } end)
        app:get("/sleep", function() sse.sleep(1 + spate.worker / 2) sse.channel("news"):publish(spate.worker) return "" end)]], { workers = 2 })
      local seen = {}
      for i = 1, 4 do seen[i] = app:get("/worker"):json() end
      assert.same({ { worker = 0, mine = 1, all = 1 }, { worker = 1, mine = 1, all = 2 }, { worker = 0, mine = 2, all = 3 }, { worker = 1, mine = 2, all = 4 } }, seen)
      assert.equal(1, app:get("/worker", { worker = 1 }):json().worker)
      assert.matches("no worker 2: they are numbered from 0 to 1", failure(function() app:get("/", { worker = 2 }) end))
      local here, there = app:get("/", { worker = 0 }), app:get("/", { worker = 1 })
      assert.equal(2, t.channel("news"):count())
      local other = app:get("/sleep", { worker = 1 })
      local one = app:get("/sleep", { worker = 0 })
      t.advance(2)
      assert.events(here, { "0", "1" }) -- in the order of time, whoever was asked first
      assert.events(there, { "0", "1" })
      assert.same({ 200, 200 }, { one.status, other.status })
      here:close()
      there:close()
    end)
  end)

  describe("reset", function()
    it("makes all new: state, channels, clock", function()
      local app = load [[local n = 0
        app:get("/", function() n = n + 1 return ("%d %g"):format(n, sse.now()) end)
        app:get("/c", function() return sse.reply(sse.channel("c", { history = 1 }):subscribe()) end)]]
      app:get "/"
      local res = app:get "/c"
      t.channel("c"):publish "x"
      res:close()
      t.advance(5)
      assert.equal("2 5", app:get("/"):body())
      app:reset()
      assert.equal("1 0", app:get("/"):body())
      assert.same({}, t.channel("c"):history())
      assert.equal(1, #res:events())
    end)

    it("and close raise where tasks outlive their clients, but not for what the application keeps", function()
      local app = load [[
        sse.every(10, function() end)
        app:on_start(function() sse.spawn(function() sse.sleep(1000) end) sse.sleep(500) end)
        app:get("/", function() sse.spawn(function() sse.sleep(5) end) return "x" end)
        app:get("/job", function() return sse.reply(sse.resumable("job", function() sse.sleep(100) end, { linger = 30 })) end)
        app:get("/wait", function() sse.sleep(60) return "late" end)]]
      app:reset()
      app:get("/job"):close()
      app:get "/"
      app:get "/wait"
      local text = failure(app.reset, app)
      assert.matches("1 task runs on after all clients have left; left open: GET /wait", text)
      app:get "/"
      t.advance(5)
      app:reset()
      app:get "/"
      app:get "/"
      assert.matches("2 tasks run on after all clients have left", failure(app.close, app))
      assert.matches("the application is closed", failure(app.get, app, "/"))
    end)
  end)

  describe("t.strict", function()
    it("makes a stream that is left open an error, or nothing at all", function()
      local source = [[app:get("/", function() sse.spawn(function() sse.sleep(9) end) return sse.reply(sse.never()) end)
        app:get("/idle", function() return sse.reply(sse.never()) end)]]
      t.strict(true)
      local app = load(source)
      app:get "/idle"
      assert.matches("left open: GET /idle", failure(app.close, app))
      t.strict(false)
      app = load(source)
      app:get "/"
      app:close()
      t.strict(nil)
    end)
  end)

  describe("a reload", function()
    it("has new requests answered by the new code, and keeps the old where that is broken", function()
      local path = write 'app:get("/", function() return "old" end) app:get("/s", function() return sse.reply(sse.interval(1)) end)'
      local app = t.load(path)
      local res = app:get "/s"
      write('app:get("/", function() return "new" end)', path)
      assert.is_true(t.reload(path))
      assert.equal("new", app:get("/"):body())
      t.advance(2)
      assert.events(res, { "1", "2" })
      write("app:get(", path)
      local ok, err = t.reload(path)
      assert.is_nil(ok)
      assert.matches(":4:", err)
      assert.equal("new", app:get("/"):body())
      res:close()
    end)

    it("is for all workers or for none", function()
      local path = write 'app:get("/", function() return "old" end)'
      t.workers(2)
      local app = t.load(path)
      t.workers(1)
      write('if spate.worker == 1 then error "not here" end app:get("/", function() return "new" end)', path)
      local ok, err = t.reload(path)
      assert.is_nil(ok)
      assert.matches("not here", err)
      for worker = 0, 1 do assert.equal("old", app:get("/", { worker = worker }):body()) end
    end)
  end)

  it("stops a script that computes without an end, as the server does", function()
    local app = t.load(write 'app:get("/", function() while true do end end)', { settings = { limits = { burst = 0.05 }, log = { level = "off" } } })
    assert.status(500, app:get "/")
  end)
end)
