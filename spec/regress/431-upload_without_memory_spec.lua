-- SPDX-License-Identifier: MIT
-- Where memory ran short as a request ended whose body's iterator waited, the task that sends the body stayed, with what it had.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local URL = "http://up.example/x"

local APP = ([[
local http = require "spate.http"
local function late() sse.sleep(1e6) end
app:post("/fails", function() return { http.post("%s", { body = late, timeout = 1 }) } end)
app:post("/left", function(req)
  local res = http.post("%s", { body = late })
  return { res and res.status }
end)
app:get("/open", function()
  for _ = 1, 2 do collectgarbage() end
  return spate.stats().http_requests .. " " .. spate.stats().tasks
end)]]):format(URL, URL)

describe("a body that is not sent any more, where memory runs short", function()
  local server

  before_each(function()
    server = helper.serve(APP, { stubs = session.stubs })
    t.http.stub("POST", URL, { body = "ok" })
  end)

  after_each(function() server:close() end)

  -- What is left over after `attempt` with four allocations that fail, for each that may be the first; how many that were.
  local function leftovers(attempt)
    local left, usual, n, has_failed = {}, server:get("/open"):body(), 0
    assert.equal("0 1", usual)
    repeat
      n = n + 1
      attempt(function() server.core:fail_allocation(n, 4) end)
      server:turn()
      has_failed = server.core:fail_allocation(0, 0) < 4
      local is = server:get("/open"):body()
      if is ~= usual then left[#left + 1] = n end
    until not has_failed
    assert.same({}, left)
    return n
  end

  it("ends with a request that fails", function()
    assert.is_true(leftovers(function(fail)
      server:post "/fails"
      fail()
      server:advance(1)
    end) > 10)
  end)

  it("ends with one that has just begun", function()
    assert.is_true(leftovers(function(fail)
      fail()
      server:post "/fails"
      server:advance(1)
    end) > 50)
  end)

  it("ends with who has asked", function()
    assert.is_true(leftovers(function(fail)
      local res = server:post "/left"
      fail()
      res.client:reset()
    end) > 1)
  end)
end)
