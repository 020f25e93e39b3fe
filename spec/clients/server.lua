-- SPDX-License-Identifier: MIT
-- What the clients of the specs are served: streams that are cut, end, go on and are refused, and the examples.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply

local ROOT = spate.env "ROOT"
local CUT = 3   -- the event after which the first connection is cut
local RETRY = 4 -- seconds; of itself no client waits for that long
local NOTICE = 0.2 -- before a cut: Node drops what its threads have not decompressed by then
local EVENTS = json.decode(spate.env "EVENTS")
local GENERATION = spate.env("RUN", "1") .. "." .. spate.shared("loads"):incr "count"
local flags, asked = spate.shared "flags", {}
local open, reasons = {}, {} -- by path: how many requests, and why the last one has ended

app:use(function(req, next)
  open[req.path] = (open[req.path] or 0) + 1
  req:on_close(function(reason)
    open[req.path], reasons[req.path] = open[req.path] - 1, reason
  end)
  return next()
end)

app:get("/page", function() return reply.html "<!doctype html><title>page</title>" end)

-- All events, by three connections: one that is cut, one that ends, and one that is told that there are no more.
-- An id is the event's number and what the query has.
app:get("/events/:who", function(req)
  local list = asked[req.params.who] or {}
  asked[req.params.who] = list
  list[#list + 1] = { after = req.last_event_id, at = sse.now() }
  local seen, mark = tonumber((req.last_event_id or "0"):match "^%d+"), req.query.mark or ""
  if seen >= #EVENTS then return reply.status(204) end
  return sse.reply(function(send)
    send { retry = seen == 0 and RETRY or 0.1 }
    for i = seen + 1, #EVENTS do
      send { id = i .. mark, event = EVENTS[i].event, data = EVENTS[i].data }
      if i == CUT then
        sse.sleep(NOTICE)
        list[#list].ended = sse.now()
        error "cut"
      end
    end
    list[#list].ended = sse.now()
  end)
end)
app:get("/asked/:who", function(req) return reply.json(asked[req.params.who]) end)

-- Numbers that go on behind the last one that the client has seen, until there is a word that they are over.
app:get("/count/:who", function(req)
  if flags:get "over" then return reply.status(204) end
  local n = tonumber(req.last_event_id) or 0
  return sse.reply(function(send)
    send { retry = 0.1 }
    while not flags:get "over" do
      n = n + 1
      send { id = n, event = "note", json = { n = n, from = GENERATION } }
      sse.sleep(0.02)
    end
  end)
end)
app:get("/over", function() flags:set("over", true) return "over\n" end)

app:get("/quiet/:who", function() return sse.reply(sse.never():start_with "hello") end)
app:get("/refused/:status", function(req) return reply.error(tonumber(req.params.status), "no") end)
app:get("/closed", function(req) return open[req.query.path] == 0 and reasons[req.query.path] or "" end)

-- The examples; the same below /cut, where a stream breaks off after its first event, and below /refused.
local FIRST = {
  ["v1/chat/completions"] = { json = { choices = { { index = 0, delta = { content = "to" } } } } },
  ["v1/messages"] = { event = "message_start", json = { type = "message_start",
    message = { role = "assistant", content = {}, usage = { input_tokens = 1, output_tokens = 0 } } } },
  ["api/chat"] = { json = { type = "start", messageId = "1" } },
}
local function cut(first)
  return sse.reply(function(send)
    send(first)
    sse.sleep(NOTICE)
    error "cut"
  end)
end
app:post("/cut/*path", function(req) return cut(FIRST[req.params.path]) end)
app:post("/refused/:status/*path", function(req)
  return reply.json({ type = "error", error = { type = "server_error", message = "no" } }, tonumber(req.params.status))
end)

local function example(name) return dofile(ROOT .. "/examples/" .. name .. ".lua") end
for _, name in ipairs { "openai", "anthropic", "ui_messages", "mcp" } do app:mount("/" .. name, example(name)) end
app:group("/cut/tools", function(req, next)
  if req.method == "POST" and req:json().method == "tools/call" then return cut { json = { jsonrpc = "2.0", method = "notifications/message" } } end
  return next()
end, function(g) g:mount("/", example "mcp") end)

return app
