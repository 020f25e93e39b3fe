-- SPDX-License-Identifier: MIT
-- A channel with a store was let go of as soon as nobody held it, its history and options with it: who then opened it
-- without options got one that keeps nothing.
local channels = require "spec.channels"
local sqlite_files = require "spec.sqlite_files"

describe("a channel with a store that nobody holds", function()
  local folder, server

  before_each(function()
    folder = sqlite_files.folder()
    server = sqlite_files.serve(channels.APP, folder .. "/events.db", { settings = { limits = { channels = 3 } } })
  end)

  after_each(function()
    server:close()
    sqlite_files.remove(folder)
  end)

  local function run(code)
    local res = server:post("/lua", { body = code })
    sqlite_files.settle(server)
    return table.unpack(res:json())
  end

  local function let_go()
    run "collectgarbage() collectgarbage() return 1"
    server:advance(2)
    run 'return sse.channel "other" ~= nil' -- the broker looks at what it has
  end

  it("has its options while its history has something", function()
    local first = run 'return sse.channel("a", { history = 10 }):publish "one"'
    let_go()
    local second = run 'return sse.channel("a"):publish "two"'
    assert.equal(first:match "^%x+" .. "-2", second)
    assert.equal(2, server.core:store():counters().kept)
    assert.equal(2, run 'return #sse.channel("a"):history()')
  end)

  it("goes where room is wanted: what it has is in the store", function()
    local first = run 'return sse.channel("a", { history = 10 }):publish "one"'
    let_go()
    assert.equal(true, run 'for i = 1, 5 do sse.channel("b" .. i) end collectgarbage() return sse.channel "b9" ~= nil')
    run "collectgarbage() collectgarbage() return 1"
    server:advance(2)
    assert.equal(first:match "^%x+" .. "-2", run 'return sse.channel("a", { history = 10 }):publish "two"')
  end)
end)
