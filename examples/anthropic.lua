-- spate serve examples/anthropic.lua, then: curl -N localhost:8080/v1/messages -H 'X-Api-Key: secret' \
--   -d '{"model":"echo","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"to be or not"}]}'
-- SPDX-License-Identifier: MIT
-- A chat that Anthropic's client libraries can talk to: their base URL is http://localhost:8080. It says what was said.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply

local KEY = spate.env("API_KEY", "secret")

local function failure(status, kind, message)
  return reply.json({ type = "error", error = { type = kind, message = message } }, status)
end

-- What the last message says: a string, or parts of which the first is text.
local function prompt_of(body)
  local messages = type(body) == "table" and body.messages
  local last = type(messages) == "table" and messages[#messages]
  local content = type(last) == "table" and last.content
  if type(content) == "table" and type(content[1]) == "table" then content = content[1].text end
  return type(content) == "string" and content
end

-- As the libraries send it, newer and older ones.
local function key_of(req)
  return (req.headers.authorization or ""):match "^Bearer (.+)$" or req.headers["x-api-key"] or ""
end

app:post("/v1/messages", function(req)
  if not spate.equal(key_of(req), KEY) then return failure(401, "authentication_error", "invalid x-api-key") end
  local body, err = req:json()
  local prompt = prompt_of(body)
  if not prompt then return failure(400, "invalid_request_error", err or "messages: expected one with content at the end") end

  local message = { id = "msg_" .. spate.uuid(), type = "message", role = "assistant", model = body.model, content = {},
    stop_reason = json.null, stop_sequence = json.null, usage = { input_tokens = #prompt, output_tokens = 0 } }
  if not body.stream then
    message.content, message.stop_reason = { { type = "text", text = prompt } }, "end_turn"
    return message
  end

  return sse.reply(function(send)
    local function emit(kind, fields)               -- the event's name stands in its data as well
      fields.type = kind
      send { event = kind, json = fields }
    end
    emit("message_start", { message = message })
    emit("content_block_start", { index = 0, content_block = { type = "text", text = "" } })
    emit("ping", {})
    for token in prompt:gmatch("%s*%S+") do
      emit("content_block_delta", { index = 0, delta = { type = "text_delta", text = token } })
      sse.sleep(0.05)
    end
    emit("content_block_stop", { index = 0 })
    emit("message_delta", { delta = { stop_reason = "end_turn", stop_sequence = json.null }, usage = { output_tokens = #prompt } })
    emit("message_stop", {})
  end)
end)

return app
