-- spate serve examples/lasting_chat.lua --store sqlite:chat.db, open http://localhost:8080, stop it, serve it again
-- SPDX-License-Identifier: MIT
-- A chat that survives a restart: messages of the last 30 days, the number of them, and where each client was. Nothing
-- here is about that but two options; without --store it is all in memory, until the server ends.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

local room = sse.channel("room", { history = 10000, ttl = 30 * 24 * 60 * 60 })
local counts = spate.shared("counts", { store = true })

app:get("/events", function(req)
  local sub, why = room:subscribe { after = req.last_event_id, replay = 50 }
  if not sub then return reply.error(503, why) end
  return sse.reply(sub)
end)

app:post("/messages", function(req)
  local text = req:body()
  if text == "" then return reply.error(400, "say something") end
  local id, why = room:publish { event = "message", json = { text = text } } -- on the disk once this returns
  if not id then return reply.error(503, why) end -- try again: the page does
  return reply.json({ id = id, number = counts:incr "messages" }, 201)
end)

local PAGE = [[
<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<style>body { font: 1.1em sans-serif; margin: 2em } li { list-style: none }</style>
<p id="state">connecting
<ul id="log"></ul>
<form><input id="text" placeholder="message" autofocus> <button>Say</button></form>
<script>
  const $ = id => document.getElementById(id), source = new EventSource("/events")
  source.onopen = () => $("state").textContent = "live"
  source.onerror = () => $("state").textContent = "the server is away; the browser tries again, and misses nothing"
  source.addEventListener("message", e => {
    const line = document.createElement("li")
    line.textContent = JSON.parse(e.data).text
    $("log").append(line)
  })
  source.addEventListener("reset", () => $("log").replaceChildren())
  const say = text => fetch("/messages", { method: "POST", body: text })
    .then(res => res.status == 503 && setTimeout(say, 1000, text), () => setTimeout(say, 1000, text))
  document.querySelector("form").onsubmit = e => {
    e.preventDefault()
    say($("text").value)
    $("text").value = ""
  }
</script>
]]

app:get("/", function() return reply.html(PAGE) end)

return app
