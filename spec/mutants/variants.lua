-- SPDX-License-Identifier: MIT
-- All changes of a source in one object: each changed function stands beside the one that it was, and $MUTANT says in each process
-- which of them runs (choice.c). So a change costs neither a compiler nor a linker, but only the specs that look at it.
local variants = {}

local ALONE = "static __attribute__((noipa)) " -- neither inlined, nor made to fit who calls it

-- Names of a function's arguments.
local function arguments(parameters)
  local names = {}
  local flat = parameters:gsub("%b()", function(inner) return (inner:gsub(",", " ")) end)
  for part in (flat .. ","):gmatch("([^,]*),") do
    local name = part:match("%(%s*%*%s*([%w_]+)") or part:gsub("%b[]", ""):match("([%w_]+)%s*$")
    if name ~= "void" then names[#names + 1] = name end
  end
  return table.concat(names, ", ")
end

-- Whether there can be several of the function that a change is in: who takes any number of arguments cannot hand them on.
function variants.can(one) return not one.within.parameters:find("...", 1, true) end

-- One function as `name`, its body changed by `one` where there is one.
local function copy(text, within, name, one, label)
  local body = text:sub(within.first + #within.result + #within.name, within.last)
  local at = within.first + #within.result + #within.name
  if one then body = body:sub(1, one.first - at) .. one.to .. body:sub(one.last - at + 2) end
  local result = (" " .. within.result):gsub("%f[%w_]static%f[^%w_]", ""):gsub("\n", " ")
  return ('#line %d "%s"\n%s%s%s%s\n'):format(within.line, label, ALONE, result, name, body)
end

local function chooser(within, list)
  local call = ("(%s)"):format(arguments(within.parameters))
  local out = { within.result, within.name, "(", within.parameters, ") {\nswitch (mutants_choice()) {\n" }
  for _, one in ipairs(list) do out[#out + 1] = ("case %d: return %s__m%d%s;\n"):format(one.id, within.name, one.id, call) end
  out[#out + 1] = ("default: return %s__m0%s;\n}\n}\n"):format(within.name, call)
  return table.concat(out)
end

-- The source `text` of server/`path` with all of `list` in it; each has its `id`, above 0.
function variants.source(text, path, list)
  local of, functions = {}, {}
  for _, one in ipairs(list) do
    local within = one.within
    if not of[within] then
      of[within] = {}
      functions[#functions + 1] = within
    end
    table.insert(of[within], one)
  end
  table.sort(functions, function(a, b) return a.first < b.first end)
  local out, at = { ('int mutants_choice(void);\n#line 1 "%s"\n'):format(path) }, 1
  for _, within in ipairs(functions) do
    out[#out + 1] = text:sub(at, within.first - 1) .. "\n"
    out[#out + 1] = copy(text, within, within.name .. "__m0", nil, "m0")
    for _, one in ipairs(of[within]) do
      out[#out + 1] = copy(text, within, ("%s__m%d"):format(within.name, one.id), one, "m" .. one.id)
    end
    out[#out + 1] = chooser(within, of[within])
    local _, lines = text:sub(1, within.last):gsub("\n", "")
    out[#out + 1] = ('#line %d "%s"\n'):format(lines + 1, path)
    at = within.last + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

-- Numbers of the changes that a compiler's messages are about, as keys.
function variants.refused(messages)
  local ids = {}
  for id in messages:gmatch("%f[%w]m(%d+):%d+:%d+: error") do ids[math.tointeger(id)] = true end
  return ids
end

-- Numbers of those of `list` that were compiled to what their functions were before, or that the preprocessor leaves out of this
-- build, as keys.
function variants.same(object, list)
  local code, name = {}, nil
  for line in io.popen("objdump -dr --no-show-raw-insn " .. object):lines() do
    name = line:match("^%x+ <(.*)>:$") or name
    if name and not line:find("^%x+ <") then
      line = line:gsub("^%s*%x+:%s*", ""):gsub("%x+ <[%w_]+__m%d+([^>]*)>", "%1"):gsub("%x+ <[^>]*>", "")
      code[name] = code[name] or {}
      table.insert(code[name], line)
    end
  end
  local ids = {}
  for full, lines in pairs(code) do
    local base, id = full:match("^(.*)__m(%d+)$")
    local before = base and code[base .. "__m0"]
    if before and id ~= "0" and table.concat(before, "\n") == table.concat(lines, "\n") then ids[math.tointeger(id)] = true end
  end
  for _, one in ipairs(list) do
    local is_built = one.outcome == "uncompilable" or code[("%s__m%d"):format(one.within.name, one.id)]
    ids[one.id] = ids[one.id] or not is_built
  end
  return ids
end

return variants
