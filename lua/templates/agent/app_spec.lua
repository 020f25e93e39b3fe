-- spate test
local t = require "spate.test"

describe("the agent", function()
  local app = t.load "app.lua"
  before_each(function() app:reset() end) -- a new state, its clock at 0

  local URL = "http://localhost:8080/demo/v1/chat/completions"

  local function said(delta) return { json = { choices = { { index = 0, delta = delta } } } } end

  local function later(delta) return { after = 1, json = said(delta).json } end

  -- What the model's server says, one answer after the other.
  local function model(...)
    local answers = {}
    for i, events in ipairs { ... } do
      events[#events + 1] = { data = "[DONE]" }
      answers[i] = { events = events }
    end
    return t.http.stub("POST", URL, answers)
  end

  local function ask(text)
    local res = app:post("/chats/a", { json = { text = text } })
    assert.status(202, res)
    return res:json().answer
  end

  it("answers with what its tools say", function()
    local function piece(id, name, arguments)
      return said { tool_calls = { { index = 0, id = id, ["function"] = { name = name, arguments = arguments } } } }
    end
    local stub = model({ piece("x", "multiply", '{"a":6,'), piece(nil, nil, '"b":7}') },
      { said { content = "It is " }, said { content = "42." } })
    local res = app:get(ask "6 * 7?")
    assert.events(res, { { event = "tool", json = { name = "multiply", arguments = '{"a":6,"b":7}', result = "42" } },
      { event = "token", json = "It is " }, { event = "token", json = "42." }, { event = "end" } })
    assert.equal(2, #stub.requests)
    assert.matches('"role":"tool","tool_call_id":"x"', stub.requests[2].body, 1, true)
    assert.equal("It is 42.", app:get("/chats/a"):json().messages[4].content)
  end)

  it("goes on where a reader lost it, and is asked for once", function()
    local stub = model { said { content = "one" }, later { content = "two" } }
    local answer = ask "count"
    local first = app:get(answer)
    local last = first:events()[1].id
    first:close()
    t.advance(2) -- seconds, in no time
    local again = app:get(answer, { headers = { ["Last-Event-ID"] = last } })
    assert.events(again, { { event = "token", json = "two" }, { event = "end" } })
    assert.equal(1, #stub.requests)
  end)

  it("stops when it is told to, and says what is wrong", function()
    model { said { content = "one" }, later { content = "two" }, later { content = "three" } }
    local res = app:get(ask "count")
    assert.status(409, app:post("/chats/a", { json = { text = "more" } }))
    app:delete "/chats/a/answer"
    t.advance(5)
    assert.has_no_event(res, { json = "three" })
    assert.has_event(res, { event = "end" })
    t.http.stub("POST", URL, { status = 401, body = "no such key" })
    assert.has_event(app:get(ask "again"), { event = "error", data = URL .. " answered 401: no such key" })
  end)

  it("has a demo to talk to, and a page", function()
    local res = app:post("/demo/v1/chat/completions", { json = { messages = { { role = "user", content = "6 * 7" } } } })
    local call = res:events()[1].json.choices[1].delta.tool_calls[1]["function"]
    assert.same({ name = "multiply", arguments = '{"a":6,"b":7}' }, call)
    assert.status(200, app:get "/")
    assert.status(400, app:post("/chats/a", { json = {} }))
    assert.status(404, app:get("/chats/" .. ("x"):rep(101)))
  end)
end)
