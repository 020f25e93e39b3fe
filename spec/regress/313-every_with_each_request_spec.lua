-- SPDX-License-Identifier: MIT
-- sse.every in a handler begins a task with each request, which goes on for as long as the code is served. Nothing said so.
local helper = require "spec.helper"

local STOP = "\napp:post('/stop', function() for _, task in ipairs(all) do task:cancel() end return 'stopped' end)"
local function serve(body, dev)
  return helper.serve("all = {}\nlocal function keep(task) all[#all + 1] = task return task end\napp:get('/', function(req)\n" .. body .. "\nend)" .. STOP,
    { dev = dev ~= false })
end

-- What the log has once two or three requests have been answered.
local function log_of(body, dev)
  local server = serve(body, dev)
  for _ = 1, 3 do
    assert.equal(200, server:get("/"):status())
    server:turn()
  end
  local log = server:log()
  server:post "/stop"
  server:turn()
  server:close()
  return log
end

local function times(text, what) return select(2, text:gsub(what, "")) end

describe("a handler that begins a task with each request", function()
  it("is told of sse.every, once for a place", function()
    local log = log_of "keep(sse.every(60, print))\nreturn 'a'"
    assert.matches("warn  [^\n]*:6: sse.every: two requests have begun one each, and both go on; begin it outside of handlers, or cancel it " ..
      "in req:on_close; for a client there is sse.interval", log)
    assert.equal(1, times(log, "sse.every"))
  end)

  it("is told of spate.cron", function()
    assert.matches(":6: spate.cron: two requests have begun one each, and both go on;", log_of "keep(spate.cron('@daily', print))\nreturn 'a'")
  end)

  for name, body in pairs {
    ["is cancelled with its request"] = "local task = sse.every(60, print)\nreq:on_close(function() task:cancel() end)\nreturn 'a'",
    ["is begun once"] = "if not all[1] then keep(sse.every(60, print)) end\nreturn 'a'",
  } do
    it("is not, of a task that " .. name, function() assert.equal(0, times(log_of(body), "sse.every")) end)
  end

  it("is not by a server that is no spate dev", function() assert.equal(0, times(log_of("keep(sse.every(60, print))\nreturn 'a'", false), "sse.every")) end)

  it("is not while its requests go on", function()
    local server = serve [[
      local task = keep(sse.every(60, print))
      req:on_close(function() task:cancel() end)
      return sse.reply(sse.never())]]
    local first, second = server:get "/", server:get "/"
    server:turn()
    assert.equal(0, times(server:log(), "sse.every"))
    first:close()
    second:close()
    server:turn()
    assert.equal(0, times(server:log(), "sse.every"))
    server:close()
  end)
end)
