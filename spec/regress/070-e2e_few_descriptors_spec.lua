-- SPDX-License-Identifier: MIT
-- With too few descriptors, or too little memory, the program ends with a message of ours that says what to raise.
local process = require "spec.process"
local contains = process.contains

describe("the start", function()
  before_each(function()
    process.write_file(process.enter() .. "/app.lua", 'local app = require("spate").app()\napp:get("/", function() return "x" end)\nreturn app\n')
  end)
  after_each(process.leave)

  for _, workers in ipairs { "1", "2", "8" } do
    it("names the limit and what is needed, with " .. workers .. " workers", function()
      for limit = 15, 19 do
        local message = process.failure(4, { "serve", "app.lua", "-l", "127.0.0.1:0", "-w", workers }, { before = "ulimit -n " .. limit })
        contains(message, ("spate: `ulimit -n` is %d: "):format(limit), " are needed at least: raise it")
      end
    end)
  end

  it("says so where others hold the descriptors, too, and never aborts", function()
    for limit = 24, 30 do
      local open = {}
      for fd = 3, 9 do open[#open + 1] = ("exec %d</dev/null"):format(fd) end
      local started = process.spawn({ "serve", "app.lua", "-l", "127.0.0.1:0", "-w", "2" }, { before = "ulimit -n " .. limit .. "; " .. table.concat(open, "; ") })
      process.eventually("an end or an address", function() return started:has_ended() or started:stdout():find "serving" end)
      if not started:has_ended() then
        started:stop()
      else
        local code, how = started:wait()
        assert.is_nil(how, started:stderr())
        assert.truthy(code == 4 or code == 1, code)
        assert.truthy(started:stderr():find("ulimit -n", 1, true) or started:stderr():find("Too many open files", 1, true), started:stderr())
      end
    end
  end)
end)
