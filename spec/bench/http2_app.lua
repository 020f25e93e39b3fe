-- SPDX-License-Identifier: MIT
-- What spec/bench/http2 asks for: short answers, streams that never send, and one channel for all.
local spate, sse = require "spate", require "spate.sse"
local app = spate.app()

local news = sse.channel("news", { queue = 256 })

app:get("/hello", function(req) return "hello " .. (req.query.name or "world") end)

app:get("/never", function() return sse.reply(sse.never()) end)

app:get("/sub", function() return sse.reply(news:subscribe()) end)

-- Publishes n events of 64 bytes, ten a second, and answers when they are all out.
app:post("/publish", function(req)
  for i = 1, tonumber(req.query.n) do
    news:publish(("%d "):format(i) .. ("x"):rep(50))
    sse.sleep(0.1)
  end
  return ""
end)

return app
