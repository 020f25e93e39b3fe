-- spate dev, then open http://localhost:8080 in two windows
-- Who else is in this document, and what they write in it. A user with two windows is one member, and leaves with the last of
-- them: closed, cut off or crashed.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

local texts = spate.shared "texts" -- of all workers; { store = true } outlives the process

local function document(name) return sse.channel("doc:" .. name) end

local function short(req, next) return #req.params.name <= 100 and next() or reply.error(404, "no such document") end

app:get("/docs/:name/live", short, function(req)
  local doc, user = document(req.params.name), req.query.user
  if not user or user == "" or #user > 100 then return reply.error(400, "expected ?user=") end
  return sse.reply(function(send)
    local feed <close> = doc:subscribe()    -- both are undone on every way out: end, error, client gone
    local _me <close> = doc:join(user, { since = os.time() })
    send { event = "now", json = { members = doc:members(), text = texts:get(req.params.name) or "" } }
    for event in feed:each() do send(event) end -- join, leave and edit
  end)
end)

app:put("/docs/:name/text", short, function(req)
  local edit, err = req:json()
  if type(edit) ~= "table" or type(edit.text) ~= "string" or type(edit.user) ~= "string" then
    return reply.error(400, err or "expected text and user")
  end
  if #edit.text > 100000 then return reply.error(413, "a text has 100,000 bytes at most") end
  local ok, why = texts:set(req.params.name, edit.text, { ttl = 7 * 86400 })
  if not ok then return reply.error(503, why) end
  document(req.params.name):publish { event = "edit", json = { user = edit.user, text = edit.text } }
  return reply.status(204)
end)

app:get("/", function() return reply.file "page.html" end)

return app
