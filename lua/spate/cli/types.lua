-- SPDX-License-Identifier: MIT
-- spate types: the API for editors that know LuaCATS. --luarc puts them where the Lua language server looks.
local editor_files = require "spate.editor_files"
local settings_file = require "spate.settings_file"

local FAILED = 1

return function(arguments, native)
  if not arguments.luarc then
    io.write(editor_files.types(native))
    return 0
  end
  local files = editor_files(native)
  local keeps_luarc = settings_file.exists(editor_files.LUARC)
  if keeps_luarc then table.remove(files, 1) end
  local ok, err = editor_files.write(".", files, native)
  if not ok then return FAILED, err end
  if keeps_luarc then
    io.stderr:write(editor_files.LUARC, ' is there and stays as it is; it needs "workspace.library": [".spate"]\n')
  end
  return 0
end
