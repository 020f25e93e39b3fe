-- spate serve examples/upload.lua: uploads, and a table that is sent while it is read
--   curl -F file=@README.md -F note=hello localhost:8080/files      curl localhost:8080/rows.csv
--   curl -T big.bin localhost:8080/blobs/big.bin                    curl localhost:8080/rows.ndjson
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply
local dir = spate.env("UPLOADS", "/tmp")

app:post("/files", function(req)                 -- a form: fields in memory, files in temporary files
  local fields, files, status = req:form()
  if not fields then return reply.error(status, files) end
  if not files.file then return reply.error(400, "expected a file") end
  local ok, err = files.file:save(dir .. "/" .. spate.uuid())
  if not ok then return reply.error(500, err) end
  return reply.json({ name = files.file.filename, size = files.file.size, note = fields.note }, 201)
end)

app:put("/blobs/:name[%w._-]", function(req)     -- a body of up to 10 GiB, of which 64 KiB are in memory
  local path, size = dir .. "/" .. spate.uuid(), 0
  local out <close> = assert(io.open(path, "wb"))
  for piece in req:chunks(10 << 30) do           -- as fast as it is written; above that: 413
    assert(out:write(piece))
    size = size + #piece
  end
  return reply.json({ name = req.params.name, size = size }, 201)
end)

-- Rows, as a cursor of a database would give them.
local function rows() return coroutine.wrap(function() for i = 1, 1000 do coroutine.yield { id = i, square = i * i } end end) end

app:get("/rows.csv", function()
  return reply.stream(function(write)
    write "id,square\r\n"
    for row in rows() do write(("%d,%d\r\n"):format(row.id, row.square)) end -- waits while the client is behind
  end, { type = "text/csv", headers = { ["Content-Disposition"] = 'attachment; filename="rows.csv"' } })
end)

app:get("/rows.ndjson", function()
  return reply.stream(function(write)
    for row in rows() do write(json.encode(row) .. "\n") sse.sleep(0.001) end
  end, { type = "application/x-ndjson" })
end)

return app
