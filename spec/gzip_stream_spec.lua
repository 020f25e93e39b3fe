-- SPDX-License-Identifier: MIT
local channels = require "spec.channels"
local gunzip = require "spec.gunzip"
local helper = require "spec.helper"

local GZIP = { ["Accept-Encoding"] = "gzip, deflate, br, zstd" }

local APP = channels.APP .. [[
app:get("/own", function() return sse.reply(sse.interval(1, function(n) return ("tick %d of a clock that goes on"):format(n) end), { compress = true }) end)
app:get("/seldom", function() return sse.reply(sse.interval(20), { compress = true }) end)
app:get("/plain", function() return sse.reply(sse.interval(1), { compress = false }) end)
app:get("/unsaid", function() return sse.reply(sse.interval(1)) end)
app:get("/coded", function() return sse.reply(sse.interval(1), { compress = true, headers = { ["Content-Encoding"] = "identity" } }) end)
app:get("/varies", function() return sse.reply(sse.interval(1), { compress = true, headers = { Vary = "Cookie" } }) end)
app:get("/over", function() return sse.reply(sse.channel.find("over"):subscribe(), { compress = true }) end)
app:get("/snapshot/:name", function(req)
  return sse.reply(sse.channel.find(req.params.name):snapshot(function() return { event = "state", data = ("row "):rep(300) } end))
end)
app:get("/large", function()
  return sse.reply(function(send) for _ = 1, 3 do send(("x"):rep(1100000)) send(("x"):rep(500)) end end, { compress = true })
end)
app:get("/bytes/:n", function(req) return sse.reply(function(send) send(("x"):rep(tonumber(req.params.n))) end, { compress = true }) end)
app:get("/fails", function() return sse.reply(function(send) send "one" sse.sleep(1) error "no" end, { compress = true }) end)
app:get("/ends", function() return sse.reply(function(send) send "one" sse.sleep(1) send "two" end, { compress = true }) end)
]]

describe("a compressed stream", function()
  local server

  local function run(code) return channels.run(server, code) end

  local function stats() return helper.json.decode(run "return json.encode(spate.stats())") end

  local function serve(settings) server = helper.serve(APP, { settings = settings }) end

  -- A subscriber, and what its body holds.
  local function subscribe(name, options)
    options = options or {}
    local res = server:get("/sub/" .. name .. (options.query or ""),
      { headers = { ["Accept-Encoding"] = "gzip", ["Last-Event-ID"] = options.after }, client = options.client, version = options.version })
    return gunzip(res), res
  end

  after_each(function() server:close() end)

  it("is asked for by a reply, a channel or the settings, and by the client", function()
    serve()
    run 'sse.channel("on", { compress = true }) sse.channel("unsaid")'
    for target, wanted in pairs { ["/own"] = true, ["/plain"] = false, ["/unsaid"] = false, ["/sub/on"] = true, ["/sub/unsaid"] = false,
      ["/coded"] = false } do
      local res = server:get(target, { headers = GZIP })
      assert.equal(wanted and "gzip" or (target == "/coded" and "identity" or nil), res:header "Content-Encoding", target)
      assert.equal(wanted and "Accept-Encoding" or nil, res:header "Vary", target)
      assert.is_nil(res:header "Content-Length")
      assert.equal("no", res:header "X-Accel-Buffering")
      assert.is_nil(server:get(target):header "Content-Encoding" == "gzip" or nil)
    end
    assert.equal("Accept-Encoding", server:get("/own"):header "Vary")
    assert.equal("Cookie, Accept-Encoding", server:get("/varies", { headers = GZIP }):header "Vary")
  end)

  it("is what the settings say where nobody else does", function()
    serve { compress = true }
    run 'sse.channel("off", { compress = false }) sse.channel("unsaid")'
    for target, wanted in pairs { ["/own"] = true, ["/plain"] = false, ["/unsaid"] = true, ["/sub/off"] = false, ["/sub/unsaid"] = true } do
      assert.equal(wanted and "gzip" or nil, server:get(target, { headers = GZIP }):header "Content-Encoding", target)
    end
  end)

  it("is for clients that accept it", function()
    serve()
    for field, wanted in pairs {
      ["gzip"] = true, ["x-gzip"] = true, ["GZIP"] = true, ["*"] = true, ["deflate, gzip;q=0.5, *;q=0"] = true, ["identity;q=0, *"] = true,
      ["identity;q=0.5, gzip;q=0.5"] = true, ["br, gzip"] = true, ["gzip;q=0"] = false, ["*, gzip;q=0"] = false, [""] = false, ["deflate"] = false,
      ["*;q=0"] = false, ["gzip;q=0.4, identity"] = false, ["identity;q=0"] = false, ["zstd, br"] = false, ["gzip;q=x"] = false, ["notgzip"] = false,
    } do
      local res = server:get("/own", { headers = { ["Accept-Encoding"] = field } })
      assert.equal(wanted and "gzip" or nil, res:header "Content-Encoding", field)
      assert.equal("Accept-Encoding", res:header "Vary")
    end
  end)

  it("says nothing of a body where there is none", function()
    serve()
    run 'sse.channel("over"):finish()'
    local res = server:get("/over", { headers = GZIP })
    assert.equal(204, res:status())
    assert.is_nil(res:header "Content-Encoding")
    res = server:request("HEAD", "/own", { headers = GZIP })
    assert.equal(200, res:status())
    assert.equal("gzip", res:header "Content-Encoding")
    assert.equal("Accept-Encoding", res:header "Vary")
    assert.is_truthy(res:raw():find "\r\n\r\n$")
  end)

  it("begins with its head, and has each event at once", function()
    serve()
    run 'ch = sse.channel("a", { compress = true })'
    local body, res = subscribe "a"
    assert.equal("\31\139\8\0\0\0\0\0\0\255", (res:body()))
    assert.equal(1, res.client:writes())
    local plain = channels.subscribe(server, "a")
    for i = 1, 300 do
      run(("ch:publish(('<tr><td>%d</td><td>a row of a table</td></tr>'):rep(%d))"):format(i, i % 7 + 1))
      assert.equal((plain:body()), body:read())
    end
    run "ch:finish()"
    assert.equal((plain:body()), body:read())
    assert.is_true(body:has_ended())
    assert.is_true(#res:body() * 4 < #plain:body())
  end)

  it("ends with its sum over HTTP/1.0 too, and without where it is cut", function()
    serve()
    run 'ch = sse.channel("a", { compress = true })'
    local body, res = subscribe("a", { version = "1.0" })
    run "ch:publish 'one' ch:finish('two')"
    assert.is_true(body:has_ended())
    assert.is_nil(res:header "Transfer-Encoding")
    assert.is_truthy(body:read():find("data: one\n\n.*data: two\n\n$"))
    for target, whole in pairs { ["/fails"] = false, ["/ends"] = true } do
      body = gunzip(server:get(target, { headers = GZIP }))
      server:advance(1)
      assert.equal(whole and "data: one\n\ndata: two\n\n" or "data: one\n\n", body:read())
      assert.equal(whole, body:has_ended())
    end
  end)

  it("has the comments that keep it alive", function()
    serve()
    run 'ch = sse.channel("a", { compress = true })'
    local body = subscribe "a"
    server:advance(15)
    assert.equal(":\n\n", body:read())
    run "ch:publish 'x'"
    server:advance(30)
    assert.is_truthy(body:read():find "^:\n\nid: [^\n]+\ndata: x\n\n:\n\n:\n\n$")
    run "ch:finish()"
    assert.is_true(body:has_ended())
  end)

  -- What a response has got since it was asked last.
  local function news(res)
    local from = (res.seen or 0) + 1
    res.seen = #res:raw()
    return res:raw():sub(from)
  end

  local function row(n) return ("ch:publish(('<tr><td>%d</td><td>%d.25 ms</td></tr>'):rep(18))"):format(n * 7919 % 1000, n * 31 % 97) end

  it("has the blocks that are made for all once a window's length of the channel has reached it", function()
    serve()
    run 'ch = sse.channel("a", { compress = true })'
    local early, early_res = subscribe "a"
    for n = 1, 20 do run(row(n)) end
    local late, late_res = subscribe "a"
    news(early_res)
    news(late_res)
    local bytes, shared_from, alone = 0, nil, 0
    for n = 21, 60 do
      local before = #late:read()
      run(row(n))
      local is_shared = news(late_res) == news(early_res)
      assert.is_true(is_shared or not shared_from)
      if is_shared and not shared_from then shared_from = bytes end
      bytes = bytes + #late:read() - before
      if not is_shared then alone = alone + 1 end
    end
    assert.is_true(shared_from >= 8192 and shared_from < 8192 + 700, shared_from)
    assert.is_true(alone > 9)
    run "ch:finish()"
    assert.is_true(early:has_ended() and late:has_ended())
    assert.equal(late:read(), early:read():sub(-#late:read()))
  end)

  it("has the same bytes as all who began with it", function()
    serve()
    run 'ch = sse.channel("a", { compress = true })'
    local bodies, responses = {}, {}
    for i = 1, 20 do
      bodies[i], responses[i] = subscribe "a"
      news(responses[i])
    end
    for n = 1, 30 do
      run(row(n))
      local first = news(responses[1])
      for i = 2, 20 do assert.equal(first, news(responses[i])) end
    end
    run "ch:finish()"
    for i = 1, 20 do assert.is_true(bodies[i]:has_ended()) end
  end)

  it("has events of more than 1 MiB as they are, which would hold up the loop", function()
    serve()
    run 'ch = sse.channel("a", { compress = true }) function large(n) ch:publish(("x"):rep(n)) end'
    local shared, res = subscribe "a"
    local own_res = server:get("/large", { headers = GZIP })
    local own = gunzip(own_res)
    for _ = 1, 3 do
      run "large(500) large(900000)"
      local before = #res:raw()
      run "large(1100000)"
      assert.is_true(#res:raw() > before + 1100000)
      run "large(500)"
      assert.is_true(#shared:read() > 0)
    end
    run "ch:finish()"
    server:advance(1)
    assert.equal(3 * (500 + 900000 + 1100000 + 500), (select(2, shared:read():gsub("x", ""))))
    assert.is_true(shared:has_ended())
    assert.is_true(own:has_ended())
    assert.equal(3 * 1100500, (select(2, own:read():gsub("x", ""))))
    assert.is_true(#own_res:raw() > 3 * 1100000)
  end)

  it("has an event of 1 MiB compressed, and one of a byte more as it is, whoever it is made for", function()
    serve()
    local frame = #"id: -2\ndata: \n\n" + #run('ch = sse.channel("a", { compress = true }) return ch:publish("x")'):match "^%x+"
    local _, early = subscribe "a"
    run 'ch:publish("x")'
    local _, late = subscribe "a" -- has no window of the channel's: each event is compressed alone
    for more, is_compressed in pairs { [0] = true, [1] = false } do
      local before = { #early:raw(), #late:raw() }
      run(("ch:publish(('x'):rep(%d))"):format((1 << 20) - frame + more))
      local own = server:get(("/bytes/%d"):format((1 << 20) - #"data: \n\n" + more), { headers = GZIP })
      for i, res in ipairs { early, late, own } do
        assert.equal(is_compressed, #res:raw() - (before[i] or 0) < 100000, i .. " " .. more)
      end
      own:close()
    end
    run "ch:finish()"
  end)

  it("has one form of an event, also where two threads compress it at the same time", function()
    serve()
    local before = helper.harness.events()
    for i = 1, 20 do assert.is_true(helper.harness.form_at_once(("%d "):format(i):rep(100000))) end
    assert.equal(before, helper.harness.events())
  end)

  it("takes of memory what compress.memory counts, by compress.window", function()
    serve()
    for window, bytes in pairs { [8192] = 55296, [16384] = 137216, [32768] = 268288 } do
      server:close()
      serve { compress = { window = window } }
      for _ = 1, 2 do server:get("/own", { headers = GZIP }) end
      server:advance(1)
      server:get("/own", { headers = GZIP })
      local before = helper.harness.allocated()
      server:advance(1)
      local taken = helper.harness.allocated() - before
      assert.equal(3 * bytes, stats().compressor_bytes)
      assert.is_true(math.abs(taken - bytes) < 20000, ("%d of %d"):format(taken, bytes)) -- with what else a second takes
    end
  end)

  it("has what comes before the channel's events", function()
    serve()
    run 'ch = sse.channel("a", { compress = true, history = 100 })'
    local res = server:get("/snapshot/a", { headers = GZIP })
    local body = gunzip(res)
    assert.is_truthy(body:read():find "^event: state\ndata: row row")
    assert.is_true(#res:body() < 200)
    for i = 1, 50 do run(("ch:publish('%d ' .. ('text '):rep(90))"):format(i)) end
    run "ch:finish()"
    assert.is_true(body:has_ended())
  end)

  it("of one client has a window of its own", function()
    serve()
    local res = server:get("/own", { headers = GZIP })
    local body = gunzip(res)
    assert.equal(0, stats().compressors)
    server:advance(100)
    local text = {}
    for i = 1, 100 do text[i] = ("data: tick %d of a clock that goes on\n\n"):format(i) end
    assert.equal(table.concat(text), body:read())
    assert.is_true(#res:body() * 2.5 < #body:read(), #res:body())
    local now = stats()
    assert.equal(1, now.compressors)
    assert.is_true(now.compressor_bytes > 50000 and now.compressor_bytes < 60000)
    res:close()
    assert.equal(0, stats().compressors)
    assert.equal(0, stats().compressor_bytes)
  end)

  it("takes no room for what has been sent and is kept no more", function()
    serve { limits = { channel_bytes = 20000 } }
    run 'ch = sse.channel("a", { compress = true, history = 1 })'
    local one, two = subscribe "a", subscribe "a"
    for i = 1, 300 do assert.is_nil(run(("return select(2, ch:publish(('%d'):rep(90)))"):format(i))) end
    assert.equal(300, select(2, one:read():gsub("data: ", "")))
    assert.equal(300, select(2, two:read():gsub("data: ", "")))
  end)

  it("of one client keeps its window while anything but comments comes", function()
    serve()
    local body = gunzip(server:get("/seldom", { headers = GZIP }))
    server:advance(20)
    for _ = 1, 10 do
      for _ = 1, 4 do
        assert.equal(1, stats().compressors)
        server:advance(5)
      end
    end
    assert.equal(11, select(2, body:read():gsub("data:", "")))
  end)

  it("gives its window back where nobody watches, and where nothing comes for a minute", function()
    serve()
    run 'ch = sse.channel("a", { compress = true }) function rows() for i = 1, 30 do ch:publish(("row %d "):rep(90)) end end'
    local one, first = subscribe "a"
    local two, second = subscribe "a"
    run "rows()"
    assert.equal(1, stats().compressors)
    server:advance(59)
    assert.equal(1, stats().compressors)
    server:advance(1)
    assert.equal(0, stats().compressors)
    run "rows()"
    assert.equal(1, stats().compressors)
    first:close()
    assert.equal(1, stats().compressors)
    second:close()
    assert.equal(0, stats().compressors)
    local three = subscribe "a"
    run "rows() ch:finish()"
    assert.is_true(three:has_ended())
    assert.is_false(one:has_ended() or two:has_ended())
    assert.equal(0, stats().compressors)
  end)

  it("shares what is made for all from the first event behind a rest on", function()
    serve()
    run 'ch = sse.channel("a", { compress = true })'
    local _, early = subscribe "a"
    for n = 1, 20 do run(row(n)) end
    server:advance(75)
    assert.equal(0, stats().compressors)
    local _, late = subscribe "a"
    news(early)
    news(late)
    run(row(21))
    local alone = news(early)
    assert.equal(alone, news(late))
    run(row(21))
    local shared = news(early)
    assert.equal(shared, news(late))
    assert.is_true(#shared < #alone / 2, #shared .. " of " .. #alone)
    run "ch:finish()"
  end)

  it("has what others have passed by while it took nothing", function()
    serve()
    run 'ch = sse.channel("a", { compress = true })'
    local client = server:connect()
    local slow, slow_res = subscribe("a", { client = client })
    client:window(0)
    for n = 1, 2 do run(row(n)) end
    local quick, quick_res = subscribe "a"
    for n = 3, 4 do run(row(n)) end
    assert.equal(2, select(2, quick:read():gsub("data: ", "")))
    client:window(nil)
    server:turn()
    run "ch:finish()"
    assert.equal(4, select(2, slow:read():gsub("data: ", "")))
    assert.is_true(slow:has_ended() and quick:has_ended())
    assert.equal(quick:read(), slow:read():sub(-#quick:read()))
    slow_res:close()
    quick_res:close()
  end)

  it("counts its bytes before and after, but for the head of the file", function()
    serve()
    local res = server:get("/ends", { headers = GZIP })
    server:advance(2)
    local body, has_ended = res:body()
    assert.is_true(has_ended)
    assert.equal(#body - 10, stats().compressed_bytes_out_total)
  end)

  it("goes on without a window where compress.memory has no room for it", function()
    serve { compress = { memory = 60000 } }
    run 'ch = {} for i = 1, 3 do ch[i] = sse.channel("c" .. i, { compress = true }) end'
    local bodies = {}
    for i = 1, 3 do bodies[i] = subscribe("c" .. i) end
    for n = 1, 40 do
      run(("for i = 1, 3 do ch[i]:publish(('row %d of a table '):rep(60)) end"):format(n))
      assert.is_true(stats().compressor_bytes <= 60000)
    end
    run "for i = 1, 3 do ch[i]:finish() end"
    for i = 1, 3 do assert.is_true(bodies[i]:has_ended()) end
    assert.equal(80, stats().compressors_refused_total)
    assert.is_true(stats().compressed_bytes_out_total * 5 < stats().compressed_bytes_in_total)
  end)

  it("has a window where compress.memory is just as much as one takes", function()
    serve { compress = { memory = 2 * 55296 - 1 } }
    for _ = 1, 2 do server:get("/own", { headers = GZIP }) end
    server:advance(1)
    assert.same({ 1, 1, 55296 }, { stats().compressors, stats().compressors_refused_total, stats().compressor_bytes })
    server:close()
    serve { compress = { memory = 2 * 55296 } }
    for _ = 1, 2 do server:get("/own", { headers = GZIP }) end
    server:advance(1)
    assert.same({ 2, 0, 2 * 55296 }, { stats().compressors, stats().compressors_refused_total, stats().compressor_bytes })
  end)

  it("refuses what is no such option", function()
    serve()
    assert.is_truthy(helper.load_error "\n sse.reply({}, { compress = 1 })":find("sse.reply: compress: expected true or false, got 1", 1, true))
    assert.is_truthy(helper.load_error "\n sse.channel('x', { compress = 'gzip' })":find("sse.channel: compress: expected true or false, got gzip", 1, true))
    assert.has_error(function() helper.serve(APP, { settings = { compress = { window = 10000 } } }) end,
      "compress.window: expected 8192, 16384 or 32768 bytes, got 10000")
    assert.has_error(function() helper.serve(APP, { settings = { compress = 1 } }) end, "compress: expected true, false or a table, got 1")
  end)
end)
