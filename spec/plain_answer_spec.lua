-- SPDX-License-Identifier: MIT
-- A handler that nothing lies around is called by C, and answers as it does behind a hook: the same bytes, the same log.
local helper = require "spec.helper"

local HANDLERS = {
  "return 'plain'", "return ''", "return ('x'):rep(70000)", "return 7", "return nil", "return true", "return print",
  "return { a = 1 }", "return { f = print }", "return setmetatable({}, {})", "return sse.event 'x'",
  "return reply.text('t', 201)", "return reply.html '<p>'", "return reply.json { 1, 2 }", "return reply.status(204)",
  "return reply.error(404)", "return reply.error(400, 'no ü')", "return reply.error(400, 'no'):header('Content-Type', 'a/b')",
  "return reply.redirect '/elsewhere'", "return reply.text('a'):header('X-A', 'b'):cookie('c', 'd')",
  "return reply.text('a'):header('Content-Type', 'x/y')", "return reply.stream(function(write) write 'abc' end)",
  "return sse.reply { 'one', 'two' }", "return sse.from { 1, 2 }", "return sse.reply(sse.from {})",
  "error 'wrong'", "error({ code = 1 })", "error(setmetatable({}, { __tostring = function() return 'shown' end }))",
  "spate.abort(403, 'no')", "local x = nil; return x.y", "return reply.text(nil)", "req:on_close(print) return 'closing'",
  "sse.sleep(0.5) return 'late'", "sse.sleep(0.5) error 'late'", "coroutine.yield(1) return 'x'",
  "return req.query.a .. req.path", "req.x = 1 return tostring(req.x)",
}

-- What each of them has been answered with, and what the log says of it, where `before` is in front of them.
local function answers(before, accept)
  local source = { "local spate, sse, reply = require 'spate', require 'spate.sse', require 'spate.reply' " .. before }
  for i, body in ipairs(HANDLERS) do source[#source + 1] = ("app:get('/%d', function(req) %s end)"):format(i, body) end
  local server = helper.serve((table.concat(source, " ")))
  local all = {}
  for i, body in ipairs(HANDLERS) do
    local res = server:get(("/%d?a=b"):format(i), { headers = { Accept = accept } })
    server:advance(1)
    local log = server:log():gsub("%d+%-%d+%-%d+T[%d:.]+Z", "TIME"):gsub("id=%x+", "id=ID"):gsub("0x%x+", "0x"):gsub("/tmp/lua_%w+:%d+", "FILE:N")
    all[i] = ("%s\n%s\n%s"):format(body, res:raw():gsub("Date: [^\r]+", "Date: D"), log)
    res:close()
  end
  server:close()
  return all
end

describe("a plain handler", function()
  for _, accept in ipairs { "*/*", "application/json" } do
    it("answers as one behind a hook does, to who wants " .. accept, function()
      local plain, hooked = answers("", accept), answers("app:before(function() end)", accept)
      for i in ipairs(HANDLERS) do assert.equal(hooked[i], plain[i]) end
    end)
  end

  it("goes through what is registered behind it", function()
    local server = helper.serve [[
      app:get("/", function() return "handler" end)
      app:after(function(_, r) return r:header("X-After", "yes") end)
    ]]
    assert.equal("yes", server:get("/"):header "x-after")
    server:close()
  end)

  it("has its session saved", function()
    local server = helper.serve [[
      local with_session = spate.session { secret = ("k"):rep(32) }
      app:get("/", function(req)
        return with_session(req, function() req.session.n = 1 return reply.text "x" end)
      end)
    ]]
    assert.truthy(server:get("/"):header "set-cookie")
    server:close()
  end)
end)
