-- What spate.service serves. Write your own here, then: systemctl reload spate
local spate, sse = require "spate", require "spate.sse"
local app = spate.app()

app:get("/", function() return "spate serves this from /etc/spate/app.lua\n" end)

app:get("/ticks", function()
  return sse.reply(sse.interval(1):map(function(n) return sse.event("tick"):id(n):data(n) end))
end)

return app
