-- SPDX-License-Identifier: MIT
-- The script that `make bench` puts under load; nginx.conf and node_server.mjs answer the same paths.
local spate, sse = require "spate", require "spate.sse"

local app = spate.app()

app:get("/interval", function()
  return sse.reply(sse.interval(0.1):map(function(n) return n end))
end)

app:get("/sleep", function()
  return sse.reply(function(send)
    local n = 0
    while true do
      n = n + 1
      send(n)
      sse.sleep(0.1)
    end
  end)
end)

app:get("/never", function() return sse.reply(sse.never()) end)

app:get("/idle", function()
  return sse.reply(function(send)
    send("hi")
    while true do sse.sleep(3600) end
  end)
end)

app:get("/hello", function(req) return "hello " .. (req.query.name or "world") end)

local news, past = sse.channel("news"), sse.channel("past", { history = 100 })

app:get("/sub", function() return sse.reply(news:subscribe()) end)
app:post("/pub", function(req) return (assert(news:publish(req:body()))) end)
app:post("/kick", function()
  spate.kick { channel = "news", reason = "moved" }
  return spate.reply.status(204)
end)
app:get("/tagged", function(req)
  req:tag "user:42"
  return sse.reply(sse.never())
end)
app:post("/kick/tag", function()
  spate.kick { tag = "user:42", reason = "moved" }
  return spate.reply.status(204)
end)
app:get("/past/sub", function(req) return sse.reply(past:subscribe { after = req.last_event_id }) end)
app:post("/past/pub", function(req) return (assert(past:publish(req:body()))) end)
app:post("/pair/:name", function(req) return (assert(sse.channel(req.params.name):publish(req:body()))) end)
app:get("/pair/:name", function(req) return sse.reply(sse.channel(req.params.name):subscribe()) end)

return app
