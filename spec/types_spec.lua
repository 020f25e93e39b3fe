-- SPDX-License-Identifier: MIT
-- The definitions for editors name what there is, and nothing else.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local helper = require "spec.helper"
local editor_files = require "spate.editor_files"
local t = require "spate.test"

-- What the library's modules have for one another.
local INTERNAL = {
  ["spate.sse"] = "Stream keep_alive_of run beginnings subscription carried", ["spate.reply"] = "Reply copy event_stream file_status of_file of_response send",
  ["spate.http"] = "Response asked check_events", ["spate.HttpResponse"] = "new",
  ["spate.test"] = "parse_time", ["spate.test.App"] = "advance advance_all end_clients mark reload run set_wall settle shut stop",
}

-- What middleware adds, and what each file has of its own.
local ADDED = { ["spate.Request"] = "session", ["spate.Process"] = "pid", ["spate.File"] = "name filename type size", ["spate.McpCall"] = "ctx",
  ["spate.HttpResponse"] = "status headers http_version certificate" }

local DUMP = [[
local core = require "spate.core"

local function names(t)
  local list = {}
  for name, value in pairs(t) do
    if type(name) == "string" and not name:find "^__" then list[#list + 1] = name end
  end
  return json.array(list)
end

-- What spate loads when it is first used.
local function load_later()
  local index = getmetatable(spate).__index
  for i = 1, math.huge do
    local name, value = debug.getupvalue(index, i)
    if name == "LATER" then
      for each in pairs(value) do assert(spate[each]) end
      return
    end
  end
end

local function methods(v)
  local meta = getmetatable(v)
  return names(type(meta.__index) == "table" and meta.__index or meta)
end

app:get("/", function()
  load_later()
  local channel = sse.channel "x"
  local derived = channel:derive(function() end)
  local member = channel:join "me"
  local result = {
    ["spate"] = names(spate), ["spate.App"] = methods(app), ["spate.Request"] = names(core.request_methods), ["spate.reply"] = names(reply),
    ["spate.Reply"] = methods(reply.text ""), ["spate.log"] = names(spate.log), ["spate.Shared"] = methods(spate.shared "x"),
    ["spate.json"] = names(json), ["spate.crypto"] = names(spate.crypto), ["spate.datastar"] = names(spate.datastar), ["spate.durable"] = names(spate.durable), ["spate.DurableStreams"] = methods(spate.durable.streams()), ["spate.mcp"] = names(spate.mcp), ["spate.mercure"] = names(spate.mercure), ["spate.MercureHub"] = methods(spate.mercure.hub { key = ("k"):rep(32) }), ["spate.McpServer"] = methods(spate.mcp.server { name = "x" }), ["spate.McpCall"] = methods(setmetatable({}, require("spate.mcp.call").Call)), ["spate.fs"] = names(spate.fs), ["spate.sqlite"] = names(spate.sqlite), ["spate.redis"] = names(spate.redis), ["spate.Redis"] = methods(spate.redis.open "redis://a"), ["spate.postgres"] = names(spate.postgres), ["spate.Postgres"] = methods(spate.postgres.open "host=/tmp"), ["spate.SqliteDatabase"] = methods(spate.sqlite.open ":memory:"), ["spate.crypto.password"] = names(spate.crypto.password), ["spate.sse"] = names(sse), ["spate.channel"] = names(sse.channel), ["spate.Event"] = methods(sse.event()),
    ["spate.Stream"] = methods(sse.never()), ["spate.KeepAlive"] = methods(sse.keep_alive()), ["spate.metrics"] = names(spate.metrics), ["spate.Metric"] = methods(spate.metrics.gauge("x", { help = "x" })), ["spate.Tickets"] = methods(spate.ticket()), ["spate.Promise"] = methods(sse.promise()), ["spate.Task"] = methods(sse.spawn(function() end)),
    ["spate.Channel"] = methods(channel), ["spate.Membership"] = methods(member), ["spate.Derived"] = methods(derived),
    ["spate.http"] = names(require "spate.http"), ["spate.HttpResponse"] = names(require "spate.http_response"),
    ["spate.process"] = names(spate.process), ["spate.Process"] = methods(spate.process.spawn { "true" }),
    ["spate.File"] = methods(setmetatable({}, require("spate.form").File)),
  }
  member:close()
  return result
end)
]]

local function set(list)
  local s = {}
  for _, name in ipairs(list) do s[name] = true end
  return s
end

local function names(object)
  local list = {}
  for name in pairs(object) do
    if not name:find "^__" then list[#list + 1] = name end
  end
  return list
end

-- What a function holds.
local function upvalues(fn)
  local held = {}
  for i = 1, math.huge do
    local name, value = debug.getupvalue(fn, i)
    if not name then return held end
    held[name] = value
  end
end

-- What lua/spate/test/assertions.lua registers.
local function assertions()
  local list, luassert = {}, package.loaded.luassert
  package.loaded.luassert = { register = function(_, _, name) list[#list + 1] = name end }
  local ok, err = pcall(dofile, "lua/spate/test/assertions.lua")
  package.loaded.luassert = luassert
  assert(ok, err)
  for i, name in ipairs(list) do
    if name == "event" then list[i], list[#list + 1] = "has_event", "has_no_event" end
  end
  return list
end

-- The library for specs, class by class.
local function live_tests()
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write 'local app = require("spate").app()\napp:get("/", function() return "x" end)\nreturn app\n'
  f:close()
  local app = t.load(path)
  os.remove(path)
  local res, channel = app:get "/", t.channel "x"
  local held = upvalues(getmetatable(res).__index)
  local of_response = names(held.methods)
  table.move(names(held.getters), 1, #names(held.getters), #of_response + 1, of_response)
  local result = { ["spate.test"] = names(t), ["spate.test.App"] = names(getmetatable(app)), ["spate.test.Response"] = of_response,
    ["spate.test.Channel"] = names(getmetatable(channel)), ["spate.test.http"] = names(t.http), ["spate.test.postgres"] = names(t.postgres), ["spate.test.redis"] = names(t.redis), luassert = assertions() }
  app:close()
  return result
end

local function live()
  local server = helper.serve(DUMP)
  local classes, lists = {}, server:get("/"):json()
  for class, list in pairs(live_tests()) do lists[class] = list end
  for class, list in pairs(lists) do
    classes[class] = set(list)
    for name in (INTERNAL[class] or ""):gmatch "%S+" do
      assert(classes[class][name], ("%s.%s is not there any more"):format(class, name))
      classes[class][name] = nil
    end
    for name in (ADDED[class] or ""):gmatch "%S+" do classes[class][name] = true end
  end
  server:close()
  return classes
end

-- What the module's file has, as the program has it.
local function text_of(module)
  local f <close> = assert(io.open("lua/" .. module:gsub("%.", "/") .. ".lua"))
  return f:read "a"
end

-- The lines of all files of types.
local function lines() return editor_files.types({ embedded = text_of }):gmatch "([^\n]*)\n" end

-- Class by class, what the file documents: fields, and functions of the local (or field) that follows the class.
local function documented()
  local classes, class, of_local, is_class_of = {}, nil, {}, {}
  for line in lines() do
    local named = line:match "^%-%-%-@class ([%w._]+)"
    if named then class = named end
    local field = line:match "^%-%-%-@field ([%w_]+)"
    if class then classes[class] = classes[class] or {} end
    if field then classes[class][field] = true end
    local variable = line:match "^local ([%w_]+) = {}" or line:match "^([%w_.]+) = {}"
    if variable then
      of_local[variable], is_class_of[class] = class, true
      local owner, name = variable:match "^([%w_]+)%.([%w_]+)$"
      if owner then classes[of_local[owner]][name] = true end
    end
    local owner, name = line:match "^function ([%w_.]+)[.:]([%w_]+)%("
    if owner then classes[assert(of_local[owner], owner)][name] = true end
  end
  for name in pairs(classes) do
    if not is_class_of[name] then classes[name] = nil end -- tables of options
  end
  return classes
end

describe("the types for editors", function()
  it("document what there is, and only that", function()
    assert.same(live(), documented())
  end)

  it("say in a line what each function does, which completion shows", function()
    local silent = {}
    for _, each in ipairs((require("spate.manual.functions").read(editor_files.types { embedded = text_of }))) do
      if each.doc == "" then silent[#silent + 1] = each.name end
    end
    assert.same({}, silent)
  end)

  it("have a file of their own for each module that applications and specs require", function()
    local files = {}
    for _, file in ipairs(editor_files({ embedded = function() return "" end })) do files[file[1]] = file[2] end
    for _, name in ipairs { "spate", "spate.sse", "spate.json", "spate.crypto", "spate.datastar", "spate.durable", "spate.fs", "spate.http", "spate.mcp", "spate.mercure", "spate.postgres", "spate.process", "spate.redis", "spate.sqlite", "spate.test" } do
      assert.matches("---@type " .. name .. "\n", files[(".spate/%s.lua"):format(name:gsub("%.", "/"))], 1, true)
    end
  end)

  it("are files that Lua reads, and that do nothing, alone and as one", function()
    for _, module in ipairs(editor_files.TYPES) do assert.is_nil(assert(load(text_of(module), module, "t", {}))(), module) end
    assert.is_nil(assert(load(editor_files.types { embedded = text_of }, "types", "t", {}))())
    for name in require("lfs").dir "lua/spate/types" do
      local module = name:match "^(%a+)%.lua$"
      if module then assert.truthy(table.concat(editor_files.TYPES, " "):find("spate.types." .. module, 1, true), name) end
    end
  end)
end)
