-- spate serve examples/presence.lua, then: curl -N 'localhost:8080/docs/7/live?user=ann'
-- SPDX-License-Identifier: MIT
-- Who else reads this document, and what they do to it. A user with two windows is one member, and leaves with the
-- last of them: closed, cut off or crashed.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

local function document(id) return sse.channel("doc:" .. id) end

app:get("/docs/:id/live", function(req)
  local doc, user = document(req.params.id), req.query.user or "guest"
  return sse.reply(function(send)
    local feed <close> = doc:subscribe()    -- both are undone on every way out: end, error, client gone
    local _me <close> = doc:join(user, { since = os.time() })
    send { event = "who", json = doc:members() }
    for event in feed:each() do send(event) end -- join, leave and edits
  end)
end)

app:get("/docs/:id/readers", function(req)
  return reply.json((document(req.params.id):members()))
end)

app:post("/docs/:id/edits", function(req)
  document(req.params.id):publish { event = "edit", data = req:body() }
  return reply.status(202)
end)

return app
