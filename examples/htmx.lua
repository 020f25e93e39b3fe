-- spate serve examples/htmx.lua, then open http://localhost:8080 and: curl -d 'It works' localhost:8080/news
-- SPDX-License-Identifier: MIT
-- Pieces of HTML as events, for htmx and its sse extension: <ul hx-ext="sse" sse-connect="/news" sse-swap="item">.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

local news = sse.channel("news", { history = 20 })
local items = news:derive(function(event) -- once for all readers
  return { event = "item", id = event.id, data = "<li>" .. spate.escape(event.data or "") .. "</li>" }
end)

app:post("/news", function(req)
  news:publish(req:body())
  return reply.status(202)
end)

app:get("/news", function(req)
  return sse.reply(items:subscribe { after = req.last_event_id, replay = 5 })
end)

-- The page is in the words of htmx; the script in it understands as much of them as it needs, so that nothing comes from
-- elsewhere. With htmx and its extension in a folder (app:static) two script elements take its place.
app:get("/", function(req)
  return reply.html [[
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>News</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 0 auto; padding: 1rem }
  li { overflow-wrap: anywhere; padding: .25rem 0 }
</style>
<main>
<h1>News</h1>
<ul hx-ext="sse" sse-connect="/news" sse-swap="item" hx-swap="afterbegin" aria-live="polite"></ul>
</main>
<script>
  for (const list of document.querySelectorAll("[sse-connect]")) {
    const source = new EventSource(list.getAttribute("sse-connect"))
    source.addEventListener(list.getAttribute("sse-swap"), e => list.insertAdjacentHTML(list.getAttribute("hx-swap"), e.data))
  }
</script>
]]
end)

return app
