-- spate serve examples/site.lua, then open http://localhost:8080 in a browser
-- SPDX-License-Identifier: MIT
-- A page of plain files beside this script, in site/, and the stream that it shows.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

app:get("/time", function(req)
  return sse.reply(sse.interval(1):start_with(0):map(function() return os.date "%T" end))
end)

app:get("/script", function(req) -- any file, by a path from this script's folder
  return reply.file("site.lua", { type = "text/plain; charset=utf-8", cache = false })
end)

app:static("/", "site", { cache = 60 }) -- what has a handler above goes before it

return app
