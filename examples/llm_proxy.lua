-- spate serve examples/llm_proxy.lua (and examples/openai.lua at :8081, or LLM_URL and LLM_KEY of a model), then:
--   curl -N localhost:8080/v1/chat/completions -H 'Authorization: Bearer ann-key' -H 'X-Answer: 1' \
--     -d '{"model":"echo","stream":true,"messages":[{"role":"user","content":"to be or not"}]}'
-- SPDX-License-Identifier: MIT
-- In front of an OpenAI-compatible server: keys of our own, a budget per user and day, and answers that a client who was
-- cut off comes back to: the same request with the same X-Answer and a Last-Event-ID.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local http = require "spate.http"
local app, reply = spate.app(), spate.reply

local URL, KEY = spate.env("LLM_URL", "http://localhost:8081/v1"), spate.env("LLM_KEY", "secret")
local USERS = { ["Bearer ann-key"] = "ann", ["Bearer bob-key"] = "bob" }
local BUDGET = 1000 -- chunks of answers, about a token each
local spent = spate.shared "spent"

local function failure(status, code, message)
  return reply.json({ error = { message = message, type = code, param = json.null, code = code } }, status)
end

-- One chunk less to spend; false where there is none.
local function spend(user) return (spent:incr(user, 1, { ttl = 86400 }) or math.huge) <= BUDGET end

local function ask(body)
  return http.post(URL .. "/chat/completions", { body = body, timeout = { connect = 5, idle = 120 },
    headers = { ["Content-Type"] = "application/json", Authorization = "Bearer " .. KEY } })
end

-- An answer that outlives its connection: nobody there for 10 seconds cancels it, and closes the other server's.
local function resumable(req, user, body)
  return sse.resumable(user .. " " .. req.headers["X-Answer"], function(send)
    local up <close> = assert(ask(body))
    if not up:is_event_stream() then return send { event = "error", data = up:body() or "no answer" } end
    for event in up:events():each() do
      if not spend(user) then break end
      send { event = event.event, data = event.data }
    end
  end, { after = req.last_event_id, linger = 10 })
end

app:post("/v1/chat/completions", function(req)
  local user = USERS[req.headers.authorization or ""]
  if not user then return failure(401, "invalid_api_key", "Incorrect API key provided") end
  if (spent:get(user) or 0) >= BUDGET then return failure(429, "insufficient_quota", "The budget of today is spent") end
  local body = req:body()
  local options = json.decode(body)
  if type(options) ~= "table" then return failure(400, "invalid_json", "expected JSON") end
  if options.stream == true and req.headers["X-Answer"] then return sse.reply(resumable(req, user, body)) end
  local up, err = ask(body)
  if not up then return failure(502, "upstream", err) end
  if not up:is_event_stream() then return reply.pass(up) end
  return sse.reply(up:events():take_while(function() return spend(user) end))
end)

return app
