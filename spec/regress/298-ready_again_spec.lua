-- SPDX-License-Identifier: MIT
-- /readyz said that the store is unavailable until something was asked of it once more; where a balancer sends nothing to who is not
-- ready, that was never.
local channels = require "spec.channels"
local sqlite_files = require "spec.sqlite_files"

describe("a server whose store has refused", function()
  local folder, server, store

  before_each(function()
    folder = sqlite_files.folder()
    server = sqlite_files.serve(channels.APP .. '\napp:mount("/-", spate.admin { hosts = "any", authorize = function() return true end })',
      folder .. "/events.db")
    store = server.core:store()
  end)

  after_each(function()
    server:close()
    sqlite_files.remove(folder)
  end)

  local function publish()
    local res = server:post("/lua", { body = 'return sse.channel("a", { history = 10 }):publish "x"' })
    sqlite_files.settle(server)
    return res:json()[1]
  end

  local function ready()
    local res = server:get "/-/readyz"
    server:turn()
    return res:status(), (res:body())
  end

  it("is not ready for some seconds, then is asked again", function()
    assert.equal(200, (ready()))
    store:fail_commits(1)
    publish()
    assert.same({ 503, "the store is unavailable\n" }, { ready() })
    server:advance(4)
    assert.equal(503, (ready()))
    server:advance(2)
    assert.equal(200, (ready()))
  end)

  it("is ready as soon as the store has carried something out", function()
    store:fail_commits(1)
    publish()
    assert.equal(503, (ready()))
    server:advance(1)
    assert.equal("string", type(publish()))
    assert.equal(200, (ready()))
  end)
end)
