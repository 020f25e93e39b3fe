-- SPDX-License-Identifier: MIT
-- A dashboard: 20 times a second a fragment of HTML of some 600 bytes, for all subscribers; gzip_node.mjs makes the same ones.
local spate, sse = require "spate", require "spate.sse"
local app = spate.app()
local board = sse.channel("board", { compress = true })

local NAMES = { "api", "web", "queue", "mail", "search", "billing", "login", "images" }
local STATES = { "ok", "ok", "ok", "ok", "slow", "down" }
local state = 12345

local function random(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % n
end

local function fragment()
  local rows = {}
  for i = 1, 5 do
    local name, condition = NAMES[random(#NAMES) + 1], STATES[random(#STATES) + 1]
    rows[i] = ('<tr id="%s-%d" class="row %s"><td>%s</td><td>%d ms</td><td>%d/s</td><td>%d.%02d %%</td></tr>'):format(
      name, random(40), condition, name, random(2000), random(5000), random(100), random(100))
  end
  return ('<tbody hx-swap-oob="true" id="board-%d">%s</tbody>'):format(random(4), table.concat(rows))
end

app:on_start(function()
  sse.every(0.05, function() board:publish { event = "rows", data = fragment() } end)
end)
app:get("/board", function(req) return sse.reply(board:subscribe { after = req.last_event_id }) end)
app:get("/plain", function(req) return sse.reply(board:subscribe { after = req.last_event_id }, { compress = false }) end)
app:get("/ready", function() return "yes" end)

return app
