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
<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chat</title><link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark } body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: auto; padding: 1rem }
  ul { list-style: none; padding: 0; min-height: 9rem; overflow-wrap: anywhere } input, button { font: inherit; padding: .5rem }
  form { display: flex; flex-wrap: wrap; gap: .5rem; position: sticky; bottom: 0; background: Canvas } #text { flex: 1 1 6rem }
</style>
<main>
<h1 id="room"></h1>
<p id="state" role="status">connecting
<div role="log"><ul id="log"></ul></div>
<form><input id="from" placeholder="name" aria-label="Your name" size="8">
  <input id="text" placeholder="message" aria-label="Message" autofocus> <button>Say</button></form>
</main>
<script>
  const room = decodeURIComponent(location.hash.slice(1)) || "lobby", $ = id => document.getElementById(id)
  const base = `/rooms/${encodeURIComponent(room)}`, source = new EventSource(`${base}/events`)
  $("room").textContent = room
  source.onopen = () => $("state").textContent = "live"
  source.onerror = () => $("state").textContent = "lost; the browser tries again"
  source.addEventListener("message", e => {
    const { from, text } = JSON.parse(e.data), line = document.createElement("li")
    line.textContent = `${from}: ${text}`
    $("log").append(line), line.scrollIntoView({ block: "nearest" })
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
