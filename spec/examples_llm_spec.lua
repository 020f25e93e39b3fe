-- SPDX-License-Identifier: MIT
-- The examples that speak the protocols of language models' clients, in virtual time.
local helper = require "spec.helper"

local json = helper.json

local function serve(name)
  local server = helper.serve("examples/" .. name)
  finally(function()
    server:advance(60) -- what waits for a reader to come back
    server:close()
  end)
  return server
end

-- The data of all events but [DONE], decoded; and the last data as it is.
local function decoded(res)
  local list, data = {}, res:data()
  for i, text in ipairs(data) do list[i] = json.decode(text) end
  return list, data[#data]
end

local function joined(list, get)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = get(value) or "" end
  return table.concat(parts)
end

describe("examples/openai.lua", function()
  local PROMPT = { { role = "system", content = "be brief" }, { role = "user", content = "to be  or" } }

  local function ask(server, body, key)
    return server:post("/v1/chat/completions", { json = body, headers = { Authorization = key or "Bearer secret" } })
  end

  it("streams chunks with one id, the role first and the reason of the end last, then [DONE]", function()
    local server = serve "openai.lua"
    local res = ask(server, { model = "echo", stream = true, messages = PROMPT })
    assert.equal("text/event-stream", res:header("Content-Type"))
    server:advance(1)
    local chunks, last = decoded(res)
    assert.equal("[DONE]", last)
    assert.equal(5, #chunks)
    assert.same({ role = "assistant", content = "" }, chunks[1].choices[1].delta)
    assert.equal("to be  or", joined(chunks, function(c) return c.choices[1].delta.content end))
    assert.equal("stop", chunks[5].choices[1].finish_reason)
    assert.truthy(res:data()[5]:find('"delta":{}', 1, true))
    assert.truthy(res:data()[1]:find('"finish_reason":null', 1, true))
    for _, chunk in ipairs(chunks) do
      assert.same({ chunks[1].id, "chat.completion.chunk", "echo", 0 }, { chunk.id, chunk.object, chunk.model, chunk.choices[1].index })
    end
    assert.is_true(res:has_ended())
  end)

  it("answers at once where no stream is wanted, and takes content in parts", function()
    local content = { { type = "text", text = "hi" } }
    local answer = ask(serve "openai.lua", { model = "echo", messages = { { role = "user", content = content } } }):json()
    assert.equal("chat.completion", answer.object)
    assert.same({ role = "assistant", content = "hi" }, answer.choices[1].message)
  end)

  it("refuses a wrong key and what is no conversation, as that API does", function()
    local server = serve "openai.lua"
    local res = ask(server, { messages = PROMPT }, "Bearer guess")
    assert.equal(401, res:status())
    assert.equal("invalid_api_key", res:json().error.code)
    for _, body in ipairs { { messages = json.array {} }, { messages = "hi" }, { messages = { "hi" } }, json.array { 1 } } do
      res = ask(server, body)
      assert.equal(400, res:status())
      assert.equal("invalid_request_error", res:json().error.type)
    end
  end)

  it("stops when the client leaves", function()
    local server = serve "openai.lua"
    ask(server, { stream = true, messages = PROMPT }):close()
    assert.equal(0, server:stats().tasks)
  end)
end)

describe("examples/anthropic.lua", function()
  local PROMPT = { { role = "user", content = "to be  or" } }

  local function ask(server, body, key)
    return server:post("/v1/messages", { json = body, headers = { ["X-Api-Key"] = key or "secret" } })
  end

  it("streams named events, from message_start to message_stop", function()
    local server = serve "anthropic.lua"
    local res = ask(server, { model = "echo", max_tokens = 9, stream = true, messages = PROMPT })
    server:advance(1)
    local names, data = {}, decoded(res)
    for i, event in ipairs((res:events())) do
      names[i] = event.event
      assert.equal(event.event, data[i].type)
    end
    assert.same({ "message_start", "content_block_start", "ping", "content_block_delta", "content_block_delta",
      "content_block_delta", "content_block_stop", "message_delta", "message_stop" }, names)
    assert.equal("to be  or", joined(data, function(d) return d.delta and d.delta.text end))
    assert.truthy(res:data()[1]:find('"content":[]', 1, true))
    assert.truthy(res:data()[1]:find('"stop_reason":null', 1, true))
    assert.equal("end_turn", data[8].delta.stop_reason)
    assert.is_true(res:has_ended())
  end)

  it("answers at once where no stream is wanted", function()
    local message = ask(serve "anthropic.lua", { model = "echo", max_tokens = 9, messages = PROMPT }):json()
    assert.same({ { type = "text", text = "to be  or" } }, message.content)
    assert.equal("end_turn", message.stop_reason)
  end)

  it("takes its key as a bearer token as well", function()
    local server = serve "anthropic.lua"
    for token, status in pairs { secret = 200, guess = 401 } do
      local res = server:post("/v1/messages", { json = { messages = PROMPT }, headers = { Authorization = "Bearer " .. token } })
      assert.equal(status, res:status())
    end
  end)

  it("refuses a wrong key and what is no conversation, as that API does", function()
    local server = serve "anthropic.lua"
    local res = ask(server, { messages = PROMPT }, "guess")
    assert.equal(401, res:status())
    assert.same({ type = "error", error = { type = "authentication_error", message = "invalid x-api-key" } }, res:json())
    res = ask(server, { messages = json.array {} })
    assert.equal(400, res:status())
    assert.equal("invalid_request_error", res:json().error.type)
  end)
end)

describe("examples/ui_messages.lua", function()
  local function ask(server, text)
    local message = { id = "1", role = "user", parts = { { type = "text", text = text } } }
    return server:post("/api/chat", { json = { id = "a", trigger = "submit-message", messages = { message } } })
  end

  it("streams the parts of a message, then [DONE]", function()
    local server = serve "ui_messages.lua"
    local res = ask(server, "to be  or")
    assert.equal("v1", res:header("x-vercel-ai-ui-message-stream"))
    server:advance(1)
    local parts, last = decoded(res)
    assert.equal("[DONE]", last)
    local types = {}
    for i, part in ipairs(parts) do types[i] = part.type end
    assert.same({ "start", "text-start", "text-delta", "text-delta", "text-delta", "text-end", "finish" }, types)
    assert.equal("to be  or", joined(parts, function(part) return part.delta end))
    assert.is_true(res:has_ended())
  end)

  it("gives who comes back the answer from its start, and nothing once it is over", function()
    local server = serve "ui_messages.lua"
    local function again() return server:get("/api/chat/a/stream") end
    assert.equal(204, again():status())
    local res = ask(server, "to be or not")
    server:advance(0.06)
    res:close()
    server:advance(1)
    assert.equal(204, again():status()) -- it went on to its end
    res = ask(server, ("to be "):rep(20))
    server:advance(0.06)
    local second = again()
    server:advance(3)
    assert.same(res:data(), second:data())
    assert.equal("v1", second:header("x-vercel-ai-ui-message-stream"))
    assert.equal(204, again():status())
  end)

  it("forgets an answer that nobody reads, and keeps the one that has come after it", function()
    local server = serve "ui_messages.lua"
    ask(server, ("to be "):rep(1000)):close()
    server:advance(3)
    local res = ask(server, ("or not "):rep(100))
    server:advance(3) -- the first is given up
    local second = server:get("/api/chat/a/stream")
    assert.equal(200, second:status())
    assert.same(res:data(), second:data())
    res:close()
    second:close()
    server:advance(6)
    assert.equal(204, server:get("/api/chat/a/stream"):status())
    assert.equal(0, server:stats().tasks)
  end)

  it("refuses what is no conversation", function()
    local server = serve "ui_messages.lua"
    assert.equal(400, server:post("/api/chat", { json = { id = "a" } }):status())
    assert.equal(400, server:post("/api/chat", { body = "{" }):status())
  end)
end)
