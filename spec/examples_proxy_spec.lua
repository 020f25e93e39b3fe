-- SPDX-License-Identifier: MIT
-- The examples that stand between clients and other servers.
local t = require "spate.test"

describe("examples/llm_proxy.lua", function()
  local URL = "http://localhost:8081/v1/chat/completions"
  local app

  before_each(function() app = t.load "examples/llm_proxy.lua" end)

  local function ask(options)
    options = options or {}
    local headers = { Authorization = "Bearer " .. (options.key or "ann-key"), ["X-Answer"] = options.answer, ["Last-Event-ID"] = options.after }
    return app:post("/v1/chat/completions", { json = { stream = options.stream ~= false }, headers = headers })
  end

  local function tokens(n, after)
    local events = {}
    for i = 1, n do events[i] = { after = after, data = tostring(i) } end
    events[n + 1] = { after = after, data = "[DONE]" }
    return events
  end

  it("asks with its own key, and hands on each token when it comes", function()
    local up = t.http.stub("POST", URL, { events = tokens(2, 1) })
    local res = ask()
    assert.sse_headers(res)
    t.advance(1)
    assert.events(res, { { data = "1" } })
    t.advance(2)
    assert.events(res, { { data = "1" }, { data = "2" }, { data = "[DONE]" } })
    assert.closed(res, "finished")
    assert.equal("Bearer secret", up.requests[1].headers.authorization)
    assert.same({ stream = true }, up.requests[1].json)
  end)

  it("lets nobody in without a key, and no more than the budget", function()
    t.http.stub("POST", URL, { events = tokens(600) })
    assert.status(401, ask { key = "other" })
    assert.equal(601, #ask():events())
    local last = ask()
    assert.equal(399, #last:events()) -- cut off where the budget ends
    assert.status(429, ask())
    assert.equal("insufficient_quota", ask():json().error.code)
    assert.status(200, ask { key = "bob-key" })
    t.advance(86400)
    assert.status(200, ask())
  end)

  it("hangs up with the client", function()
    local up = t.http.stub("POST", URL, { events = tokens(2, 1) })
    local res = ask()
    t.advance(1)
    res:close()
    assert.is_true(up.closed)
  end)

  it("passes what is no stream on, and tells of a server that is not there", function()
    t.http.stub("POST", URL, { { status = 400, json = { error = "bad" } }, { error = "refused" } })
    local res = ask { stream = false }
    assert.status(400, res)
    assert.same({ error = "bad" }, res:json())
    assert.status(502, ask { stream = false })
  end)

  it("goes on with an answer for a client who comes back, and asks once", function()
    local up = t.http.stub("POST", URL, { events = tokens(3, 1) })
    local res = ask { answer = "1" }
    t.advance(1)
    local id = res:events()[1].id
    res:close()
    t.advance(2)
    assert.is_false(up.closed)
    local again = ask { answer = "1", after = id }
    t.advance(1)
    assert.events(again, { { data = "2" }, { data = "3" }, { data = "[DONE]" } })
    assert.equal(1, #up.requests)
    t.advance(60)
  end)

  it("gives an answer up that nobody comes back to", function()
    local up = t.http.stub("POST", URL, { events = tokens(100, 1) })
    ask({ answer = "1" }):close()
    t.advance(11)
    assert.is_true(up.closed)
  end)
end)

describe("examples/aggregator.lua", function()
  local app

  before_each(function() app = t.load "examples/aggregator.lua" end)

  it("reads each source once for all, and goes on where one breaks off", function()
    local ups = {}
    for i, port in ipairs { 8081, 8082, 8083 } do
      ups[i] = t.http.stub("GET", ("http://localhost:%d/ticks"):format(port), { { events = { { after = i, data = "1" } }, error = "closed" },
        { events = { { data = "2" } }, open = true } })
    end
    local a, b = app:get "/events", app:get "/events?from=paris"
    t.advance(2)
    assert.events(a, { { event = "berlin", data = "1" }, { event = "paris", data = "1" } })
    assert.events(b, { { event = "paris", data = "1" } })
    t.advance(10)
    assert.equal(6, #a:events())
    assert.equal(2, #b:events())
    for _, up in ipairs(ups) do assert.equal(2, #up.requests) end
    assert.equal(1, #app:get("/events?from=rome"):close():events()) -- the newest at once
    a:close()
    b:close()
    t.advance(31)
    for _, up in ipairs(ups) do assert.is_true(up.closed) end
    assert.status(404, app:get "/events?from=nowhere")
  end)
end)
