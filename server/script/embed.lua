-- SPDX-License-Identifier: MIT
-- At build time: prints a C file with the given Lua files in it. Arguments: pairs of module name and path.
local function bytes_of(path)
  local f <close> = assert(io.open(path, "rb"))
  local rows, text = {}, f:read("a")
  for i = 1, #text, 20 do
    rows[#rows + 1] = table.concat({ text:byte(i, i + 19) }, ",")
  end
  return table.concat(rows, ",\n")
end

print('#include "script/lua_require.h"')
for i = 1, #arg, 2 do
  print(("static const char module_%d[] = {\n%s};"):format(i, bytes_of(arg[i + 1])))
end
print("const struct embedded embedded_modules[] = {")
for i = 1, #arg, 2 do
  local source = "=" .. (arg[i + 1]:match("lua/(spate/.*)$") or arg[i])
  print(('  {"%s", "%s", module_%d, module_%d + sizeof module_%d},'):format(arg[i], source, i, i, i))
end
print("  {0, 0, 0, 0}};")
