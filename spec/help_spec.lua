-- SPDX-License-Identifier: MIT
-- The manual: what `spate help` prints, and its pages, have each command and option, setting and function, and mandoc finds
-- nothing wrong in them.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
require "spec.helper"
local editor_files = require "spate.editor_files"
local functions = require "spate.manual.functions"
local lfs = require "lfs"

local function read(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

-- What is inside of the program, of its sources.
local function embedded(name)
  local path = name == "README.md" and "lua/README.md" or "lua/" .. name:gsub("%.", "/") .. ".lua"
  return lfs.attributes(path) and read(path) or nil
end

-- What a command line prints, and what it returns.
local function run(...)
  local out, write = {}, io.write
  local native = { version = "9.9.9", embedded = embedded, nearest = function(name) return name == "sse.chanel" and "sse.channel" or nil end }
  io.write = function(...) out[#out + 1] = table.concat { ... } end -- luacheck: ignore
  local ok, code, message = pcall(require "spate.cli", { [0] = "spate", ... }, native)
  io.write = write -- luacheck: ignore
  assert(ok, code)
  return table.concat(out), code, message
end

-- A page as it is read: without the marks of roff.
local function text_of(page)
  return (run("help", "--page", page):gsub("\\f[BR]", ""):gsub("\\%-", "-"):gsub("\\%((%l%l)", { aq = "'", ga = "`", ha = "^", ti = "~" })
    :gsub("\\&", ""):gsub("\\e", "\\"):gsub("%s+", " "))
end

local function has(text, part, what) assert(text:find(part, 1, true), ("%s: not a word of %q"):format(what, part)) end

-- The options that the definitions of commands name, { command or nil, option }: some are those of several commands.
local function options()
  local list, command = {}, nil
  for line in read("lua/spate/cli.lua"):gmatch "[^\n]+" do
    command = line:match '^  { "(%l+)"' or line:find "^  " and command or nil
    local named = line:match '[:(]option%b()' or line:match ':flag%b()' or ""
    for option in named:gmatch '%-%-%l[%l-]*' do list[#list + 1] = { command, option } end
  end
  return list
end

local function settings()
  local names = { "listen", "tls", "workers", "io_uring", "store", "durable", "trusted_proxies", "log.level", "log.format", "log.access", "log.redact" }
  for group, key in read("server/script/lua_settings.c"):gmatch("ROW%((%w[%w_]*), ([%w_]+), KIND") do names[#names + 1] = group .. "." .. key end
  return names
end

-- The names that the files of types define functions by.
local function defined()
  local names = {}
  for _, module in ipairs(editor_files.TYPES) do
    for line in embedded(module):gmatch "[^\n]+" do
      local name = line:match "^function [%w_.]*[.:]([%w_]+)%("
      if name then names[#names + 1] = name end
    end
  end
  return names
end

describe("the manual", function()
  it("has each command and each of its options", function()
    local page, list = text_of "spate.1", options()
    assert(#list > 15)
    for _, each in ipairs(list) do
      has(page, each[2], "spate(1)")
      if each[1] then has(run("help", each[1]), each[2], "spate help " .. each[1]) end
    end
    for name in read("lua/spate/cli.lua"):match("COMMANDS = (%b{})"):gmatch '\n  { "(%l+)"' do
      has(page, ".SS spate " .. name .. " ", "spate(1)")
      has(run "help", name, "spate help")
      has(run("help", "commands"), name, "spate help commands")
    end
    for option in require("spate.cli.test_help"):gmatch "%-%-%l[%l-]*" do has(page, option, "spate(1)") end
  end)

  it("has each setting, with its default", function()
    local page, all = text_of "spate.conf.5", run("help", "settings")
    for _, name in ipairs(settings()) do
      has(page, name:find "^log" and name or name:match "^[^.]+$" or name, "spate.conf(5)")
      local out, code = run("help", name)
      assert.equal(0, code, name)
      has(out, name:match "[^.]*$", "spate help " .. name)
      if not name:find "^log" then has(all, name, "spate help settings") end
    end
    assert.equal("limits.head (16384)\n    bytes of request line and fields, and of the trailer fields behind a chunked body: 431\n", (run("help", "limits.head")))
    has(run("help", "limits"), "limits.turn (0.1)\n", "spate help limits")
  end)

  it("has each function, with what is said of it", function()
    local page, list = text_of "spate-lua.7", defined()
    assert(#list > 200)
    local known = {}
    for _, each in ipairs((functions.read(editor_files.types { embedded = embedded }))) do known[each.name:match "[^.:]*$"] = each end
    for _, name in ipairs(list) do
      local each = assert(known[name], name)
      has(page, each.name .. each.arguments, "spate-lua(7)")
      has(page, each.doc:match "^%S*", "spate-lua(7)")
    end
    assert.equal([[
sse.channel(name: string, options?: spate.ChannelOptions)
    The channel of this name, made where there is none; options are those of its maker.
    @return spate.Channel, string?
]], (run("help", "sse.channel")))
    for _, name in ipairs { "app:get", "spate.sse.interval", "req:json", "res:events", "reply.text", "stream:map", "Stream.map", "http.get" } do
      assert.equal(0, (select(2, run("help", name))), name)
    end
    has(run("help", "req.last_event_id"), "the header, else", "spate help")
    has(run("help", "functions"), "app:get(path, ...)", "spate help functions")
  end)

  it("has the README's sections", function()
    has(run("help", "reloading"), "`spate reload`, or SIGHUP", "spate help reloading")
    has(run "help", "Reloading", "spate help")
    assert.is_nil(run("help", "stopping"):find("## Upgrading", 1, true))
    for name, first in pairs { ["spate.fs"] = "`io` waits for the disk", fs = "`io` waits for the disk", ["spate.sqlite"] = "Each file that is open has a thread" } do
      assert.equal(first, run("help", name):sub(1, #first))
    end
    local count = 0
    for name in run("help"):match("\n  a section:(.*)$"):gmatch "[^\n]+" do -- a line each, as it has to be typed
      count = count + 1
      assert.equal(0, (select(2, run("help", name:match "^%s*(.*)$"))), name)
    end
    assert(count > 40, count)
  end)

  it("says what it does not have, and what is near", function()
    local out, code, message = run("help", "sse.chanel")
    assert.same({ "", 2, "nothing is known of 'sse.chanel'; did you mean 'sse.channel'?; see spate help" }, { out, code, message })
  end)

  it("is named where a command is used wrongly", function()
    assert.same({ 2, "missing argument 'url': spate doctor takes <url>\nsee spate doctor --help" }, { select(2, run "doctor") })
    assert.same({ 2, "unknown command 'nothing'\nsee spate --help" }, { select(2, run "nothing") })
    has(run("help", "new"), "hub (Mercure)", "spate help new")
  end)

  for _, page in ipairs { "spate.1", "spate.conf.5", "spate-lua.7" } do
    local with_mandoc = os.execute "command -v mandoc >/dev/null" and it or pending
    with_mandoc("has a page in which mandoc finds nothing wrong: " .. page, function()
      local path = os.tmpname()
      local f = assert(io.open(path, "w"))
      f:write((run("help", "--page", page)))
      f:close()
      local lint <close> = assert(io.popen("mandoc -Tlint " .. path .. " 2>&1"))
      local said = lint:read "a"
      os.remove(path)
      assert.equal("", said)
    end)
  end
end)
