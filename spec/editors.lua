-- SPDX-License-Identifier: MIT
-- What an editor says of scripts, by emmylua_check with the types of `spate types`: nothing of the examples and
-- templates, and something at each of twenty mistakes. Not a part of the specs, as building the checker takes two minutes: make editors.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local editor_files = require "spate.editor_files"
local json = require("spec.helper").harness.json
local lfs = require "lfs"

local CHECKER = os.getenv "EMMYLUA_CHECK" or "emmylua_check"

local function read(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

local function write(path, text)
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
end

local function embedded(name)
  local path = name:find "^templates/" and "lua/" .. name or "lua/" .. name:gsub("%.", "/") .. ".lua"
  return read(path)
end

-- A folder as `spate new` leaves it, with these files.
local function folder_of(files)
  local folder = os.tmpname()
  os.remove(folder)
  os.execute("mkdir -p " .. folder .. "/.spate/spate")
  for _, file in ipairs(editor_files { embedded = embedded }) do write(folder .. "/" .. file[1], file[2]) end
  for name, text in pairs(files) do write(folder .. "/" .. name, text) end
  return folder
end

-- What the checker says: a list of { file =, line =, code =, message = }, of warnings and errors.
local function check(files)
  local folder = folder_of(files)
  local pipe <close> = assert(io.popen(("cd %s && %s . --output-format json --output out.json 2>&1"):format(folder, CHECKER)))
  local said = pipe:read "a"
  local found = {}
  for _, file in ipairs(assert(json.decode(read(folder .. "/out.json")), said)) do
    for _, each in ipairs(file.diagnostics or {}) do
      if each.severity <= 2 and not file.file:find("/.spate/", 1, true) then
        found[#found + 1] = { file = file.file:match "[^/]*$", line = each.range.start.line + 1, code = each.code, message = each.message }
      end
    end
  end
  os.execute("rm -rf " .. folder)
  return found
end

local function scripts()
  local files = {}
  for name in lfs.dir "examples" do
    if name:find "%.lua$" then files[name] = read("examples/" .. name) end
  end
  for name in lfs.dir "lua/templates" do
    local path = "lua/templates/" .. name
    if name:find "_spec%.lua$" then files[name] = read(path) end
    if name:find "^%l+$" then
      for part in lfs.dir(path) do
        if part:find "%.lua$" then files[name .. "_" .. part] = read(path .. "/" .. part) end
      end
    end
  end
  return files
end

local PRELUDE = [[
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local http = require "spate.http"
local app, reply = spate.app(), spate.reply
]]

local MISTAKES = {
  'app:gett("/a", function() return "x" end)',
  'app:get("/a", function(req) return req.metod end)',
  'app:get("/a", function(req) return req:bdy() end)',
  'app:get("/a", function(req) return req.params.id, req:header_al("via") end)',
  'app:get("/a", function(req) req:on_close("x") return "x" end)',
  'app:get("/a", function() return reply.txt "x" end)',
  'app:get("/a", function() return reply.json({}, "201") end)',
  'app:get("/a", function() return reply.text("x"):headr("A", "b") end)',
  'app:get("/a", function() sse.sleep("1") return "x" end)',
  'app:get("/a", function() return sse.reply(sse.intervall(1)) end)',
  'app:get("/a", function() return sse.reply(sse.interval("1")) end)',
  'app:get("/a", function() return sse.reply(sse.stream(function(send) send(true) end)) end)',
  'app:get("/a", function() return sse.reply(sse.interval(1):mapp(tostring)) end)',
  'app:get("/a", function() return sse.event("x"):dta("y") end)',
  'app:get("/a", function() return sse.reply(assert(sse.channel("x")):subscrib()) end)',
  'app:get("/a", function() return http.get(7) end)',
  'app:get("/a", function() return http.get("http://x", { timeout = "soon" }) end)',
  'app:get("/a", function() return assert(http.get("http://x")).statu end)',
  'app:get("/a", function() return json.encod({}) end)',
  'app:get("/a", function() return spate.shared("x"):increment("n") end)',
}

describe("an editor", function()
  it("has nothing to say of the examples and templates", function()
    local lines = {}
    for _, each in ipairs(check(scripts())) do lines[#lines + 1] = ("%s:%d: %s (%s)"):format(each.file, each.line, each.message, each.code) end
    assert.equal("", table.concat(lines, "\n"))
  end)

  it("has something to say of each mistake, and of nothing else", function()
    local text = PRELUDE .. table.concat(MISTAKES, "\n") .. "\nreturn app\n"
    local _, before = PRELUDE:gsub("\n", "")
    local told = {}
    for _, each in ipairs(check { ["app.lua"] = text }) do
      told[each.line - before] = true
      assert(MISTAKES[each.line - before], each.message)
    end
    local missed = {}
    for i, line in ipairs(MISTAKES) do
      if not told[i] then missed[#missed + 1] = line end
    end
    assert.equal("", table.concat(missed, "\n"))
  end)
end)
