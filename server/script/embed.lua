-- SPDX-License-Identifier: MIT
-- At build time: prints a C file with the given files in it. Arguments: pairs of module name and path, then "--" and pairs of those
-- that are wanted as texts. Modules are compiled here, once, and not in each state; of what errors tell nothing is left out.
local function text_of(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

local function source_of(name, path) return "=" .. (path:match("lua/(spate/.*)$") or name) end

local function chunk_of(name, path) return string.dump(assert(load(text_of(path), source_of(name, path), "t"))) end

local function rows_of(bytes)
  local rows = {}
  for i = 1, #bytes, 20 do
    rows[#rows + 1] = table.concat({ bytes:byte(i, i + 19) }, ",")
  end
  return table.concat(rows, ",\n")
end

local files, wanted = {}, chunk_of
local function add(at)
  local name, path = arg[at], arg[at + 1]
  files[#files + 1] = { name = name, source = source_of(name, path), bytes = wanted(name, path) }
  return at + 2
end

local at = 1
while arg[at] do
  if arg[at] == "--" then wanted, at = function(_, path) return text_of(path) end, at + 1
  else at = add(at) end
end

print('#include "script/lua_require.h"')
for i, file in ipairs(files) do
  print(("static const unsigned char file_%d[] = {\n%s};"):format(i, rows_of(file.bytes)))
end
print("const struct embedded embedded_modules[] = {")
for i, file in ipairs(files) do
  print(('  {"%s", "%s", (const char *)file_%d, (const char *)file_%d + sizeof file_%d},'):format(file.name, file.source, i, i, i))
end
print("  {0, 0, 0, 0}};")
