-- SPDX-License-Identifier: MIT
-- What a handler returned as `nil, message`, as a call does that has failed, was in the log of spate dev only: a server's had
-- "returned nil; did you forget `return`?" where no hook or middleware lay around it.
local helper = require "spec.helper"

local function log_of(body, around)
  local server = helper.serve((around or "") .. '\napp:get("/", function(req)\n' .. body .. "\nend)")
  assert.equal(500, server:get("/"):status())
  local log = server:log()
  server:close()
  return log
end

describe("a handler that returns nil and a message", function()
  for name, around in pairs { ["alone"] = "", ["inside middleware"] = "app:use(function(req, next) return next() end)" } do
    it("has it in the log: " .. name, function()
      local log = log_of('return nil, "no such table: t"', around)
      assert.matches("the handler of GET / (", log, 1, true)
      assert.matches("returned nil and a message: no such table: t", log, 1, true)
    end)

    it("is asked for `return` where there is no message: " .. name, function()
      for _, body in ipairs { "return nil", "", "return nil, 404", "return nil, nil, 'late'" } do
        assert.matches("returned nil; did you forget `return`?", log_of(body, around), 1, true)
      end
    end)
  end

  it("has what a call has failed for that waited", function()
    assert.matches("returned nil and a message: db:query: no such table: t", log_of([[
      local db = require "spate.sqlite".open ":memory:"
      return db:query "select * from t"]]), 1, true)
  end)

  it("is answered by on_error with all of it", function()
    local server = helper.serve [[
app:on_error(function(err) return reply.text("caught " .. err, 502) end)
app:get("/", function() return nil, "away" end)]]
    local res = server:get "/"
    assert.equal(502, res:status())
    assert.matches("^caught the handler of GET / .* returned nil and a message: away$", (res:body()))
    server:close()
  end)
end)
