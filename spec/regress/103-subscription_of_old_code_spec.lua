-- SPDX-License-Identifier: MIT
-- What only variables of old code hold is no reader that the code is kept for.
local helper = require "spec.helper"

local NEW = [[app:get("/", function() return "new" end)]]

local function assert_old_code_ends(server, seconds)
  server:advance(seconds)
  assert.equal(1, server:stats().generations)
  server:close()
end

it("a derived channel whose subscription is in a variable", function()
  local server = helper.serve [[
    local upper = sse.channel("news"):derive(function(event) return { data = event.data:upper() } end)
    app:get("/", function() held = upper:subscribe() return "kept" end)
  ]]
  server:get("/"):close()
  server:reload(NEW)
  assert_old_code_ends(server, 3)
end)

it("a producer whose stream is in a variable", function()
  local server = helper.serve [[
    app:get("/", function()
      held = sse.resumable("answer", function(send) while true do send "x" sse.sleep(1) end end, { linger = 2 })
      return "kept"
    end)
  ]]
  server:get("/"):close()
  server:reload(NEW)
  assert_old_code_ends(server, 10)
end)

it("a derived channel that old code begins after its reload", function()
  local server = helper.serve [[
    local upper = sse.channel("news"):derive(function(event) return { data = event.data:upper() } end)
    app:get("/", function() sse.sleep(1) return sse.reply(upper:subscribe()) end)
  ]]
  local res = server:get "/"
  server:reload(NEW)
  server:advance(2)
  server.core:run [[require("spate.sse").channel("news"):publish "a"]]
  server:turn()
  assert.same({ "A" }, res:data())
  res:close()
  assert_old_code_ends(server, 3)
end)

it("a derived channel goes on for those who read it", function()
  local server = helper.serve [[
    local upper = sse.channel("news"):derive(function(event) return { data = event.data:upper() } end)
    app:get("/", function() held = upper:subscribe() return sse.reply(upper:subscribe()) end)
    app:get("/read", function() return sse.reply(upper:subscribe():map(function(event) return event.data end)) end)
  ]]
  local attached, read = server:get "/", server:get "/read"
  server:reload(NEW)
  server:advance(5)
  for i, data in ipairs { "a", "b" } do
    server.core:run(('require("spate.sse").channel("news"):publish "%s"'):format(data))
    server:turn()
    assert.equal(i, #attached:data())
    if i == 1 then read:close() end
    server:advance(3)
  end
  attached:close()
  assert_old_code_ends(server, 3)
end)
