-- SPDX-License-Identifier: MIT
-- Calls that really block: what the log and the clock say of them, and that watching for them costs an idle server nothing.
local process = require "spec.process"

describe("a call that blocks", function()
  local server
  before_each(process.enter)
  after_each(function()
    server:stop()
    process.leave()
  end)

  local function says(pattern)
    process.eventually(pattern, function() return server:stderr():find(pattern) end)
  end

  it("is told with its line, and does not shorten what is slept afterwards", function()
    server = process.serve [[
app:get("/", function()
  os.execute "sleep 0.3"
  local from = sse.now()
  sse.sleep(0.2)
  return ("%.3f"):format(sse.now() - from)
end)]]
    local status, slept = server:get "/"
    assert.equal(200, status)
    assert.is_true(tonumber(slept) >= 0.2)
    says "ms=%d%d%d" -- at least 500
    says "a turn of its loop took %d+%.%d+ s, in which it served nobody else %(limits%.turn%): [^ ]*app%.lua:4, in a call of 'execute'"
  end)

  it("is told with its line where it computes", function()
    server = process.serve [[
app:get("/", function()
  local from, n = os.clock(), 0
  while os.clock() - from < 0.4 do n = n + 1 end
  return "x"
end)]]
    assert.same({ 200, "x" }, { server:get "/" })
    says "a turn of its loop took %d+%.%d+ s, .*app%.lua:5"
  end)

  it("is looked for only while there is work", function()
    server = process.serve 'app:get("/", function() return "x" end)\n'
    local function switches()
      local text = process.read_file(("/proc/%d/status"):format(server.pid))
      return tonumber(text:match "\nvoluntary_ctxt_switches:%s*(%d+)")
    end
    assert.same({ 200, "x" }, { server:get "/" })
    process.eventually("the main thread's rest", function()
      local before = switches()
      os.execute "sleep 0.5"
      return switches() - before < 3 -- it looks 40 times a second otherwise
    end)
  end)
end)
