-- SPDX-License-Identifier: MIT
local channels = require "spec.channels"
local helper = require "spec.helper"

describe("sse.resumable", function()
  local server

  local function run(code) return channels.run(server, code) end

  local function get(after) return server:get("/answer/1", after and { headers = { ["Last-Event-ID"] = after } }) end

  local function serve(options)
    server = helper.serve(channels.APP .. ([[
      starts, ended = 0, {}
      local function tokens(send)
        starts = starts + 1
        local _ <close> = setmetatable({}, { __close = function() ended[#ended + 1] = sse.now() end })
        for i = 1, 100 do sse.sleep(1) if fails == i then error "broken" end assert(send("t" .. i)) if i == last then return end end
      end
      app:get("/answer/:id", function(req)
        local options = %s
        options.after = req.last_event_id
        return sse.reply(sse.resumable(req.params.id, tokens, options))
      end)]]):format(options or "{}"))
  end

  after_each(function()
    server:advance(300)
    server:close()
  end)

  it("starts its producer with the first request, and goes on behind Last-Event-ID", function()
    serve()
    local res = get()
    server:advance(3)
    assert.same({ "t1", "t2", "t3" }, res:data())
    local id = res:events()[2].id
    res:close()
    server:advance(3)
    res = get(id)
    assert.same({ "t3", "t4", "t5", "t6" }, res:data())
    server:advance(1)
    assert.equal("t7", res:data()[5])
    assert.equal(1, run "return starts")
    res:close()
  end)

  it("gives a second reader all from the start, and both what follows", function()
    serve()
    local one = get()
    server:advance(3)
    local two = get()
    server:advance(2)
    assert.same({ "t1", "t2", "t3", "t4", "t5" }, two:data())
    assert.same(one:data(), two:data())
    assert.equal(1, run "return starts")
    one:close()
    two:close()
  end)

  it("ends its producer without a reader for 30 seconds, and then begins anew", function()
    serve()
    local res = get()
    server:advance(2.5)
    local id = res:events()[2].id
    res:close()
    server:advance(29.5)
    assert.same({}, run "return ended")
    server:advance(1)
    assert.same({ 32.5 }, run "return ended")
    assert.equal(0, server:stats().tasks)
    assert.equal(0, server:stats().channels)
    res = get(id)
    assert.same({ "reset" }, channels.names(res))
    server:advance(1)
    assert.same({ "reset", "t1" }, channels.names(res))
    assert.equal(2, run "return starts")
    res:close()
  end)

  it("counts its linger from the last reader that left", function()
    serve "{ linger = 5 }"
    get():close()
    server:advance(4.5)
    get():close()
    server:advance(4.4)
    assert.same({}, run "return ended")
    server:advance(0.7)
    assert.equal(1, #run "return ended")
  end)

  it("answers 204 behind its end, and is dropped ttl seconds after that, not before", function()
    serve "{ ttl = 10 }"
    run "_G.last = 40"
    local res = get()
    server:advance(40)
    assert.equal(40, #res:data())
    assert.is_true(res:has_ended())
    local id = res:events()[40].id
    server:advance(9)
    assert.equal(204, get(id):status())
    assert.equal(40, #get():data()) -- however long ago its first events were
    server:advance(2)
    assert.equal(0, server:stats().channels)
    assert.equal(0, server:stats().tasks)
    assert.equal(1, run "return starts")
  end)

  it("tells of a producer that fails, and ends", function()
    serve()
    run "_G.fails = 2"
    local res = get()
    server:advance(2)
    assert.same({ "t1", "error" }, channels.names(res))
    assert.is_true(res:has_ended())
    assert.equal(204, get(res:events()[2].id):status())
  end)

  it("drops an unread producer at once where linger is 0", function()
    serve "{ linger = 0 }"
    local res = get()
    server:advance(3)
    assert.equal(3, #res:data())
    res:close()
    server:advance(1.1)
    assert.equal(1, #run "return ended")
  end)

  it("refuses what it does not know", function()
    serve()
    for code, message in pairs { ["sse.resumable(1, print)"] = "expected a key as a string", ["sse.resumable('a', 1)"] = "expected a function",
      ["sse.resumable('a', print, { lingr = 1 })"] = "unknown option 'lingr'", ["sse.resumable('a', print, { linger = 'x' })"] = "linger: expected seconds",
      ["sse.resumable('a', print, { ttl = -1 })"] = "ttl: expected seconds" } do
      local err = run(("local ok, err = pcall(function() local _ = %s end) return tostring(err)"):format(code))
      assert.is_truthy(err:find(message, 1, true), code .. ": " .. err)
    end
    assert.equal(0, server:stats().channels)
  end)
end)
