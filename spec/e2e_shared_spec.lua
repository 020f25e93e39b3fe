-- SPDX-License-Identifier: MIT
-- Dictionaries in the real program, where two threads use them at once.
local helper = require "spec.helper"
local process = require "spec.process"

local APP = [[
local spate = require "spate"
local app, d = spate.app(), spate.shared "d"

app:get("/count", function()
  for _ = 1, 2000 do
    d:incr "hits"
    local seen
    repeat seen = d:get "swaps" until d:cas("swaps", seen, (seen or 0) + 1)
  end
  d:set("worker " .. spate.worker, true)
  return { worker = spate.worker }
end)

app:get("/total", function()
  return { worker = spate.worker, hits = d:get "hits", swaps = d:get "swaps", workers = d:keys "worker " }
end)

app:get("/lock", function() return { worker = spate.worker, mine = d:add("lock", spate.worker, { ttl = 2 }) } end)

return app
]]

local server

local function ask(target) return process.ask(server.port, target, "Connection: close\r\n") end

local function answer(client)
  local bytes = assert(client:receive("*a"))
  client:close()
  assert.equal("200", bytes:match("^HTTP/1%.1 (%d+)"), bytes)
  return assert(helper.json.decode(bytes:match("\r\n\r\n(.*)$")))
end

local function get(target) return answer(ask(target)) end

-- The answers of both workers: connections are spread by their addresses.
local function get_from_both(target)
  local answers = {}
  process.eventually("both workers", function()
    local one = get(target)
    answers[one.worker] = answers[one.worker] or one
    return answers[0] and answers[1]
  end)
  return answers
end

describe("spate.shared of two workers", function()
  before_each(function()
    local app = process.enter() .. "/app.lua"
    process.write_file(app, APP)
    server = process.serve(app, { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
  end)

  after_each(process.leave)

  it("loses no step of either", function()
    local count, seen = 0, {}
    repeat
      local clients = {}
      for i = 1, 8 do clients[i] = ask("/count") end
      for _, client in ipairs(clients) do seen[answer(client).worker] = true end
      count = count + 8
    until seen[0] and seen[1] or count > 200
    assert(seen[0] and seen[1], "one worker had all of the requests")
    for worker, total in pairs(get_from_both "/total") do
      assert.same({ worker = worker, hits = count * 2000, swaps = count * 2000, workers = { "worker 0", "worker 1" } }, total)
    end
    server:stop()
  end)

  it("gives a lock to one of them, until its time is over", function()
    assert.is_true(get("/lock").mine)
    for _, one in pairs(get_from_both "/lock") do assert.is_false(one.mine) end
    process.eventually("the lock", function() return get("/lock").mine end)
    server:stop()
  end)
end)
