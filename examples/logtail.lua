-- spate serve examples/logtail.lua, then: curl -N 'localhost:8080/logs/web?grep=error' follows $LOG_DIR/web.log
-- SPDX-License-Identifier: MIT
-- The last ten lines of a log and all that follow, whatever rotates it. The id of a line is where the next one begins, so a
-- client whose connection broke goes on behind the last line that it saw.
local spate, sse = require "spate", require "spate.sse"
local fs = require "spate.fs"
local app, reply = spate.app(), spate.reply
local dir = spate.env("LOG_DIR", "/var/log/myapp")

app:get("/logs/:name[%w]", function(req) -- [%w] keeps ".." and "/" out
  local path = dir .. "/" .. req.params.name .. ".log"
  local lines = fs.tail(path, { from = req.last_event_id or -10 })
  if not lines then return reply.error(404, "no such log") end
  local want = req.query.grep
  local function is_wanted(line) return not want or line.text:find(want, 1, true) ~= nil end
  local function event_of(line) return { event = "line", id = line.offset, data = line.text } end
  return sse.reply(lines:filter(is_wanted):map(event_of))
end)

return app
