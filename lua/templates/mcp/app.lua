-- spate dev, then open http://localhost:8080 and give a client http://localhost:8080/mcp
-- A server of the Model Context Protocol whose tools keep notes, and a page that shows them as the model writes.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local mcp = require "spate.mcp"
local app, reply = spate.app(), spate.reply

local notes = {} -- of this worker, which is the only one unless there is -w
local changes = sse.channel "notes"
local server = mcp.server { name = "notes", version = "1", instructions = "Keep what the user wants to remember as notes." }

local function changed()
  changes:publish { event = "all", json = json.array(notes) }
  server:updated "notes://all"
end

local TEXT = { type = "object", properties = { text = { type = "string" } }, required = { "text" } }

server:tool("add_note", { description = "Adds a note.", input = TEXT }, function(args)
  if #notes >= 1000 then return nil, "There are 1000 notes already." end
  notes[#notes + 1] = args.text
  changed()
  return ("Note %d is kept."):format(#notes)
end)

server:tool("search_notes", { description = "Finds notes with a text in them.", input = TEXT }, function(args)
  local found = json.array()
  for i, note in ipairs(notes) do
    if note:lower():find(args.text:lower(), 1, true) then found[#found + 1] = { number = i, text = note } end
  end
  return { notes = found }
end)

server:tool("delete_notes", { description = "Deletes all notes, once the user has agreed." }, function(_, call)
  local answer, err = call:elicit(("Delete all %d notes?"):format(#notes),
    { type = "object", properties = { sure = { type = "boolean", title = "Delete them" } } })
  if not answer then return nil, err end
  if answer.action ~= "accept" or not answer.content.sure then return "The user has not agreed." end
  notes = {}
  changed()
  return "All notes are deleted."
end)

server:tool("read_aloud", { description = "Reads all notes, slowly." }, function(_, call)
  for i, note in ipairs(notes) do
    call:progress(i, #notes, note)
    sse.sleep(1)
  end
  return ("%d notes were read."):format(#notes)
end)

server:resource("notes://all", { name = "All notes", type = "text/plain" }, function() return table.concat(notes, "\n") end)
server:resource("notes://{number}", { name = "A note", type = "text/plain" }, function(_, values)
  return notes[tonumber(values.number)], "no such note"
end)
server:prompt("summary", { description = "Sums up the notes." }, function()
  return "Sum up these notes:\n" .. table.concat(notes, "\n")
end)

server:serve(app, "/mcp")

app:get("/notes", function()
  return sse.reply(changes:snapshot(function() return { event = "all", json = json.array(notes) } end))
end)
app:get("/", function() return reply.file "page.html" end)

return app
