-- spate serve examples/tokens.lua, then: curl -N localhost:8080/generate -d '{"prompt":"to be or not"}'
-- SPDX-License-Identifier: MIT
-- What a language model's server does: JSON is posted, the answer comes token by token, [DONE] is the end.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

app:post("/generate", function(req)
  local body, err = req:json()
  if type(body) ~= "table" or type(body.prompt) ~= "string" then
    return reply.error(400, err or "prompt is required")
  end

  return sse.reply(function(send)                   -- a function is a stream
    for token in body.prompt:gmatch("%s*%S+") do    -- " word" keeps its blank
      send { json = { token = token } }
      sse.sleep(0.05)                               -- only this client waits
    end
    send "[DONE]"
  end)
end)

return app
