-- spate serve examples/dashboard.lua, then open http://localhost:8080 in a browser
-- SPDX-License-Identifier: MIT
-- Load and memory of this machine, twice a second, and the page that shows them.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

local function read(path)
  local f <close> = assert(io.open(path)) -- files below /proc do not make anybody wait
  return f:read("a")
end

local function sample()
  local memory = read("/proc/meminfo")
  local total, available = memory:match("MemTotal:%s+(%d+)"), memory:match("MemAvailable:%s+(%d+)")
  return {
    event = "sample",
    json = {
      load = tonumber(read("/proc/loadavg"):match("%S+")),
      memory_percent = 100 - 100 * available // total,
      streams = spate.stats().streams,
    },
  }
end

app:get("/samples", function(req)
  return sse.reply(sse.interval(0.5):start_with(0):map(sample)) -- the first at once
end)

local PAGE = [[
<!doctype html>
<meta charset="utf-8">
<title>Dashboard</title>
<style>body { font: 1.2em sans-serif; margin: 3em } output { display: inline-block; width: 4em; text-align: right }</style>
<p>Load <output id="load"></output>
<p>Memory <output id="memory_percent"></output> % <meter id="meter" max="100"></meter>
<p>Open streams <output id="streams"></output>
<p id="state">connecting
<script>
  const source = new EventSource("/samples"), $ = id => document.getElementById(id)
  source.onopen = () => $("state").textContent = "live"
  source.onerror = () => $("state").textContent = "lost; the browser tries again"
  source.addEventListener("sample", e => {
    const sample = JSON.parse(e.data)
    for (const name in sample) $(name).value = sample[name]
    $("meter").value = sample.memory_percent
  })
</script>
]]

app:get("/", function(req) return reply.html(PAGE) end)

return app
