-- SPDX-License-Identifier: MIT
-- What spate.doctor sends, what one look at a stream notes, and what is found of it: in virtual time, with streams that misbehave.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local json = helper.json
local URL = "http://up.example/events"

-- What the code of a handler returns, after so many seconds, as it comes by JSON. It has a patient whose looks are scripted.
local function run(code, seconds)
  local server = helper.serve(([[
local checks, probes, silence = require "spate.doctor.checks", require "spate.doctor.probes", require "spate.doctor.silence"
local Findings, timing, look_at = require "spate.doctor.findings", require "spate.doctor.timing", require "spate.doctor.look"
local examine = require "spate.doctor.examine"

-- Events of spate.doctor, sent each `gap` seconds, which came at these times.
local function sent(gap, ats, from)
  local items = { { event = "doctor", data = '{"doctor":1,"sent":0,"keep_alive":15}', at = ats[1] } }
  for i = 2, #ats do items[i] = { event = "sent", data = json.encode { n = (from or 0) + i - 1, sent = (i - 1) * gap }, at = ats[i] } end
  return items
end

local function stream(look)
  for name, value in pairs { status = 200, is_stream = true, head = 0.01, ended = 1, how = "end", items = {}, headers = {}, version = "1.1", silence = 0 } do
    if look[name] == nil then look[name] = value end
  end
  return look
end

-- `looks`: one for each call, in their order; what was asked for is in `asked`.
local function patient(looks, fields)
  local p = { findings = Findings.new(), wait = 4, greeting = { keep_alive = 15 }, first = stream {}, asked = {} }
  for name, value in pairs(fields or {}) do p[name] = value end
  function p:look(query, options)
    self.asked[#self.asked + 1] = { query = query or {}, headers = options.headers or {} }
    return assert(table.remove(looks, 1), "no look is left")
  end
  return p
end

-- What was found, as { check = { level, text } }.
local function found(p)
  local all = {}
  for _, each in ipairs(p.findings) do all[each.check] = { each.level, each.text, each.fixes and each.fixes.nginx } end
  return json.object(all)
end

app:get("/", function()
%s
end)]]):format(code), { stubs = session.stubs })
  local res = server:get "/"
  server:advance(seconds or 0)
  local body = res:body()
  server:close()
  return assert(json.decode(body), body)
end

local function has(found, check, level, ...)
  local one = assert(found[check], json.encode(found))
  assert.equal(level, one[1], one[2])
  for _, part in ipairs { ... } do assert(one[2]:find(part, 1, true) or one[3] and one[3]:find(part, 1, true), ("expected %q in %s"):format(part, json.encode(one))) end
end

describe("spate.doctor", function()
  local server

  before_each(function() server = helper.serve 'app:mount("/-/doctor", spate.doctor())' end)
  after_each(function() server:close() end)

  local function data(event) return assert(json.decode(event.data)) end

  it("says what it saw of the request, then when it sent each event, and ends", function()
    local res = server:get("/-/doctor", { headers = { ["Last-Event-ID"] = "9", Via = "1.1 x", Cookie = "secret=1" } })
    server:advance(0)
    local greeting = data(res:events()[1])
    assert.same({ 1, "9", { via = "1.1 x" }, 15, 0 }, { greeting.doctor, greeting.last_event_id, greeting.fields, greeting.keep_alive, greeting.sent })
    assert.equal("doctor", res:events()[1].event)
    server:advance(0.1)
    assert.equal(3, #res:events())
    server:advance(1)
    local events = res:events()
    assert.same({ 9, "8", 8 }, { #events, events[9].id, data(events[9]).n })
    assert(math.abs(data(events[9]).sent - 0.4) < 1e-6)
    assert.is_true(res:has_ended())
  end)

  it("is silent for as long as it is asked to, with comments or without", function()
    local bare, kept = server:get "/-/doctor?events=0&quiet=40", server:get "/-/doctor?events=0&quiet=40&keep_alive=10"
    server:advance(39)
    assert.same({ 0, 3 }, { #select(2, bare:events()), #select(2, kept:events()) })
    assert.same({ 1, 1 }, { #bare:events(), #kept:events() })
    server:advance(2)
    assert.same({ 1, true, true }, { data(kept:events()[2]).n, bare:has_ended(), kept:has_ended() })
  end)

  it("knows which of its clients have left", function()
    local function state() return server:get("/-/doctor/left?id=a-1"):json().state end
    assert.is_nil(state())
    local res = server:get "/-/doctor?id=a-1&quiet=100"
    server:advance(0)
    assert.equal("open", state())
    res:close()
    server:advance(0)
    assert.equal("client_closed", state())
    server:advance(121)
    assert.is_nil(state())
  end)

  it("refuses what would go on for too long, or be too much", function()
    for _, query in ipairs { "events=101", "gap=0", "quiet=601", "quiet=x", "keep_alive=-1", "events=nan", "id=a%20b", "id=" .. ("x"):rep(65) } do
      assert.equal(400, server:get("/-/doctor?" .. query):status(), query)
    end
  end)

  it("is for whom it is told to be for", function()
    local closed = helper.serve 'app:mount("/-/doctor", spate.doctor { authorize = function(req) return req.query.key == "k", "not you" end })'
    local refused = closed:get "/-/doctor/left"
    assert.same({ 403, true }, { refused:status(), refused:body():find("not you", 1, true) ~= nil })
    assert.equal(200, closed:get("/-/doctor/left?key=k"):status())
    closed:close()
    assert.error_matches(function() helper.serve 'app:mount("/d", spate.doctor { authorise = 1 })' end, "did you mean 'authorize'")
  end)
end)

describe("one look at a stream", function()
  local LOOK = [[
    local look = look_at("%s", { seconds = %s })
    look.events, look.inflater = nil, nil
    return look
  ]]

  local function look(answer, seconds)
    t.http.stub("GET", URL, answer)
    return run(LOOK:format(URL, seconds or 10), 100)
  end

  it("notes when head, events and comments came, and the end", function()
    local l = look { after = 0.5, events = { { data = "a", id = "1" }, { after = 1, comment = "" }, { after = 2, event = "x", data = "b\nc" } } }
    assert.same({ 0.5, 200, true, "end", 3.5, 2 }, { l.head, l.status, l.is_stream, l.how, l.ended, l.silence })
    assert.same({ { at = 0.5, data = "a", id = "1" }, { at = 1.5, comment = true }, { at = 3.5, event = "x", data = "b\nc" } }, l.items)
  end)

  it("takes lines that end by CRLF, in any pieces", function()
    local l = look { headers = { ["Content-Type"] = "text/event-stream" }, chunks = { "data: a\r", "\n\r\nda", "ta: b\r\n\r", "\n: x\r\n\r\n" } }
    assert.same({ { at = 0, data = "a" }, { at = 0, data = "b" }, { at = 0, comment = true } }, l.items)
  end)

  it("takes lines that end by CR, at once", function()
    local l = look { headers = { ["Content-Type"] = "text/event-stream" }, chunks = { "data: a\r\r", { after = 1, "data: b\r\r: x\r\r" } } }
    assert.same({ { at = 0, data = "a" }, { at = 1, data = "b" }, { at = 1, comment = true } }, l.items)
  end)

  it("tells a cut, a time that is over and a refusal from an end", function()
    assert.same({ "cut", 3 }, { (function(l) return l.how, l.ended end)(look { events = { { after = 3, data = "a" } }, error = "closed" }) })
    local l = look({ events = { "a" }, open = true }, 5)
    assert.same({ "stopped", 5, 5 }, { l.how, l.ended, l.silence })
    l = look { error = "refused" }
    assert.same({ "failed", "refused" }, { l.how, l.code })
    l = look { status = 503, body = "no" }
    assert.same({ "other", 503, false }, { l.how, l.status, l.is_stream })
  end)

  it("reads what is compressed, as it comes", function()
    local zipped = {}
    local gz = assert(io.popen([[python3 -c "
import zlib,sys
c=zlib.compressobj(wbits=31)
for p in (b'data: a\n\n', b'data: b\n\n'):
  o=c.compress(p)+c.flush(zlib.Z_SYNC_FLUSH)
  print(o.hex())
"]]))
    for line in gz:lines() do zipped[#zipped + 1] = (line:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)) end
    gz:close()
    local l = look { headers = { ["Content-Type"] = "text/event-stream", ["Content-Encoding"] = "gzip" }, chunks = { zipped[1], { after = 1, zipped[2] } } }
    assert.same({ { at = 0, data = "a" }, { at = 1, data = "b" } }, l.items)
    assert.equal("gzip", l.coding)
    l = look { headers = { ["Content-Type"] = "text/event-stream", ["Content-Encoding"] = "gzip" }, chunks = { "no gzip at all" } }
    assert.same({ "unreadable", "incorrect header check" }, { l.how, l.message })
  end)
end)

describe("what is found", function()
  it("of events that come one by one, or together", function()
    has(run [[local p = patient({}, { first = stream { items = sent(0.05, { 0.1, 0.15, 0.2, 0.25, 0.31 }) } })
      probes.buffering(p) return found(p)]], "buffering", "ok")
    local bad = run [[
      local function held(gap) return stream { items = sent(gap, { 5, 5, 5, 5, 5, 5.001, 5.001, 5.001, 5.001 }) } end
      local p = patient({ held(0.2), held(0.2) }, { first = held(0.05) })
      probes.buffering(p)
      assert(p.is_held and p.asked[1].query.gap == 0.2)
      return found(p)]]
    has(bad, "buffering", "wrong", "come together, up to 1.6 s late", "proxy_buffering off")
  end)

  it("of events that came together once, as anything may be late", function()
    has(run [[
      local p = patient({ stream { items = sent(0.2, { 0.1, 0.3, 0.5, 0.7, 0.9 }) } }, { first = stream { items = sent(0.05, { 1, 1, 1, 1, 1 }) } })
      probes.buffering(p) return found(p)]], "buffering", "ok")
  end)

  it("of what comes in bursts as large as a buffer", function()
    has(run [[
      local function held(gap) return stream { items = sent(gap, { 4 * gap, 4 * gap, 4 * gap, 4 * gap, 8 * gap, 8 * gap, 8 * gap, 8 * gap }) } end
      local p = patient({ held(0.2), held(0.2) }, { first = held(0.05) })
      probes.buffering(p) return found(p)]], "buffering", "wrong")
  end)

  it("of compression", function()
    local function with(looks, fields)
      return run(([[local p = patient({ %s }, { %s }) probes.compression(p)
        if p.asked[1] then assert(p.asked[1].headers["accept-encoding"] == "gzip") end
        return found(p)]]):format(looks, fields or ""))
    end
    has(with 'stream { items = sent(0.05, { 0, 0.05, 0.1, 0.15 }) }', "compression", "ok", "none")
    has(with 'stream { coding = "gzip", inflater = true, items = sent(0.05, { 0, 0.05, 0.1, 0.15 }) }', "compression", "ok", "by gzip, which holds nothing back")
    local held = 'stream { coding = "gzip", inflater = true, items = sent(0.2, { 5, 5, 5, 5, 5 }) }'
    has(with(held .. "," .. held .. "," .. held), "compression", "wrong", "by gzip holds events back, up to 800 ms", "gzip off")
    has(with('stream { coding = "gzip", inflater = true, how = "stopped" }', 'greeting = false, first = stream { items = { { at = 0.1, data = "x" } } }'),
      "compression", "wrong", "no event comes in 1 s, without it one came after 100 ms")
    has(with('stream { coding = "gzip", inflater = true, items = { { at = 1, data = "x" } } }', "greeting = false"), "compression", "ok", "events come")
    has(with("", 'first = stream { coding = "br" }'), "compression", "wrong", "by br, which was not asked for")
    has(with 'stream { coding = "br", how = "other" }', "compression", "wrong", "cannot be read")
  end)

  it("of silence that is cut, and what comments do about it", function()
    local function with(bare, kept, fields)
      return run(([[local p = patient({ stream { %s }, stream { %s } }, { %s }) silence(p) return found(p)]]):format(bare, kept, fields or ""))
    end
    local GREETED, WHOLE = "items = sent(0, { 0.1 })", "ended = 4, items = sent(4, { 0.1, 4.1 })"
    local KEPT = 'ended = 4, items = { { at = 1, comment = true }, { event = "sent", data = \'{"n":1,"sent":4}\', at = 4 } }'
    local well = with(WHOLE, KEPT)
    has(well, "idle", "ok", "may be silent for 4 s")
    has(well, "half_open", "ok", "comments come through")
    local cut = with(GREETED .. ', ended = 2.1, last_byte = 0.1, how = "cut"', KEPT)
    has(cut, "idle", "wrong", "silent for 2 s is cut, and the server's comments come each 15 s only; a comment each 1 s keeps it open", "proxy_read_timeout")
    cut = with(GREETED .. ', ended = 60.1, last_byte = 0.1, how = "end"', KEPT, "wait = 65")
    has(cut, "idle", "note", "silent for 60 s is cut; a comment each 15 s keeps it open")
    cut = with(GREETED .. ', ended = 2.1, last_byte = 0.1, how = "cut"', GREETED .. ', ended = 3, last_byte = 2.9, how = "cut"')
    has(cut, "idle", "wrong", "a stream is cut after 3 s, although a comment comes each 1 s")
    has(with(GREETED .. ', ended = 14, last_byte = 0.1, how = "stopped"', KEPT), "half_open", "wrong", "the client is not told")
    has(with(WHOLE, WHOLE), "half_open", "wrong", "comments do not come through", "proxy_buffering off")
    has(with("status = 504, head = 2, is_stream = false, how = 'other', ended = 2", KEPT), "idle", "wrong", "0 ms")
    assert.same({}, with("", "", "wait = 0"))
  end)

  it("of a stream of somebody else's that is silent, cut or over", function()
    local function with(look, wait)
      return run(([[local p = patient({ stream { %s } }, { greeting = false, wait = %d }) silence(p) return found(p)]]):format(look, wait or 40))
    end
    has(with 'how = "cut", ended = 12, last_byte = 2', "idle", "wrong", "cut after 12 s, of which the last 10 s were silent", "proxy_read_timeout")
    has(with 'how = "end", ended = 3', "idle", "note", "ends by itself after 3 s")
    local quiet = with 'how = "stopped", ended = 40, last_byte = 2, silence = 2'
    has(quiet, "idle", "ok", "open for 40 s, of which 38 s at most were silent")
    has(quiet, "half_open", "note", "send a comment each 15 s")
    has(with 'how = "stopped", ended = 40, last_byte = 39, silence = 15, items = { { at = 15, comment = true } }', "half_open", "ok", "comments come")
  end)

  it("of Last-Event-ID", function()
    local function with(looks, fields)
      return run(([[local p = patient({ %s }, { %s }) probes.last_event_id(p) return found(p)]]):format(looks, fields or ""))
    end
    has(with [[stream { items = { { event = "doctor", at = 0, data = '{"doctor":1,"sent":0,"last_event_id":"doctor-7"}' } } }]], "last_event_id", "ok", "reaches the server")
    has(with 'stream { items = sent(1, { 0 }) }', "last_event_id", "wrong", "does not reach", "Last-Event-ID but $http_last_event_id")
    local first = 'greeting = false, first = stream { items = { { id = "1", at = 0 }, { id = "2", at = 1 } } }'
    has(with('stream { items = { { id = "1", at = 0 } } }', first), "last_event_id", "note", "begins anew")
    has(with('stream { items = { { id = "3", at = 0 } } }', first), "last_event_id", "ok", "behind the id 2")
    has(with("", 'greeting = false, first = stream { items = { { data = "x", at = 0 } } }'), "last_event_id", "note", "no event has an id")
  end)

  it("of more streams at once than a browser has connections", function()
    local seven = ("stream {},"):rep(7)
    has(run(([[local p = patient { %s } probes.streams(p) return found(p)]]):format(seven)), "streams", "ok", "7 at once")
    has(run([[local p = patient { stream {}, stream {}, stream {}, stream {}, stream { is_stream = false, status = 503 }, stream {}, stream {} }
      probes.streams(p) return found(p)]]), "streams", "wrong", "of 7 at once 6 are answered: status 503", "limit_conn")
  end)

  it("of a client that leaves", function()
    local function with(states)
      return run(([[
        local states = { %s }
        local p = patient { stream {} }
        function p:state_of() return #states > 1 and table.remove(states, 1) or states[1] end
        probes.leaving(p) return found(p)]]):format(states), 20)
    end
    has(with '"open", "open", "client_closed"', "leaving", "ok", "within 200 ms")
    has(with '"open"', "leaving", "wrong", "after 10 s", "proxy_ignore_client_abort off")
    has(with '', "leaving", "note", "are there several?")
  end)

  it("of the head", function()
    local function with(look, greeting)
      return run(([[local p, look = patient {}, stream { %s }
        checks.headers(p.findings, look, %s) checks.cache(p.findings, look) checks.http_version(p.findings, look) return found(p)]]):format(look, greeting or "{}"))
    end
    local good = with 'version = "2", headers = { ["content-type"] = "text/event-stream", ["cache-control"] = "no-cache" }'
    has(good, "headers", "ok")
    has(good, "http_version", "ok", "HTTP/2")
    assert.is_nil(good.cache)
    has(with 'headers = {}', "headers", "wrong", "there is none", "proxy_hide_header")
    has(with('headers = {}', "nil"), "headers", "note", "no X-Accel-Buffering: no")
    has(with 'headers = { ["cache-control"] = "no-store", ["content-length"] = "9" }', "headers", "wrong", "a stream has no length")
    has(with 'headers = { ["cache-control"] = "no-store", ["content-type"] = "text/event-stream; charset=latin1" }', "headers", "wrong", "charset=latin1")
    has(with 'headers = { age = "3" }', "cache", "wrong", "Age: 3", "proxy_cache off")
    has(with 'headers = { ["x-cache"] = "Hit from cloudfront" }', "cache", "wrong", "a hit")
    has(with 'version = "1.0"', "http_version", "wrong", "HTTP/1.0")
    has(with 'version = "1.1"', "http_version", "note", "six connections", "http2 on")
  end)

  it("of the times of head and first event", function()
    local function with(look) return run(([[local p = patient {} checks.times(p.findings, stream { %s }) return found(p)]]):format(look)) end
    local good = with 'head = 0.012, items = { { at = 0.5 } }'
    has(good, "head", "ok", "after 12 ms")
    has(good, "first_event", "ok", "after 500 ms")
    has(with 'head = 3, items = { { at = 3.001 } }', "first_event", "note", "together with the head", "proxy_buffering")
    has(with 'head = 3', "head", "note", "after 3 s")
    has(with 'ended = 10', "first_event", "note", "none within 10 s")
  end)

  it("of the certificate", function()
    local function with(certificate, refused)
      return run(([[local p = patient {} checks.certificate(p.findings, %s, %s, 1000000000) return found(p)]]):format(certificate, refused or "nil"))
    end
    has(with '{ subject = "CN=a", issuer = "CN=b", ends = 1000000000 + 90 * 86400 }', "certificate", "ok", "of CN=a, by CN=b, for 90 more days")
    has(with '{ subject = "CN=a", issuer = "CN=b", ends = 1000000000 + 2 * 86400 }', "certificate", "note", "ends in 2 days")
    has(with('nil', '"a.example:443: SSL certificate problem: certificate has expired"'), "certificate", "wrong", "has expired")
    assert.same({}, with "nil")
  end)

  it("of whom the server takes for its client", function()
    local function with(remote, forwarded)
      return run(([[local p = patient {} checks.address(p.findings, { remote = "%s", fields = { ["x-forwarded-for"] = %s } }) return found(p)]]):format(remote, forwarded))
    end
    has(with("10.0.0.2", '"1.2.3.4, 5.6.7.8"'), "address", "note", "takes 10.0.0.2 for its client, and not 5.6.7.8", "trusted_proxies")
    has(with("5.6.7.8", '"5.6.7.8"'), "address", "ok")
    assert.same({}, with("5.6.7.8", "nil"))
  end)
end)

describe("an examination", function()
  local function examine(seconds, options)
    return run(([[
      local report = examine("%s", { wait = %s })
      return { doctor = report.is_doctor, proxy = report.proxy, wrong = report.wrong, found = found(report), checks = json.array((function()
        local list = {}
        for i, each in ipairs(report.findings) do list[i] = each.check end
        return list
      end)()) }]]):format(URL, options or 5), seconds or 60)
  end

  it("of a stream of somebody else's that does as it should is all well", function()
    t.http.stub("GET", URL, { headers = { ["Cache-Control"] = "no-cache", ["X-Accel-Buffering"] = "no", Server = "nginx/1.29" }, open = true, version = "2",
      events = { { data = "a", id = "1" }, { after = 0.1, data = "b", id = "2" }, { after = 4, comment = "" } } })
    local report = examine()
    assert.same({ false, "nginx", 0 }, { report.doctor, report.proxy, report.wrong })
    has(report.found, "last_event_id", "note", "begins anew")
    assert.same({ "head", "first_event", "compression", "idle", "half_open", "http_version", "streams", "last_event_id", "headers" }, report.checks)
  end)

  it("goes on without trust where a certificate is not trusted", function()
    t.http.stub("GET", URL, { { error = "tls" }, { events = { { data = "a", id = "1" } }, open = true } })
    local report = examine()
    has(report.found, "certificate", "wrong", "the stub's error: tls")
    has(report.found, "idle", "ok")
    assert.equal(1, report.wrong)
  end)

  it("ends where there is no stream", function()
    t.http.stub("GET", URL, { error = "refused" })
    assert.same({ "reach" }, examine().checks)
    t.http.stub("GET", URL, { status = 504, headers = { Server = "nginx" } })
    local report = examine()
    has(report.found, "answer", "wrong", "status 504", "proxy_read_timeout")
    assert.equal("nginx", report.proxy)
    t.http.stub("GET", URL, { body = "<html>" })
    has(examine().found, "answer", "wrong", "Content-Type is text/plain, and not text/event-stream: is this the stream's path?")
  end)

  it("says of what does not answer, or refuses, what that comes from", function()
    t.http.stub("GET", URL, { error = "timeout" })
    has(examine().found, "reach", "wrong", "no answer within 10 s: the server hangs, or something before it collects", "proxy_buffering off")
    t.http.stub("GET", URL, { error = "tls" })
    has(examine().found, "certificate", "wrong", "tls: does nothing there speak TLS? Then it is http://")
    for status, said in pairs { [401] = "say who asks, by -H", [403] = "say who asks", [404] = "is this the stream's path?", [502] = "behind it" } do
      t.http.stub("GET", URL, { status = status })
      has(examine().found, "answer", "wrong", said)
    end
  end)
end)

describe("what stands before a server", function()
  local function proxy(headers, seen)
    return run(([[return { name = require("spate.doctor.proxies").detect(%s, %s) }]]):format(headers, seen or "nil")).name
  end

  it("is known by what it says", function()
    assert.equal("nginx", proxy '{ server = "nginx/1.22.1" }')
    assert.equal("nginx", proxy '{ server = "openresty/1.25" }')
    assert.equal("apache", proxy('{ server = "Apache/2.4.62 (Debian)" }', '{ ["x-forwarded-server"] = "a" }'))
    assert.equal("caddy", proxy '{ via = "1.1 Caddy" }')
    assert.equal("caddy", proxy('{}', '{ via = "1.1 Caddy" }'))
    assert.equal("cloudflare", proxy '{ server = "cloudflare", ["cf-ray"] = "1" }')
    assert.equal("aws", proxy '{ via = "1.1 abc.cloudfront.net (CloudFront)" }')
    assert.equal("aws", proxy('{}', '{ ["x-amzn-trace-id"] = "Root=1" }'))
    assert.equal("traefik", proxy('{}', '{ ["x-forwarded-server"] = "a" }'))
    assert.is_nil(proxy("{}", "{}"))
  end)

  it("has a setting for each thing that may be wrong", function()
    local missing = run [[
      local proxies, missing = require "spate.doctor.proxies", {}
      for _, check in ipairs { "buffering", "compression", "idle", "total", "last_event_id", "http_version", "streams", "leaving", "comments", "cache", "headers" } do
        for _, name in ipairs(proxies.NAMES) do
          if not (proxies.fixes(check) or {})[name] or not proxies.TITLES[name] then missing[#missing + 1] = check .. " " .. name end
        end
      end
      return json.array(missing)]]
    assert.same({}, missing)
  end)
end)
