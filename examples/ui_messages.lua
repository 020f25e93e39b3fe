-- spate serve examples/ui_messages.lua, then: curl -N localhost:8080/api/chat \
--   -d '{"id":"a","messages":[{"role":"user","parts":[{"type":"text","text":"to be or not"}]}]}'
-- SPDX-License-Identifier: MIT
-- What useChat of Vercel's AI SDK talks to: its UI message stream. A page that is loaded again while an answer comes
-- asks for the stream of its chat (resume: true) and has the answer from its start; 204 says that none comes.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply

local HEADERS = { ["x-vercel-ai-ui-message-stream"] = "v1" }
local answers = spate.shared "answers" -- what is being answered, by the chat's id

-- The text of the last message; nil where there is none.
local function prompt_of(body)
  local messages = type(body) == "table" and type(body.id) == "string" and body.messages
  local last = type(messages) == "table" and messages[#messages]
  local parts = type(last) == "table" and last.parts
  local part = type(parts) == "table" and parts[1]
  return type(part) == "table" and type(part.text) == "string" and part.text or nil
end

local function stream(chat, text)
  local answer = json.decode(text)
  return sse.resumable("answer:" .. answer.id, function(send)
    local _ <close> = setmetatable({}, { __close = function() -- at its end, and when nobody has read it for a while
      if answers:get(chat) == text then answers:delete(chat) end
    end })
    send { json = { type = "start", messageId = answer.id } }
    send { json = { type = "text-start", id = "1" } }
    for token in answer.prompt:gmatch("%s*%S+") do
      send { json = { type = "text-delta", id = "1", delta = token } }
      sse.sleep(0.05)
    end
    send { json = { type = "text-end", id = "1" } }
    send { json = { type = "finish" } }
    send "[DONE]"
  end, { linger = 5, ttl = 5 })
end

app:post("/api/chat", function(req)
  local body, err = req:json()
  local prompt = prompt_of(body)
  if not prompt then return reply.error(400, err or "id and messages with text are required") end
  local text = json.encode { id = spate.uuid(), prompt = prompt }
  answers:set(body.id, text)
  return sse.reply(stream(body.id, text), { headers = HEADERS })
end)

app:get("/api/chat/:chat/stream", function(req)
  local text = answers:get(req.params.chat)
  if not text then return reply.status(204) end
  return sse.reply(stream(req.params.chat, text), { headers = HEADERS })
end)

return app
