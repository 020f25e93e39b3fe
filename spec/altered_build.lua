-- SPDX-License-Identifier: MIT
-- Builds the harness with some lines of the core or of the library changed, in a folder of its own: only what a change concerns is
-- compiled, beside the objects of $BUILD, which `make` has to have made. Sources are left as they are.
--
--   local altered = require "spec.altered_build"
--   local dir = assert(altered.build("build/altered/lost_ref", { { "serve/feed.c", "event_ref(e)", "(e)" } }))
--   os.execute("BUILD=" .. dir .. " lua5.4 ...") -- helper.lua takes the harness from there
local altered = {}

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("a")
  f:close()
  return text
end

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

-- What a command prints, without the last line's end; nil and that where it fails.
local function run(command)
  local f = assert(io.popen(command .. " 2>&1"))
  local text = f:read("a"):gsub("%s+$", "")
  if f:close() then return text end
  return nil, text
end

local function occurrences(text, part)
  local count, at = 0, 1
  while true do
    local first, last = text:find(part, at, true)
    if not first then return count end
    count, at = count + 1, last + 1
  end
end

local function replace(text, from, to)
  local first, last = text:find(from, 1, true)
  return text:sub(1, first - 1) .. to .. text:sub(last + 1)
end

-- Paths are those below server/, and those of the library, which begin with lua/.
local function source_of(path) return path:find "^lua/" and path or "server/" .. path end

-- The files with their changes, as path = text. Each change is { path, from, to [, line] }: `from` stands there once,
-- or once in that line. Raises where it does not.
function altered.apply(changes)
  local texts = {}
  for _, change in ipairs(changes) do
    local path, from, to, line = table.unpack(change, 1, 4)
    local text = texts[path] or read(source_of(path))
    local head, rest = "", text
    if line then
      for _ = 2, line do head = head .. rest:match("^[^\n]*\n"); rest = rest:gsub("^[^\n]*\n", "", 1) end
    end
    local place = line and rest:match("^[^\n]*") or rest
    local count = occurrences(place, from)
    if count ~= 1 then
      error(("%s: %q stands there %d times, expected once%s"):format(source_of(path), from, count, line and " in line " .. line or ""), 2)
    end
    texts[path] = head .. replace(place, from, to) .. rest:sub(#place + 1)
  end
  return texts
end

-- How objects are made and the harness is linked, as the Makefile says: { compile =, link =, objects =, libs = }.
function altered.commands(build, settings)
  local text = assert(run(("make -s --no-print-directory BUILD=%s %s harness-commands"):format(build, settings or "")))
  local commands = {}
  for name, value in text:gmatch("(%w+): ([^\n]*)") do commands[name] = value end
  commands.build = build
  return commands
end

-- The sources that a change of `path` concerns: itself, or whatever includes it.
local function sources_of(path, build)
  if path:find("%.c$") then return { path } end
  local list = {}
  local found = run(("grep -lw -e server/%s %s/*/*.d"):format(path, build)) or ""
  for stem in found:gmatch(build:gsub("%p", "%%%0") .. "/([%w_/]+)%.d") do
    if not stem:find("^process/") then list[#list + 1] = stem .. ".c" end
  end
  return list
end

local function folder_of(path) return path:match("^(.*)/") end

-- Compiles server/`source` into `dir`, seeing the changed files there: the object's path, or nil and what is wrong.
function altered.compile(commands, dir, source, flags)
  local own, object = dir .. "/src/" .. source, dir .. "/" .. source:gsub("c$", "o")
  local file = io.open(own)
  if file then file:close() end
  local ok, err = run(("mkdir -p %s && %s %s -c -o %s %s"):format(folder_of(object), commands.compile:gsub("%-Iserver", "-I" .. dir .. "/src %0", 1),
    flags or "", object, file and own or "server/" .. source))
  return ok and object, err
end

-- The library with the changed files of it in `dir`, as an object.
local function embed(commands, dir, paths)
  local command = commands.embed
  for _, path in ipairs(paths) do command = replace(command, " " .. path, (" %s/src/%s"):format(dir, path)) end
  local ok, err = run(("%s > %s/src/embedded.c"):format(command, dir))
  if not ok then return nil, err end
  return altered.compile(commands, dir, "embedded.c")
end

-- Links a harness of the objects of `commands`, some of them in place of others: the folder, or nil and what is wrong.
function altered.link(commands, dir, objects)
  local list = commands.objects
  for source, object in pairs(objects) do list = replace(list, commands.build .. "/" .. source:gsub("c$", "o"), object) end
  write(dir .. "/objects", list)
  local ok, err = run(("mkdir -p %s/lib/spate && %s -o %s/lib/spate/harness.so @%s/objects %s"):format(dir, commands.link, dir, dir, commands.libs))
  return ok and dir, err
end

-- A harness with the changes, in `dir`: the folder, for $BUILD, or nil and what the compiler says. `options`: build,
-- the objects to stand on ($BUILD, else "build"); flags, more for the compiler.
function altered.build(dir, changes, options)
  local build = options and options.build or os.getenv("BUILD") or "build"
  local commands, objects = altered.commands(build, options and options.settings), {}
  local texts = altered.apply(changes)
  assert(run("rm -rf " .. dir))
  for path, text in pairs(texts) do
    assert(run(("mkdir -p %s/src/%s"):format(dir, folder_of(path))))
    write(("%s/src/%s"):format(dir, path), text)
  end
  local library = {}
  for path in pairs(texts) do
    if path:find "^lua/" then library[#library + 1] = path end
    for _, source in ipairs(sources_of(path, build)) do
      local object, err = altered.compile(commands, dir, source, options and options.flags)
      if not object then return nil, err end
      objects[source] = object
    end
  end
  if library[1] then
    local object, err = embed(commands, dir, library)
    if not object then return nil, err end
    objects["embedded.c"] = object
  end
  return altered.link(commands, dir, objects)
end

altered.run, altered.read, altered.write = run, read, write
return altered
