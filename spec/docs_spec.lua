-- SPDX-License-Identifier: MIT
-- The READMEs: their Lua code loads, their links lead somewhere, and they name what there is.
local helper = require "spec.helper"
local lfs = require "lfs"

local PAGES = { "README.md", "lua/README.md", "lua/FROM.md", "server/README.md", "spec/README.md", "examples/README.md",
  ".github/CONTRIBUTING.md", ".github/SECURITY.md", "server/packaging/CHANGELOG.md", "server/packaging/README.md" }

local function read(path)
  local f <close> = assert(io.open(path))
  return f:read("a")
end

-- What GitHub makes of a heading as a target of links.
local function anchor_of(heading) return (heading:lower():gsub("[^%w%- ]", ""):gsub(" ", "-")) end

local function has_anchor(path, anchor)
  for heading in ("\n" .. read(path)):gmatch("\n#+ ([^\n]+)") do
    if anchor_of(heading) == anchor then return true end
  end
  return false
end

-- Names of the files in a folder that end in `ending`.
local function files_in(folder, ending)
  local names = {}
  for name in lfs.dir(folder) do
    if name:sub(-#ending) == ending then names[#names + 1] = name end
  end
  return names
end

for _, path in ipairs { "README.md", "lua/README.md", "lua/FROM.md" } do
  describe(path, function()
    -- A block that names its file in its first line is a whole file.
    for block in read(path):gmatch("```lua\n(.-)```") do
      local first = block:match("[^\n]*")
      it("has code that loads: " .. first, function()
        local name = first:match("^%-%- ([%w_./]+)%.lua")
        if name then assert(load(block)) end
        local folder = lfs.currentdir() .. "/examples/site" -- in the place of those that a reader has
        local source = block:gsub('(app:static%("[^"]*", )"[^"]*"', '%1"' .. folder .. '"')
        if not name then helper.serve(source).core:close() end -- sse.every goes on
      end)
    end
  end)
end

describe("README.md", function()
  local text = read "README.md"

  it("is short", function() assert.is_true(select(2, text:gsub("\n", "")) < 250) end)

  it("begins with a script that sends three events and ends", function()
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    f:write((text:match("```lua\n(.-)```")))
    f:close()
    local server = helper.serve(path)
    os.remove(path)
    finally(function() server:close() end)
    local res = server:get("/clock")
    server:advance(3)
    assert.equal(3, #res:events())
    assert.is_true(res:has_ended())
  end)
end)

describe("lua/README.md", function()
  local text = read "lua/README.md"

  it("names each setting in its file and in its tables", function()
    local settings = load(text:match("```lua\n(%-%- spate%.conf%.lua.-)```"))()
    local named, known = {}, {}
    for group, keys in pairs(settings) do
      for key in pairs(type(keys) == "table" and group ~= "listen" and group ~= "trusted_proxies" and keys or {}) do named[group .. "." .. key] = true end
    end
    for group, key in read("server/script/lua_settings.c"):gmatch("ROW%((%w[%w_]*), ([%w_]+), KIND") do known[group .. "." .. key] = true end
    known["log.format"] = true
    assert.same(known, named)
    for key in pairs(known) do assert.truthy(text:find("`" .. key, 1, true), key) end
    helper.harness.new({ settings = settings }):close()
  end)

  it("names each number that the server counts", function()
    for name in read("server/serve/metrics.c"):gmatch('[GC][%u_]+%("([%l_]+)"') do assert.truthy(text:find("| `" .. name .. "` |", 1, true), name) end
  end)

  it("names each command", function()
    for name in read("lua/spate/cli.lua"):match("COMMANDS = (%b{})"):gmatch('\n  { "(%l+)"') do
      assert.truthy(text:find("spate [%l|]*" .. name), name)
    end
  end)
end)

describe("examples/README.md", function()
  it("names each example", function()
    local text = read "examples/README.md"
    for _, name in ipairs(files_in("examples", ".lua")) do assert.truthy(text:find("](" .. name .. ")", 1, true), name) end
  end)
end)

describe("spec/README.md", function()
  it("names each target of the Makefile that looks for defects", function()
    local text = read "spec/README.md"
    local targets = read("Makefile"):match("%.PHONY: (.-)\n\n") or read("Makefile"):match("%.PHONY: (.*)$")
    for target in targets:gsub("\\\n", " "):gmatch("%S+") do
      local is_elsewhere = target == "all" or target == "always" or target == "fuzzers" or target == "clean"
      local stands = text:find("make " .. target, 1, true) or read("README.md"):find("make " .. target, 1, true)
      assert.truthy(is_elsewhere or target == "format" or stands, target)
    end
  end)
end)

describe("the pages", function()
  for _, path in ipairs(PAGES) do
    it("link to what there is: " .. path, function()
      local folder = path:match("^(.*/)") or ""
      for target in read(path):gsub("```.-```", ""):gmatch("%]%(([^)]+)%)") do
        if not target:find("^https?:") and not target:find "^mailto:" then
          local file, anchor = target:match("^([^#]*)#?(.*)$")
          local full = file == "" and path or folder .. file
          assert.truthy(lfs.attributes(full), ("%s: %s"):format(path, target))
          if anchor ~= "" then assert.is_true(has_anchor(full, anchor), ("%s: %s"):format(path, target)) end
        end
      end
    end)
  end
end)
