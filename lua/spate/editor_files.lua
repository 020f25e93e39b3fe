-- SPDX-License-Identifier: MIT
-- What the Lua language server needs to know the API: the types, a file for each module that names its type, and a
-- settings file that points to them. And the writing of files in general.
local settings_file = require "spate.settings_file"

local MODULES = { "spate", "spate.sse", "spate.json", "spate.crypto", "spate.datastar", "spate.durable",
  "spate.fs", "spate.http", "spate.mcp", "spate.mercure", "spate.postgres", "spate.process", "spate.redis", "spate.sqlite", "spate.test" }
local TYPES = { "spate.types", "spate.types.app", "spate.types.sse", "spate.types.channel", "spate.types.http", "spate.types.fs", "spate.types.databases",
  "spate.types.process", "spate.types.protocols", "spate.types.test" }
local STUB = '---@meta\n---@type %s\nlocal module\nreturn module\n'

local editor_files = { LUARC = ".luarc.json", TYPES = TYPES }

-- All types as one file, with the first lines of the first.
function editor_files.types(native)
  local texts = {}
  for i, name in ipairs(TYPES) do
    local text = assert(native.embedded(name))
    texts[i] = i == 1 and text or text:gsub("^.-\n\n", "")
  end
  return table.concat(texts, "\n")
end

-- Path and text of each file, the settings first.
local function list(_, native)
  local files = {
    { editor_files.LUARC, assert(native.embedded "templates/luarc.json") }, { ".spate/types.lua", editor_files.types(native) },
  }
  for _, name in ipairs(MODULES) do files[#files + 1] = { (".spate/%s.lua"):format(name:gsub("%.", "/")), STUB:format(name) } end
  return files
end

-- Makes the directory and those above it; true, or nil and why not.
local function make_directory(path, native)
  if path == "" or settings_file.exists(path) then return true end
  local made, err = make_directory(path:match("^(.*)/[^/]*$") or "", native)
  if not made then return nil, err end
  return native.make_directory(path)
end

local function write(path, text, native)
  local made, err = make_directory(path:match("^(.*)/") or "", native)
  if not made then return nil, err end
  local f <close>, reason = io.open(path, "w")
  if not f then return nil, reason end
  return f:write(text)
end

-- Writes the files below the directory and prints their names; true, or nil and a message.
function editor_files.write(directory, files, native)
  for _, file in ipairs(files) do
    local path = directory == "." and file[1] or directory .. "/" .. file[1]
    local ok, err = write(path, file[2], native)
    if not ok then return nil, "cannot write " .. err end
    print(path)
  end
  return true
end

return setmetatable(editor_files, { __call = list })
