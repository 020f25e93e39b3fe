-- SPDX-License-Identifier: MIT
-- req:form(): fields and files of a form, whichever way it is encoded.
local core = require "spate.core"

local methods = core.request_methods
local chunks, body = methods.chunks, methods.body

local PIECE = 64 * 1024
local PIECES_PER_TURN = 16 -- of a file that is saved, before others get their turn

local File = { __name = "file" }
File.__index = File
File.__tostring = function(file) return ("file %q (%d bytes)"):format(file.filename, file.size) end

local function check_self(file, name)
  if getmetatable(file) ~= File then core.raise(("file:%s(): write it with a colon"):format(name)) end
end

-- The bytes as a string; nil, "closed" once the request is over.
function File:text()
  check_self(self, "text")
  local parts = {}
  while true do
    local at = #parts * PIECE
    local piece, err = core.form_read(self._request, self._index, at, PIECE)
    if err then return nil, err end
    if not piece then return table.concat(parts) end
    parts[#parts + 1] = piece
  end
end

-- An iterator over the bytes; an error is raised, since a loop could not tell it from the end.
function File:chunks()
  check_self(self, "chunks")
  local at = 0
  return function()
    local piece, err = core.form_read(self._request, self._index, at, PIECE)
    if err then core.raise("file:chunks: " .. err) end
    at = at + (piece and #piece or 0)
    return piece
  end
end

-- An iterator over the lines, without their ends.
function File:lines()
  check_self(self, "lines")
  local next_piece, rest, at = self:chunks(), "", 1
  return function()
    while true do
      local from = rest:find("\n", at, true)
      if from then
        local line = rest:sub(at, from - 1)
        at = from + 1
        return (line:gsub("\r$", ""))
      end
      local piece = next_piece()
      if not piece then break end
      rest, at = rest:sub(at) .. piece, 1
    end
    if at > #rest then return nil end
    local line = rest:sub(at)
    rest, at = "", 1
    return (line:gsub("\r$", ""))
  end
end

local function copy_into(file, out)
  local pieces = 0
  for piece in file:chunks() do
    local ok, err, code = out:write(piece)
    if not ok then return nil, err, code end
    pieces = pieces + 1
    if pieces % PIECES_PER_TURN == 0 then core.sleep(0) end
  end
  return out:close()
end

local EINVAL = 22

-- Writes it to a file, which is there whole or not at all; true, or nil and what the system says, as io.open. For the
-- system a path ends at a NUL, and the name before it is another file's.
function File:save(path)
  check_self(self, "save")
  if type(path) ~= "string" then core.raise("file:save: expected a path, got " .. type(path)) end
  if path:find("\0", 1, true) then return nil, "the path holds a NUL", EINVAL end
  local temporary = ("%s.%s.part"):format(path, core.hex(core.random(8)))
  local out <close>, err, code = io.open(temporary, "wb")
  if not out then return nil, err, code end
  local _unfinished <close> = setmetatable({}, { __close = function() os.remove(temporary) end })
  local ok
  ok, err, code = copy_into(self, out)
  if not ok then return nil, err, code end
  return os.rename(temporary, path)
end

-- The parts that come in pieces, as a list; nil, why it is no form, and the status where that is our own fault.
local function read_parts(req)
  local ok, err = core.form_begin(req)
  if not ok then return nil, err end
  for piece in chunks(req, core.upload_max) do
    local status
    ok, err, status = core.form_feed(req, piece)
    if not ok then
      if status then core.log.error("req:form: " .. err, { id = req.id }) end
      return nil, err, status
    end
  end
  return core.form_end(req)
end

local function read(req)
  local type = (req.headers["content-type"] or ""):match("^%s*([^;%s]*)"):lower()
  if type == "multipart/form-data" then return read_parts(req) end
  if type ~= "application/x-www-form-urlencoded" then
    return nil, "expected a form, got " .. (type ~= "" and type or "a body without a Content-Type")
  end
  local text, err = body(req)
  if not text then return nil, err end
  return core.form_decode(text)
end

-- A browser sends a file without name and bytes where none was chosen.
local function is_nothing(part) return part.filename == "" and part.size == 0 end

local function add_file(files, part, req)
  local file = setmetatable({
    name = part.name, filename = part.filename, type = part.type, size = part.size,
    _request = req, _index = part.index,
  }, File)
  files[#files + 1] = file
  files[part.name] = files[part.name] or file
end

local function new_form(req)
  local parts, err, status = read(req)
  if not parts then return { err = err, status = status or 400 } end
  local form = { fields = {}, files = {}, all = {} }
  for _, part in ipairs(parts) do
    local name = part.name
    if part.filename then
      if not is_nothing(part) then add_file(form.files, part, req) end
    else
      form.fields[name] = form.fields[name] or part.value
      form.all[name] = form.all[name] or {}
      table.insert(form.all[name], part.value)
    end
  end
  return form
end

local forms = setmetatable({}, { __mode = "k" }) -- by request

local function form_of(req)
  local form = forms[req] or new_form(req)
  forms[req] = form
  return form
end

-- The fields by name, the first where there are several, and the files by name and as a list; nil, why there is none,
-- and the status that says whose fault it is: 400, or 507, 503 or 500 where it could not be stored.
function methods.form(req)
  local form = form_of(req)
  if form.err then return nil, form.err, form.status end
  return form.fields, form.files
end

-- Every value of a field.
function methods.form_all(req, name)
  if type(name) ~= "string" then core.raise("req:form_all: expected a name, got " .. type(name)) end
  local form = form_of(req)
  if form.err then return nil, form.err, form.status end
  return form.all[name] or {}
end

core.public(methods, "form", "form_all")
core.public(File, "text", "chunks", "lines", "save")

return { File = File }
