-- spate serve examples/openai.lua, then: curl -N localhost:8080/v1/chat/completions -H 'Authorization: Bearer secret' \
--   -d '{"model":"echo","stream":true,"messages":[{"role":"user","content":"to be or not"}]}'
-- SPDX-License-Identifier: MIT
-- A chat that OpenAI's client libraries can talk to: their base URL is http://localhost:8080/v1. It says what was said.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply

local KEY = "Bearer " .. spate.env("API_KEY", "secret")

local function failure(status, code, message)
  local what = { message = message, type = "invalid_request_error", param = json.null, code = code }
  return reply.json({ error = what }, status)
end

-- What the last message says: a string, or parts of which the first is text.
local function prompt_of(body)
  local messages = type(body) == "table" and body.messages
  local last = type(messages) == "table" and messages[#messages]
  local content = type(last) == "table" and last.content
  if type(content) == "table" and type(content[1]) == "table" then content = content[1].text end
  return type(content) == "string" and content
end

app:post("/v1/chat/completions", function(req)
  if not spate.equal(req.headers.authorization or "", KEY) then
    return failure(401, "invalid_api_key", "Incorrect API key provided")
  end
  local body, err = req:json()
  local prompt = prompt_of(body)
  if not prompt then return failure(400, "invalid_messages", err or "messages: expected one with content at the end") end

  local id, created = "chatcmpl-" .. spate.uuid(), os.time()
  local function answer(kind, field, value, reason)
    local choice = { index = 0, [field] = value, finish_reason = reason or json.null }
    return { id = id, object = kind, created = created, model = body.model, choices = { choice } }
  end
  if not body.stream then return answer("chat.completion", "message", { role = "assistant", content = prompt }, "stop") end

  return sse.reply(function(send)
    local function chunk(delta, reason) send { json = answer("chat.completion.chunk", "delta", delta, reason) } end
    chunk { role = "assistant", content = "" }
    for token in prompt:gmatch("%s*%S+") do
      chunk { content = token }
      sse.sleep(0.05)
    end
    chunk(json.object {}, "stop")
    send "[DONE]"
  end)
end)

return app
