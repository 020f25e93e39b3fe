-- spate serve examples/board.lua, then open http://localhost:8080 in a browser
-- SPDX-License-Identifier: MIT
-- The load of this machine for everybody who looks: sampled and encoded once, however many they are.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

local board = sse.channel("metrics", { history = 1 })

sse.every(2, function() -- on one worker, not on each
  local f <close> = assert(io.open("/proc/loadavg"))
  board:publish { event = "metrics", json = { load = f:read("n"), readers = board:count() } }
end)

app:get("/live", function(req)
  return sse.reply(board:subscribe { replay = 1 }) -- the newest at once
end)

app:get("/", function(req)
  return reply.html [[
<!doctype html>
<meta charset="utf-8">
<title>Load</title>
<style>body { font: 1.2em sans-serif; margin: 3em }</style>
<p>Load <output id="load">…</output>, seen by <output id="readers">…</output>
<script>
  new EventSource("/live").addEventListener("metrics", e => {
    for (const [name, value] of Object.entries(JSON.parse(e.data))) document.getElementById(name).value = value
  })
</script>
]]
end)

return app
