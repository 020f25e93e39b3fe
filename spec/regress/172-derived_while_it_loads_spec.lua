-- SPDX-License-Identifier: MIT
-- After a reload the task of a derived channel that nobody read yet was cancelled, also where a client waited for what
-- the channel's history has to be derived, and where the task had not run yet, nothing woke it: it waited for ever.
local helper = require "spec.helper"

local APP = [[
local source = sse.channel("c", { history = 3 })
local derived = source:derive(function(event) return { data = "d:" .. event.data } end)
app:get("/d", function() return sse.reply(derived:subscribe { replay = 5 }) end)
app:post("/c", function() return { id = source:publish "x" } end)
]]

describe("a derived channel that is still loading when the code is reloaded", function()
  it("goes on for who waits for it", function()
    local server = helper.serve(APP, { store = true, settings = { reload = { max_age = 10 }, shutdown = { grace = 2, window = 1 } } })
    local store = server.core:store()
    local reader = server:get "/d"
    assert(server:reload(APP))
    local publisher = server:post "/c"
    store:carry_out()
    server:turn()
    assert.equal(200, reader:status())
    assert.equal(200, publisher:status())
    assert.same({ "d:x" }, reader:data())
    server:advance(20)
    assert.is_true(reader:has_ended())
    server:close()
  end)
end)
