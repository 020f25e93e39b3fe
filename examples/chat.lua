-- spate serve examples/chat.lua, then open http://localhost:8080/#lua in two windows
-- SPDX-License-Identifier: MIT
-- Rooms. Who comes gets the last 20 messages, who comes back gets all that were missed: browsers send the id of the
-- last event that they have by themselves.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

local function room(name) return sse.channel("room:" .. name, { history = 200 }) end

app:get("/rooms/:room/events", function(req)
  return sse.reply(room(req.params.room):subscribe { after = req.last_event_id, replay = 20 })
end)

app:post("/rooms/:room/messages", function(req)
  local msg, err = req:json()
  if type(msg) ~= "table" or type(msg.text) ~= "string" then return reply.error(400, err or "text is required") end
  local id, why = room(req.params.room):publish { event = "message", json = { from = msg.from or "anon", text = msg.text } }
  if not id then return reply.error(503, why) end
  return reply.json({ id = id }, 201)
end)

local PAGE = [[
<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<style>body { font: 1.1em sans-serif; margin: 2em } li { list-style: none }</style>
<h1 id="room"></h1>
<p id="state">connecting
<ul id="log"></ul>
<form><input id="from" placeholder="name" size="8"> <input id="text" placeholder="message" autofocus> <button>Say</button></form>
<script>
  const room = decodeURIComponent(location.hash.slice(1)) || "lobby", $ = id => document.getElementById(id)
  const base = `/rooms/${encodeURIComponent(room)}`, source = new EventSource(`${base}/events`)
  $("room").textContent = room
  source.onopen = () => $("state").textContent = "live"
  source.onerror = () => $("state").textContent = "lost; the browser tries again"
  source.addEventListener("message", e => {
    const { from, text } = JSON.parse(e.data), line = document.createElement("li")
    line.textContent = `${from}: ${text}`
    $("log").append(line)
  })
  source.addEventListener("reset", () => $("log").replaceChildren()) // older messages are gone: what is left follows
  document.querySelector("form").onsubmit = e => {
    e.preventDefault()
    fetch(`${base}/messages`, { method: "POST", body: JSON.stringify({ from: $("from").value || undefined, text: $("text").value }) })
    $("text").value = ""
  }
</script>
]]

app:get("/", function(req) return reply.html(PAGE) end)

return app
