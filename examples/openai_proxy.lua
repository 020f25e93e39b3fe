-- spate serve examples/openai_proxy.lua with LLM_KEY set, and a client's base URL at http://localhost:8080/v1
-- SPDX-License-Identifier: MIT
-- In front of a language model: its key stays here, and its answer goes through token by token.
local spate, sse = require "spate", require "spate.sse"
local http = require "spate.http"
local app, reply = spate.app(), spate.reply

app:post("/v1/chat/completions", function(req)
  local up, err = http.post("https://llm.example/v1/chat/completions", {
    body = req:body(), timeout = { connect = 5, idle = 120 },
    headers = { ["content-type"] = "application/json", authorization = "Bearer " .. spate.env "LLM_KEY" } })
  if not up then return reply.error(502, err) end
  if not up:is_event_stream() then return reply.pass(up) end       -- 4xx/5xx and stream=false go through
  return sse.reply(up:events())                                    -- client gone: the upstream is closed
end)

return app
