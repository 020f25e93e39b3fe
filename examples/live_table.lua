-- DATABASE=postgres://me@localhost/me spate serve examples/live_table.lua, then open http://localhost:8080 and change
-- the table: psql -c "update stock set left_over = left_over - 1 where item = 'tea'"
-- SPDX-License-Identifier: MIT
-- A table of PostgreSQL's in the browser, which follows whatever changes it: a trigger notifies, one connection listens,
-- everybody who looks gets the row.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply

local pg = spate.postgres.open(spate.env("DATABASE", "postgres:///"))

app:on_start(function()
  for _, statement in ipairs {
    "create table if not exists stock(item text primary key, left_over int not null)",
    "insert into stock values ('tea', 12), ('coffee', 5) on conflict do nothing",
    [[create or replace function tell_stock() returns trigger language plpgsql as
      $$ begin perform pg_notify('stock', row_to_json(new)::text); return null; end $$]],
    "create or replace trigger tell_stock after insert or update on stock for each row execute function tell_stock()",
  } do assert(pg:query(statement)) end
end)

local function all() return { event = "all", json = json.array(assert(pg:query "select * from stock order by item")) } end

-- Where notifications may have been missed the whole table follows, else the row that was changed.
local stock = sse.channel("stock"):relay(function()
  return pg:listen("stock"):map(function(told)
    return told.event == "reset" and all() or { event = "row", data = told.data }
  end)
end)

app:get("/stock", function() return sse.reply(stock:snapshot(all)) end)

app:get("/", function() return reply.html [[
<!doctype html>
<meta charset="utf-8">
<title>Stock</title>
<table id="stock"></table>
<script>
  const rows = {}
  const show = row => {
    const tr = rows[row.item] ??= document.getElementById("stock").insertRow()
    tr.replaceChildren(...[row.item, row.left_over].map(text => Object.assign(document.createElement("td"), { textContent: text })))
  }
  const source = new EventSource("/stock")
  source.addEventListener("all", e => JSON.parse(e.data).forEach(show))
  source.addEventListener("row", e => show(JSON.parse(e.data)))
</script>
]] end)

return app
