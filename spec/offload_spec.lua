-- SPDX-License-Identifier: MIT
-- spate.offload: functions of modules in Lua states of their own. In memory the loop's thread runs them, in a turn
-- of its own; with real threads in e2e_offload_spec.lua.
local helper = require "spec.helper"
local lfs = require "lfs"

local directory, server

local function write(name, source)
  local f <close> = assert(io.open(directory .. "/" .. name, "w"))
  f:write(source)
end

local WORK = [[
local work, calls = {}, 0
function work.same(...) return ... end
function work.count() calls = calls + 1 return calls end
function work.type(v) return math.type(v) or type(v) end
function work.fail(what) error(what) end
function work.fail_inside() local t = nil return t.x end
function work.value() error { code = 42 } end
function work.odd() error(print) end
function work.loop() while true do pcall(function() while true do end end) end end
function work.fill() local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end end
function work.refused() return { f = { 1, { print } } } end
function work.long(n) return ("x"):rep(n) end
function work.path() return package.path, package.cpath end
return work
]]

-- What a handler of this code answers, decoded; options as helper.serve.
local function run(code, options)
  write("work.lua", WORK)
  write("app.lua", ([[
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, offload = spate.app(), spate.offload
app:get("/", function(req)
%s
end)
return app
]]):format(code))
  if server then server:close() end
  server = helper.serve(directory .. "/app.lua", options)
  local res = server:get "/"
  server:turn()
  return res:json()
end

-- The error that the code raises, without the path of the application's file.
local function error_of(code, options)
  return (run("local ok, err = pcall(function() " .. code .. " end) return { err = tostring(err) }", options).err
    :gsub(directory:gsub("%p", "%%%0") .. "/", ""))
end

-- Each `it` of the description has a directory of its own.
local function in_directory()
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    lfs.mkdir(directory)
  end)

  after_each(function()
    if server then server:close() end
    server = nil
    os.execute("rm -r " .. directory)
  end)
end

describe("spate.offload", function()
  in_directory()

  it("calls a function of a module that is found beside the application", function()
    assert.same({ 1, 2, 3 }, run 'return { offload("work", "count"), offload("work", "count"), offload("work", "count") }')
  end)

  it("copies arguments and results: numbers of their kind, strings, booleans, nil, tables by value", function()
    assert.same({ "integer", "float", "string", "boolean", "nil", "table" }, run [[
      local types = {}
      for i, v in ipairs { 1, 1.0, "1", true, false, {} } do types[i] = offload("work", "type", i ~= 5 and v or nil) end
      return types
    ]])
    assert.same({ 4, true, false, 1.5, true }, run [[
      local r = table.pack(offload("work", "same", nil, "\0\xff", false, { x = { y = 1.5 } }))
      local original = { 1 }
      local copy = offload("work", "same", original)
      return { r.n, r[2] == "\0\xff", r[3], r[4].x.y, copy ~= original and copy[1] == 1 }
    ]])
    assert.same({ 0, 100 }, run [[return { select("#", offload("work", "same")), select("#", offload("work", "same", table.unpack({}, 1, 100))) }]])
  end)

  it("copies what JSON tells apart", function()
    assert.same({ "[[],{},null]" }, run 'return { json.encode(offload("work", "same", { json.array {}, json.object {}, json.null })) }')
  end)

  it("copies keys of every kind, and a table twice that is there twice", function()
    assert.same({ "a", "b", "c", "d", false, 6 }, run [[
      local shared = { 6 }
      local t = offload("work", "same", { "a", [1.5] = "b", [true] = "c", [-1] = "d", x = shared, y = shared })
      return { t[1], t[1.5], t[true], t[-1], t.x == t.y, t.y[1] }
    ]])
  end)

  it("refuses what cannot go to another thread, and says where it is", function()
    assert.equal("app.lua:4: spate.offload: argument 4.f[2].x: a function cannot go to another thread",
      error_of 'offload("work", "same", 1, { f = { 1, { x = print } } })')
    assert.equal("app.lua:4: spate.offload: argument 3: a thread cannot go to another thread",
      error_of 'offload("work", "same", coroutine.create(print))')
    assert.equal("app.lua:4: spate.offload: argument 3.self.self: a table inside itself cannot go to another thread",
      error_of 'local t = { self = {} } t.self.self = t offload("work", "same", t)')
    assert.equal("app.lua:4: spate.offload: argument 3[a table]: a table as a key cannot go to another thread",
      error_of 'offload("work", "same", { [{}] = 1 })')
    assert.matches("^app.lua:4: spate.offload: argument 3%[1%]%[1%].*: more than 100 tables inside one another$",
      error_of 'local t = {} for i = 1, 100 do t = { t } end offload("work", "same", t)')
    assert.same({ 100 }, run [[
      local t, n = {}, 1
      for i = 2, 100 do t = { t } end
      t = offload("work", "same", t)
      while t[1] do t, n = t[1], n + 1 end
      return { n }
    ]])
    assert.equal("app.lua:4: spate.offload: result 1.f[2][1]: a function cannot go to another thread", error_of 'offload("work", "refused")')
  end)

  it("limits the bytes of arguments and of results", function()
    local options = { settings = { offload = { bytes = 1000 } } }
    assert.equal("app.lua:4: spate.offload: argument 4: more bytes than offload.bytes",
      error_of('offload("work", "same", ("x"):rep(500), ("x"):rep(500))', options))
    assert.equal("app.lua:4: spate.offload: result 1: more bytes than offload.bytes", error_of('offload("work", "long", 1000)', options))
    assert.same({ 900 }, run('return { #offload("work", "long", 900) }', options))
  end)

  it("raises what the function raises, with its own place, and logs where that came from", function()
    assert.equal("work.lua:5: boom", error_of 'offload("work", "fail", "boom")')
    local log = server:log()
    assert.matches("error ", log, 1, true)
    assert.matches("work.lua:5: boom", log, 1, true)
    assert.matches("work.lua:5: in ", log, 1, true)
    assert.equal("work.lua:6: attempt to index a nil value (local 't')", error_of 'offload("work", "fail_inside")')
    assert.same({ 42 }, run 'local ok, err = pcall(offload, "work", "value") return { err.code }')
    assert.equal("an error value of type function", error_of 'offload("work", "odd")')
  end)

  it("answers 500 where nobody catches that, and goes on", function()
    write("work.lua", WORK)
    server = helper.serve(("package.path = %q .. package.path\n"):format(directory .. "/?.lua;") ..
      [[app:get("/fail", function() return spate.offload("work", "fail", "boom") end)
      app:get("/count", function() return { spate.offload("work", "count") } end)]])
    assert.equal(500, server:get("/fail"):status())
    assert.same({ 1 }, server:get("/count"):json())
    assert.same({ 2 }, server:get("/count"):json())
  end)

  it("says what is not there", function()
    assert.matches("^app.lua:4: spate.offload: module 'wrok' not found:", error_of 'offload("wrok", "count")')
    assert.equal("app.lua:4: spate.offload: module 'work' has no function 'cuont'; did you mean 'count'?", error_of 'offload("work", "cuont")')
    assert.equal("app.lua:4: spate.offload: module 'work' has no function 'xxxxxx'", error_of 'offload("work", "xxxxxx")')
    write("number.lua", "return 1")
    assert.equal("app.lua:4: spate.offload: module 'number' is a number: expected a table of functions", error_of 'offload("number", "x")')
    assert.equal("app.lua:4: spate.offload: function: expected a string, got nil", error_of 'offload("work")')
    assert.equal("app.lua:4: spate.offload: module: expected a string, got function", error_of "offload(print)")
  end)

  it("says where a module does not load, and loads it once that is mended", function()
    write("broken.lua", "return {\n  f = function( }\n}")
    assert.matches("^app.lua:4: spate.offload: error loading module 'broken'.*broken.lua:2: ", error_of 'offload("broken", "f")')
    write("broken.lua", "error 'not yet'")
    assert.matches("^app.lua:4: spate.offload: broken.lua:1: not yet", error_of 'offload("broken", "f")')
  end)

  it("cannot be called where nothing can wait", function()
    write("work.lua", WORK)
    assert.matches("spate.offload: nothing can wait while the script is loaded", helper.load_error '\nspate.offload("work", "count")', 1, true)
  end)

  it("stops what computes for too long, however it resists, and goes on with another state", function()
    local options = { watch = true, settings = { limits = { burst = 0.05 }, offload = { time = 0.05 } } }
    assert.same({ 1, "work.lua:9: stopped after 0.05 s of CPU time (offload.time)", 1 }, run([[
      local before = offload("work", "count")
      local ok, err = pcall(offload, "work", "loop")
      return { before, err:match "work%.lua:%d+.*", offload("work", "count") }
    ]], options))
  end)

  it("has a memory of its own for it, and another where that was too small", function()
    local options = { settings = { offload = { memory = 4 << 20 } } }
    assert.same({ 1, "spate.offload: work.fill: not enough memory (offload.memory is 4194304 bytes)", 1 }, run([[
      local before = offload("work", "count")
      local ok, err = pcall(offload, "work", "fill")
      return { before, err:match "spate%.offload.*", offload("work", "count") }
    ]], options))
    assert.matches("^app.lua:4: spate.offload: .*limits.lua_memory is too small for a Lua state",
      error_of('offload("work", "count")', { settings = { offload = { memory = 100 } } }))
  end)

  it("is busy where too many calls wait already", function()
    assert.same({ 3, 2, "spate.offload: too much waits for a thread already" }, run([[
      local made, busy, why, tasks = 0, 0, nil, {}
      for i = 1, 5 do
        tasks[i] = sse.spawn(function()
          local result, message, code = offload("work", "count")
          if result then made = made + 1 elseif code == "busy" then busy, why = busy + 1, message end
        end)
      end
      for _, task in ipairs(tasks) do task:join() end
      return { made, busy, why }
    ]], { settings = { offload = { queue = 3 } } }))
  end)

  it("has a result that finds nobody where its caller has left", function()
    assert.same({ 2 }, run [[
      local task = sse.spawn(function() offload("work", "count") end)
      sse.spawn(function() task:cancel() end)
      task:join()
      return { offload("work", "count") }
    ]])
    assert.not_matches("error", server:log())
  end)

  it("finds modules as the application does", function()
    assert.same({ true, true }, run [[
      package.path = package.path .. ";/somewhere/?.lua"
      local path, cpath = offload("work", "path")
      return { path == package.path, cpath == package.cpath }
    ]])
  end)

  it("has new states for new code, and closes the old ones with the old code", function()
    assert.same({ 1 }, run 'return { offload("work", "count") }')
    assert.same({ 1 }, server:get("/"):json() and { server.core:run [[return tostring(require("spate").stats().offload_states)]] and 1 })
    write("work.lua", "return { count = function() return 100 end }")
    assert(server:reload(directory .. "/app.lua"))
    assert.same({ 100 }, server:get("/"):json())
    server:advance(60)
    assert.equal("1", (server.core:run [[return tostring(require("spate").stats().offload_states)]]))
  end)
end)

describe("a function that spate.offload runs", function()
  in_directory()

  -- What a function of this code in a module returns.
  local function inside(code)
    write("inside.lua", 'local spate, sse, json = require "spate", require "spate.sse", require "spate.json"\nreturn { f = function()\n' .. code .. "\nend }")
    return run 'return { offload("inside", "f") }'
  end

  local function error_inside(code)
    return (inside("local ok, err = pcall(function() " .. code .. " end) return tostring(err)")[1]:gsub(".*inside.lua:", ""))
  end

  it("has what needs no loop", function()
    assert.same({ "[1]", "900150983cd24fb0d6963f7d28e17f72", "&lt;", 36, "string", 0 }, inside
      [[return json.encode { 1 }, spate.crypto.hash("md5", "abc"), spate.escape "<", #spate.uuid(), type(spate.env "PATH"), spate.worker]])
    assert.same({ 1, true }, inside [[
      local kept = spate.crypto.password.hash("x", { cost = 1 })
      return spate.shared("offloaded"):incr "n", spate.crypto.password.verify("x", kept)
    ]])
    inside 'spate.log.info("from inside", { n = 1 }) print "printed"'
    local log = server:log()
    assert.matches("from inside n=1", log, 1, true)
    assert.matches("printed", log, 1, true)
  end)

  it("is told what it cannot use, at its line", function()
    local why = ": not in a function that spate.offload runs, which has a thread of its own: return what the caller is to do it with"
    assert.equal("3: sse.sleep" .. why, error_inside "sse.sleep(1)")
    assert.equal("3: sse.spawn" .. why, error_inside "sse.spawn(print)")
    assert.equal("3: sse.channel" .. why, error_inside 'sse.channel("x"):publish "y"')
    assert.equal("3: reply.text" .. why, error_inside 'spate.reply.text "x"')
    assert.equal("3: spate.app" .. why, error_inside "spate.app()")
    assert.equal("3: spate.abort" .. why, error_inside "spate.abort(404)")
    assert.equal("3: http.get" .. why, error_inside 'require("spate.http").get "http://x/"')
    assert.equal("3: process.run" .. why, error_inside 'spate.process.run { "true" }')
    assert.equal("3: spate.offload" .. why, error_inside 'spate.offload("work", "count")')
    assert.equal("3: spate.core.spawn" .. why, error_inside 'require("spate.core").spawn(print)')
  end)

  it("may require what other functions of its module use", function()
    assert.same({ 7 }, inside "local sleep, stream = sse.sleep, sse.Stream.map return 7")
  end)

  it("cannot end the process", function()
    assert.matches("os.exit would end every client's stream", error_inside "os.exit(1)", 1, true)
  end)
end)
