-- DATABASE=postgres://me@localhost/me spate dev, then open http://localhost:8080 in two windows
-- A table of PostgreSQL's in the browser, which follows whatever changes it: a trigger notifies, one connection listens,
-- everybody who looks gets the row. Also by: psql -c "update stock set left_over = left_over - 1 where item = 'tea'"
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply

local pg = spate.postgres.open(spate.env("DATABASE", "postgres:///"))
local is_prepared = false

-- The table and its trigger, with the first who looks: nil and why there is none.
local function prepare()
  if is_prepared then return true end
  for _, statement in ipairs {
    "create table if not exists stock(item text primary key, left_over int not null check (left_over >= 0))",
    "insert into stock values ('tea', 12), ('coffee', 5), ('cake', 3) on conflict do nothing",
    [[create or replace function tell_stock() returns trigger language plpgsql as
      $$ begin perform pg_notify('stock', row_to_json(new)::text); return null; end $$]],
    "create or replace trigger tell_stock after insert or update on stock for each row execute function tell_stock()",
  } do
    local ok, why = pg:query(statement)
    if not ok then return nil, why end
  end
  is_prepared = true
  return true
end

local function all() return { event = "all", json = json.array(assert(pg:query "select * from stock order by item")) } end

-- Where notifications may have been missed the whole table follows, else the row that was changed.
local stock = sse.channel("stock"):relay(function()
  return pg:listen("stock"):map(function(told)
    return told.event == "reset" and all() or { event = "row", data = told.data }
  end)
end)

app:get("/stock", function()
  local ok, why = prepare()
  if not ok then
    spate.log.error(why)
    return reply.error(503, "no database: DATABASE=postgres://USER@HOST/NAME names one")
  end
  return sse.reply(stock:snapshot(all))
end)

app:post("/stock/:item", function(req)
  local change, err = req:json()
  if type(change) ~= "table" or math.type(change.by) ~= "integer" then return reply.error(400, err or "expected by, a whole number") end
  local rows, message, code = pg:query("update stock set left_over = left_over + $1::int where item = $2 returning left_over",
    change.by, req.params.item)
  if code == "constraint" then return reply.error(409, "there is none left") end
  if not rows then return reply.error(503, message) end
  return rows[1] or reply.error(404, "no such item")
end)

app:get("/", function() return reply.file "page.html" end)

return app
