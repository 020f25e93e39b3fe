-- SPDX-License-Identifier: MIT
-- What a spec does wrong in the middle of a long test was told at a line of the library.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
require "spec.helper"
local t = require "spate.test"

describe("a mistake in a spec is told at its line:", function()
  local path = os.tmpname()
  setup(function()
    local f <close> = assert(io.open(path, "w"))
    f:write "local spate = require 'spate'\nlocal app = spate.app()\napp:get('/', function() return 'x' end)\nreturn app\n"
  end)
  teardown(function() os.remove(path) end)

  for name, case in pairs {
    ["status and response in the other order"] = { function(res) assert.status(res, 200) end, "assert.status: the status comes first: assert.status(200, res)" },
    ["events of what is no response"] = { function() assert.events({}, { "a" }) end, "assert.events: expected a response, got table" },
    ["events without a list"] = { function(res) assert.events(res) end, "assert.events: expected a list of events, got nil" },
    ["a field that events do not have"] = { function(res) assert.has_event(res, { evnt = "x" }) end, "unknown field 'evnt' of an event" },
    ["a file that is not there"] = { function() t.load "no_such_file.lua" end, "cannot open no_such_file.lua: No such file or directory" },
    ["a setting that there is not"] = { function() t.load(path, { settings = { limits = { bdoy = 1 } } }) end, "unknown setting 'limits.bdoy'; did you mean 'limits.body'?" },
    ["seconds as a text"] = { function() t.advance "3" end, 't.advance: expected seconds of 0 or more, got "3"' },
    ["a module of applications"] = { function() require "spate.crypto" end, "a spec asks the application: it has spate.test and spate.json alone" },
  } do
    it(name, function()
      local res = t.load(path):get "/"
      local ok, err = pcall(case[1], res)
      local line = debug.getinfo(case[1], "S").linedefined
      assert.is_false(ok)
      local expected = ("243-lines_of_the_spec_spec.lua:%d: %s"):format(line, case[2])
      assert.truthy(tostring(err):find(expected, 1, true), tostring(err))
    end)
  end
end)
