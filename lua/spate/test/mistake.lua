-- SPDX-License-Identifier: MIT
-- Raises at the line of the spec that has called the library, however deep, also through luassert.
local function is_of_library(path)
  local is_ours = path:find "%f[%w]spate/[%w_/]+%.lua$" and not path:find "_spec%.lua$"
  return is_ours or path:find("/luassert/", 1, true) or path:find("/busted/", 1, true)
end

return function(message)
  local level = 2
  local info = debug.getinfo(level, "Sl")
  while info and (info.currentline <= 0 or is_of_library(info.short_src)) do
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  error((info and ("%s:%d: "):format(info.short_src, info.currentline) or "") .. message, 0)
end
