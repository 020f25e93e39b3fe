-- SPDX-License-Identifier: MIT
-- What work costs, in instructions as callgrind counts them, which a busy machine does not change. `make instructions` runs
-- these, and prints the counts. In memory each case is done for n and for 2n, in a process of its own, and the difference
-- by n has a limit. What is not of the order of its size exceeds any. The program's hot paths (instructions/measure.lua)
-- may take hardly more than the count that is committed for them.
local counts = require "spec.instructions.counts"
local paths = require "spec.instructions.measure"
local streams = require "spec.instructions.memory"
local process = require "spec.process"

local HARNESS = [[
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = ("./%s/lib/?.so;"):format(os.getenv "BUILD" or "build") .. package.cpath
local t = require "spate.test"
local path = os.tmpname()
local function load(source)
  local f <close> = assert(io.open(path, "w"))
  f:write('local spate, sse = require "spate", require "spate.sse"\nlocal app = spate.app()\n', source, "\nreturn app")
  f:close()
  local app = t.load(path)
  os.remove(path)
  return app
end
]]

local CASES = {
  { "a request of spate.test", n = 100, limit = 400000, HARNESS .. [[
    local app = load 'app:get("/:n", function(req) return { n = req.params.n } end)'
    for i = 1, N do assert(app:get("/" .. i):json().n == tostring(i)) end]] },
  { "a keep-alive of spate.test's time", n = 2000, limit = 40000, HARNESS .. [[
    local app = load 'app:get("/", function() return sse.reply(sse.never()) end)'
    local res = app:get "/"
    t.advance(15 * N)
    assert(#res:comments() == N)]] },
  { "a line of an event in a channel's history", n = 25000, limit = 1200, HARNESS .. [[
    local app = load(('local N = %d\n'):format(N) .. [=[
      app:get("/", function()
        local ch = sse.channel("a", { history = 1 })
        ch:publish(("\n"):rep(N))
        return tostring(select(2, ch:history()[1].data:gsub("\n", "\n")))
      end)]=])
    assert(app:get("/"):body() == tostring(N))]] },
}

local function instructions(code, n)
  local run <close> = assert(io.popen(("BUILD=%s valgrind --tool=callgrind --callgrind-out-file=/dev/null lua5.4 -e %s 2>&1"):format(
    process.BUILD, process.quote(("local N = %d\n%s"):format(n, code)))))
  local text = run:read "a"
  return tonumber(text:match "Collected : (%d+)") or error(text, 0), assert(run:close(), text)
end

describe("no more instructions than expected take", function()
  for _, case in ipairs(CASES) do
    it(case[1], function()
      local each = (instructions(case[2], 2 * case.n) - instructions(case[2], case.n)) // case.n
      assert.is_true(each > 0 and each < case.limit, ("%d instructions each, expected less than %d"):format(each, case.limit))
    end)
  end
end)

-- "gcc 12", of what a build used and what it links: other versions of either make other counts.
local function compiler()
  local run <close> = assert(io.popen "${CC:-cc} --version")
  local text = run:read "a"
  return ("%s %s"):format(text:find "clang" and "clang" or "gcc", text:match "(%d+)%.%d+")
end

local function compare(cases, what, growth)
  for _, case in ipairs(cases) do
    local name, measure = case[1], case[2]
    it(name, function()
      finally(process.leave)
      local now, allowed = math.floor(measure()), math.floor(counts[name] * growth)
      io.stderr:write(("  [%q] = %d,\n"):format(name, now))
      assert.is_true(now > 0 and now <= allowed, ("%s: %d %s; %d are committed (with %s), %d allowed. Where that is meant, the new count goes into spec/instructions/counts.lua"):format(
        name, now, what, counts[name], counts.compiler, allowed))
    end)
  end
end

local is_same = compiler() == counts.compiler

describe("a hot path takes no more instructions than committed:", function() compare(paths, "instructions", is_same and 1.05 or 1.25) end)

describe("a stream takes no more memory than committed:", function() compare(streams, "bytes", is_same and 1.1 or 1.25) end)
