-- spate serve examples/outbox.lua, then: curl -N localhost:8080/orders & curl -d '{"item":"tea"}' localhost:8080/orders
-- SPDX-License-Identifier: MIT
-- An outbox: what is stored and the event that tells of it are written in one transaction, so there is never one without
-- the other, whatever ends the server in between. What lies in the outbox is published in order, and taken out behind that:
-- an event may come twice after a crash, never not at all, and its `order` tells which it is.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply

local db = spate.sqlite.open(spate.env("DATABASE", "outbox.db"), {
  journal = "wal",
  migrations = {
    "create table orders(id integer primary key, item text not null check (item <> ''))",
    "create table outbox(id integer primary key autoincrement, event text not null)",
  },
})

local orders = sse.channel("orders", { history = 1000 })

local is_draining = false

-- Publishes what lies there; one task at a time, so that the order is kept.
local function drain()
  if is_draining then return end
  is_draining = true
  local _ <close> = setmetatable({}, { __close = function() is_draining = false end })
  for row in db:rows "select id, event from outbox order by id" do
    if not orders:publish { event = "order", data = row.event } then return end -- full or unavailable: later
    assert(db:exec("delete from outbox where id = ?", row.id))
  end
end

sse.every(1, drain) -- what a crash or a full channel has left

app:post("/orders", function(req)
  local order, message = req:json()
  if type(order) ~= "table" then return reply.error(400, message) end
  local id, why, code = db:transaction(function()
    local changed, id, kind = db:exec("insert into orders(item) values (?)", tostring(order.item or ""))
    if not changed then return nil, id, kind end -- nothing was written
    assert(db:exec("insert into outbox(event) values (?)", json.encode { order = id, item = order.item }))
    return id
  end)
  if not id then return reply.error(code == "constraint" and 422 or 503, why) end
  sse.spawn(drain)
  return reply.json({ id = id }, 201)
end)

app:get("/orders", function(req)
  return sse.reply(orders:subscribe { after = req.last_event_id, replay = 20 })
end)

return app
