-- spate serve examples/htmx.lua, then open http://localhost:8080 and: curl -d 'It works' localhost:8080/news
-- SPDX-License-Identifier: MIT
-- Pieces of HTML as events, for htmx and its sse extension: <ul hx-ext="sse" sse-connect="/news" sse-swap="item">.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

local news = sse.channel("news", { history = 20 })
local items = news:derive(function(event) -- once for all readers
  return { event = "item", id = event.id, data = "<li>" .. spate.escape(event.data) .. "</li>" }
end)

app:post("/news", function(req)
  news:publish(req:body())
  return reply.status(202)
end)

app:get("/news", function(req)
  return sse.reply(items:subscribe { after = req.last_event_id, replay = 5 })
end)

app:get("/", function(req)
  return reply.html [[
<!doctype html>
<meta charset="utf-8">
<title>News</title>
<script src="https://unpkg.com/htmx.org@2"></script>
<script src="https://unpkg.com/htmx-ext-sse@2"></script>
<ul hx-ext="sse" sse-connect="/news" sse-swap="item" hx-swap="afterbegin"></ul>
]]
end)

return app
