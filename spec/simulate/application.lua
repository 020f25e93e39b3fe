-- SPDX-License-Identifier: MIT
-- The source of an application from its description, which the model reads as well: { version =, channels =, routes =,
-- every =, broken = }. Each answer has the version in X-V, each event of a request's own the request's token, each
-- publish, start and close a line in the log that begins with SIM: from these the model knows what has happened.
local kinds = require "spec.simulate.kinds"

local PRELUDE = [[
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply, FILE = spate.app(), spate.reply, %q
local V, W, published = %d, spate.worker, 0
local C, D, O, counts = {}, {}, {}, spate.shared "counts"
local function log(...) spate.log.info("SIM " .. table.concat({ ... }, " ")) end
local G = counts:incr "states"
log("loaded", G, W, V)
local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end
local function publish(i, pad)
  published = published + 1
  local name, data = "c" .. i, ("c%%d.%%d.%%d.%%d"):format(i, V, W, published) .. ("."):rep(pad or 0)
  counts:incr(name)
  local id, why = C[i]:publish { event = "k" .. published %% 3, data = data }
  if id then log("pub", name, id, data) else log("refused", name, why) end
  return id
end
local function derived(prefix, leaves_out)
  return function(event)
    if leaves_out and event.event == "k0" then return nil end
    return { event = event.event, data = prefix .. event.data }
  end
end
app:after(function(req, answer) answer:header("X-V", V) end)
app:on_stop(function() log("stopped", G, "once") end)
app:on_stop(function() log("stopped", G, "each") end, { each_worker = true })
]]

-- What does not become the code that is served.
local BROKEN = {
  syntax = "this is no Lua", raise = 'error "on purpose"', start = 'app:on_start(function() error "on purpose" end)',
  hang = "app:on_start(function() sse.sleep(1e6) end)", worker = 'if W == 1 then error "on purpose" end', no_app = "do return 1 end",
}

local function options_text(options)
  local parts = {}
  for _, name in ipairs { "history", "history_bytes", "ttl", "queue" } do
    if options[name] then parts[#parts + 1] = ("%s = %d"):format(name, options[name]) end
  end
  if options.keys then parts[#parts + 1] = ('key = function(event) return tostring(event.data:match "^[^.]*%%.%%d+%%.%%d+%%.(%%d+)" %% %d) end'):format(options.keys) end
  for _, name in ipairs { "compress", "store" } do
    if options[name] ~= nil then parts[#parts + 1] = ("%s = %s"):format(name, tostring(options[name])) end
  end
  if options.on_full then parts[#parts + 1] = ("on_full = %q"):format(options.on_full) end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function route_text(r)
  local kind = kinds[r.kind]
  return ('app:%s("%s", %sfunction(req)\n  local t = req.query.t\n  %s\nend)\n'):format(r.method:lower(), r.path, kind.middleware or "", kind.code(r))
end

local function has_route(app, kind)
  for _, r in ipairs(app.routes) do
    if kinds[r.kind] == kind then return true end
  end
end

-- `file`: the path of what the kind "file" sends.
return function(app, file)
  local parts = { PRELUDE:format(file, app.version) }
  local function add(...) parts[#parts + 1] = (...):format(select(2, ...)) end
  for i, channel in ipairs(app.channels) do
    add('C[%d] = sse.channel("c%d", %s)\nD[%d] = C[%d]:derive(derived "d:")\nO[%d] = C[%d]:derive(derived("o:", true))\n', i, i, options_text(channel), i, i, i, i)
  end
  for _, each in ipairs(kinds.list) do parts[#parts + 1] = each[2].prelude end
  for _, each in ipairs(kinds.others) do parts[#parts + 1] = has_route(app, each[2]) and each[2].prelude or nil end
  for _, r in ipairs(app.routes) do parts[#parts + 1] = r.is_pair and 'app:channel("/pair/:name", { prefix = "", replay = 3 })\n' or route_text(r) end
  for i, e in ipairs(app.every) do add("sse.every(%g, function() log('tick', G, %d) publish(%d) log('ticked', G, %d) end%s)\n", e.period, i, e.channel, i, e.is_each and ", { each_worker = true }" or "") end
  if app.broken then parts[#parts + 1] = BROKEN[app.broken] .. "\n" end
  parts[#parts + 1] = "return app\n"
  return table.concat(parts)
end
