-- SPDX-License-Identifier: MIT
-- The definitions for editors name what there is, and nothing else.
local helper = require "spec.helper"

-- What the library's modules have for one another.
local INTERNAL = {
  ["spate.sse"] = "Stream keep_alive_of run starters subscription", ["spate.reply"] = "Reply copy event_stream file_status of_file send",
}

-- What middleware adds, and what each file has of its own.
local ADDED = { ["spate.Request"] = "session", ["spate.File"] = "name filename type size" }

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
    ["spate.json"] = names(json), ["spate.sse"] = names(sse), ["spate.channel"] = names(sse.channel), ["spate.Event"] = methods(sse.event()),
    ["spate.Stream"] = methods(sse.never()), ["spate.KeepAlive"] = methods(sse.keep_alive()), ["spate.Task"] = methods(sse.spawn(function() end)),
    ["spate.Channel"] = methods(channel), ["spate.Membership"] = methods(member), ["spate.Derived"] = methods(derived),
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

local function live()
  local server = helper.serve(DUMP)
  local classes = {}
  for class, list in pairs(server:get("/"):json()) do
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

-- Class by class, what the file documents: fields, and functions of the local (or field) that follows the class.
local function documented()
  local classes, class, of_local, is_class_of = {}, nil, {}, {}
  for line in io.lines "lua/spate/types.lua" do
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

describe("lua/spate/types.lua", function()
  it("documents what there is, and only that", function()
    assert.same(live(), documented())
  end)

  it("is a file that Lua reads, and that does nothing", function()
    assert.is_nil(assert(loadfile("lua/spate/types.lua", "t", {}))())
  end)
end)
