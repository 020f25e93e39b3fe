-- SPDX-License-Identifier: MIT
-- What was published just as the store went to a new process, by a thread that had looked whose it is a moment before, was answered
-- `unavailable`, without a word why, instead of waiting.
local channels = require "spec.channels"
local sqlite_files = require "spec.sqlite_files"

describe("a store that is lent to another process", function()
  local folder, server, store

  before_each(function()
    folder = sqlite_files.folder()
    server = sqlite_files.serve(channels.APP, folder .. "/events.db")
    store = server.core:store()
    server:post("/lua", { body = 'ch = sse.channel("a", { history = 10 })' })
  end)

  after_each(function()
    server:close()
    sqlite_files.remove(folder)
  end)

  local function publish()
    local res = server:post("/lua", { body = 'return ch:publish "x"' })
    server:turn()
    return res
  end

  it("lets wait what is asked of it, until it is taken back", function()
    local res = publish()
    store:lease "lent"
    for _ = 1, 3 do assert.is_false(store:work()) end
    server:turn()
    assert.equal(1, store:counters().waiting)
    assert.equal(0, store:counters().refused)
    store:lease "owned"
    sqlite_files.settle(server)
    assert.truthy(res:json()[1]:find "-1$")
  end)

  it("answers what has waited, and what comes, once it is given away", function()
    local early = publish()
    store:lease "lent"
    store:work()
    local late = publish()
    store:lease "given"
    sqlite_files.settle(server)
    for _, res in ipairs { early, late } do assert.same({ "unavailable", "in use" }, { table.unpack(res:json(), 2, 3) }) end
    assert.equal(0, store:counters().waiting)
  end)
end)
