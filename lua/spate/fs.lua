-- SPDX-License-Identifier: MIT
-- require "spate.fs": files, without holding up whoever else the worker serves. What the disk or its owner does wrong
-- is returned: nil, a message, and a word for it. Relative paths lie beside the application's script.
local check = require "spate.check"
local core = require "spate.core"
local sse = require "spate.sse"

local READ, WRITE, LIST = 0, 1, 2

local TAIL_OPTIONS = { "from", "wait" }

local fs = {}

-- What was done with `path`, or why it could not be: the message says with which.
local function named(what, path, value, message, code)
  if value ~= nil then return value end
  return nil, ("%s: '%s': %s"):format(what, path, message:gsub("^" .. what .. ": ", "")), code
end

-- A file's bytes; more than `max` of them (limits.file) are "too large".
function fs.read(path, max)
  local full = check.path(path, "fs.read")
  if max ~= nil then check.count(max, "fs.read") end
  return named("fs.read", path, core.file_call(READ, full, max))
end

-- Replaces a file as a whole, or makes it: a reader has the old or the new one.
function fs.write(path, data)
  local full = check.path(path, "fs.write")
  return named("fs.write", path, core.file_call(WRITE, full, check.text(data, "fs.write")))
end

local function by_name(a, b) return a.name < b.name end

-- What a folder has, by name: { { name =, type = "file" | "directory" | "link" | "other" }, ... }.
function fs.list(path)
  local entries, err, code = named("fs.list", path, core.file_call(LIST, check.path(path, "fs.list")))
  if not entries then return nil, err, code end
  table.sort(entries, by_name)
  return entries
end

-- Where to begin: an offset (a client's Last-Event-ID is a string of one), or minus a number of lines.
local function start_of(from)
  if from == nil then return nil, 0 end
  if math.type(from) == "integer" then
    if from < 0 then return nil, from == math.mininteger and math.maxinteger or -from end
    return from
  end
  if type(from) ~= "string" then core.raise(("fs.tail: from: expected an offset or minus a number of lines, got %s"):format(tostring(from))) end
  return #from <= 18 and from:match "^%d+$" and math.tointeger(from) or false
end

-- A stream over `next`, which closes what it reads.
local function stream_of(next, close)
  local stream = sse.from(next)
  stream._close, stream.where = close, core.where()
  return stream
end

-- The lines of a file, those that come later too: a stream of { text =, offset = }.
function fs.tail(path, options)
  local full = check.path(path, "fs.tail")
  options = check.options(options or {}, "fs.tail", TAIL_OPTIONS)
  local offset, lines = start_of(options.from)
  if offset == false then return nil, "fs.tail: from: not an offset: " .. options.from, "offset" end
  local tail, err, code = named("fs.tail", path, core.tail_open(full, offset, lines, options.wait == true))
  if not tail then return nil, err, code end
  return stream_of(function() return core.tail_take(tail) end, function() core.tail_close(tail) end)
end

-- The changes of a file or of those in a folder: a stream of { what =, path = [, name =] }.
function fs.watch(path)
  local full = check.path(path, "fs.watch")
  local changes, err, code = named("fs.watch", path, core.changes_open(full))
  if not changes then return nil, err, code end
  local inside = path:gsub("/*$", "/")
  return stream_of(function() return core.changes_take(changes, path, inside) end, function() core.changes_close(changes) end)
end

core.public(fs, "read", "write", "list", "tail", "watch")

return fs
