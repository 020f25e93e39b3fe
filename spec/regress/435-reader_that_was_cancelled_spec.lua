-- SPDX-License-Identifier: MIT
-- A task that waits for the next event of a subscription, and had all before, is given its turn before what comes counts. One that was cancelled
-- where it waited, or as it was woken, took nothing any more: its subscription then held what limits.inbox lets through, and not its queue.
local helper = require "spec.helper"

local APP = [[
local ch = sse.channel("c", { queue = 3, on_full = %q, key = function(event) return event.data end })
local job
app:post("/", function(req) return ch:publish { data = req:body() } end)
app:post("/cancel", function() job:cancel() return "done" end)
app:get("/follow", function()
  return sse.reply(ch:subscribe():map(function(event)
    if event.data == "stop" then job:cancel() end
    return event
  end))
end)
app:get("/", function()
  local sub = ch:subscribe()
  job = sse.spawn(function() for _ in sub do end end)
  sse.sleep(1)
  return sse.reply(sub)
end)]]

local WANTED = { { "disconnect", "1 2 3", "stop 1 2" }, { "drop_oldest", "7 8 9", "7 8 9" }, { "conflate", "7 8 9", "7 8 9" } }

describe("a subscription whose reader was cancelled", function()
  for _, each in ipairs(WANTED) do
    local policy, waiting, woken = table.unpack(each)

    local function check(wanted, cancel)
      local server = helper.serve(APP:format(policy))
      local follower, res = server:get "/follow", server:get "/"
      cancel(server)
      for i = 1, 9 do server:post("/", { body = tostring(i) }) end
      server:advance(1)
      assert.equal(wanted, table.concat(res:data(), " "))
      assert.equal(policy == "disconnect" and 1 or 0, server:stats().slow_total)
      res:close()
      follower:close()
      server:close()
    end

    it("where it waited holds no more than its queue, by " .. policy, function()
      check(waiting, function(server) server:post "/cancel" end)
    end)

    it("as it was woken holds no more than its queue, by " .. policy, function()
      check(woken, function(server) server:post("/", { body = "stop" }) end)
    end)
  end
end)
