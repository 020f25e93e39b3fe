-- SPDX-License-Identifier: MIT
-- Bodies of requests to other servers: a string, what an iterator returns, JSON, or a form, with files where it has some.
local check = require "spate.check"
local core = require "spate.core"
local fields = require "spate.fields"
local json = require "spate.json"

local PIECE = 64 * 1024
local FILE = { "filename", "type", "data", "path" }

local function set_type(asked, type)
  if not fields.find(asked.fields, "content-type") then
    asked.fields[#asked.fields + 1] = "Content-Type"
    asked.fields[#asked.fields + 1] = type
  end
end

-- A name inside quotes, as browsers write it (WHATWG HTML 4.10.21.8).
local ESCAPES = { ['"'] = "%22", ["\r"] = "%0D", ["\n"] = "%0A" }
local function quoted(text) return (text:gsub('["\r\n]', ESCAPES)) end

local function check_file(file, what)
  check.options(file, what, FILE)
  if (file.data == nil) == (file.path == nil) then core.raise(what .. ": expected data or path") end
  if file.data ~= nil then check.text(file.data, what .. ".data") end
  check.text(file.filename or "", what .. ".filename")
  if check.text(file.type or "", what .. ".type"):find("%c") then core.raise(what .. ".type: it holds control characters") end
end

local function basename(path) return path:match("[^/]*$") end

-- A part's head, then a string, or a file that is to be opened.
local function add_part(parts, boundary, name, value, what)
  local head = ('--%s\r\nContent-Disposition: form-data; name="%s"'):format(boundary, quoted(name))
  if type(value) ~= "table" then
    parts[#parts + 1] = head .. "\r\n\r\n" .. tostring(value) .. "\r\n"
    return
  end
  check_file(value, what)
  local file = value.path and { path = check.path(value.path, what .. ".path"), name = ("%s.path: '%s'"):format(what, value.path) }
  parts[#parts + 1] = ('%s; filename="%s"\r\nContent-Type: %s\r\n\r\n'):format(head,
    quoted(value.filename or value.path and basename(value.path) or "file"), value.type or "application/octet-stream")
  parts[#parts + 1] = file or value.data
  parts[#parts + 1] = "\r\n"
end

local function is_file(value) return type(value) == "table" and #value == 0 and next(value) ~= nil end

-- Strings and files in their order, each name's values one by one; names sorted, so that the same form is the same bytes.
local function multipart(form, boundary, what)
  local names, parts = {}, {}
  for name in pairs(form) do names[#names + 1] = check.text(name, what .. ": a name") end
  table.sort(names)
  for _, name in ipairs(names) do
    local values = form[name]
    if type(values) ~= "table" or is_file(values) then values = { values } end
    for _, value in ipairs(values) do
      local kind = type(value)
      if kind ~= "table" and kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
        core.raise(("%s.%s: expected a string, a number or a file, got %s"):format(what, name, kind))
      end
      add_part(parts, boundary, name, value, ("%s.%s"):format(what, name))
    end
  end
  parts[#parts + 1] = ("--%s--\r\n"):format(boundary)
  return parts
end

-- The next bytes of an open file, as many as it was said to have in all; nil behind them.
local function next_piece(file)
  if file.left == 0 then return core.file_close(file.handle) end
  local piece, err = core.file_next(file.handle, math.min(PIECE, file.left))
  if not piece then core.raise(("%s: %s"):format(file.name, err or "it has become shorter meanwhile")) end
  file.left = file.left - #piece
  return piece
end

-- One part after the other, files by pieces.
local function pieces(parts)
  local i = 1
  return function()
    while parts[i] do
      local part = parts[i]
      if type(part) == "table" then
        local piece = next_piece(part)
        if piece then return piece end
      end
      i = i + 1
      if type(part) == "string" and part ~= "" then return part end
    end
  end
end

-- Closes the files of a form that are still open.
local function close(asked)
  for _, part in ipairs(asked.parts or {}) do
    if part.handle then core.file_close(part.handle) end
  end
end

-- Opens the files of a form, whose length is known then: true; nil, message and code.
local function open(asked)
  if not asked.parts then return true end
  asked.length = 0
  for _, part in ipairs(asked.parts) do
    if type(part) == "table" then
      local handle, size, code = core.file_open(part.path)
      if not handle then return nil, ("%s: %s"):format(part.name, size), code end
      part.handle, part.left = handle, size
    end
    asked.length = asked.length + (part.left or #part)
  end
  asked.iterator = pieces(asked.parts)
  return true
end

local function has_files(form)
  for _, value in pairs(form) do
    if is_file(value) then return true end
    for _, one in ipairs(type(value) == "table" and value or {}) do
      if type(one) == "table" then return true end
    end
  end
  return false
end

local function read_form(asked, form, what, encode)
  what = what .. ": form"
  if type(form) ~= "table" then core.raise(("%s: expected a table, got %s"):format(what, type(form))) end
  if not has_files(form) then
    set_type(asked, "application/x-www-form-urlencoded")
    asked.body = encode(form, what):gsub("%%20", "+")
    return
  end
  local boundary = "spate-" .. core.hex(core.random(16))
  asked.in_pieces, asked.parts = true, multipart(form, boundary, what)
  set_type(asked, "multipart/form-data; boundary=" .. boundary)
end

local function read_plain(asked, body, length, what)
  local kind = type(body)
  if kind == "function" then asked.in_pieces, asked.iterator, asked.length = true, body, length
  elseif kind == "string" or kind == "number" then asked.body = tostring(body)
  else core.raise(("%s: body: expected a string or an iterator, got %s"):format(what, kind)) end
end

local function read(asked, options, what, encode)
  local given
  for _, name in ipairs { "body", "json", "form" } do
    if options[name] ~= nil and given then core.raise(("%s: both %s and %s; a request has one body"):format(what, given, name)) end
    given = options[name] ~= nil and name or given
  end
  if options.length ~= nil then
    check.count(options.length, what .. ": length")
    if type(options.body) ~= "function" then core.raise(what .. ": length is for a body that is an iterator") end
  end
  if given == "body" then read_plain(asked, options.body, options.length, what)
  elseif given == "form" then read_form(asked, options.form, what, encode)
  elseif given == "json" then
    set_type(asked, "application/json")
    asked.body = json.encode(options.json)
  end
end

return { read = read, open = open, close = close }
