-- SPDX-License-Identifier: MIT
-- The example of channels that outlive the process, as it is, on a file.
local helper = require "spec.helper"
local sqlite_files = require "spec.sqlite_files"

describe("examples/lasting_chat.lua", function()
  local folder, server

  before_each(function()
    folder = sqlite_files.folder()
    server = sqlite_files.serve("examples/lasting_chat.lua", folder .. "/chat.db")
  end)

  after_each(function()
    server:close()
    sqlite_files.remove(folder)
  end)

  -- As after a kill -9: with what the file and its log hold at this moment.
  local function kill()
    server:advance(1)
    sqlite_files.settle(server)
    sqlite_files.copy(folder .. "/chat.db", folder .. "/copy.db")
    server:close()
    server = sqlite_files.serve("examples/lasting_chat.lua", folder .. "/copy.db")
  end

  local function say(text)
    local res = server:post("/messages", { body = text })
    sqlite_files.settle(server)
    return res
  end

  local function listen(after)
    local res = server:get("/events", { headers = after and { ["Last-Event-ID"] = after } })
    sqlite_files.settle(server)
    return res
  end

  local function texts(res)
    local list = {}
    for i, event in ipairs((res:events())) do list[i] = helper.json.decode(event.data).text end
    return list
  end

  it("goes on where it was after it was killed, for who was there and for who comes", function()
    local live = listen()
    assert.same({ 1, 2 }, { say("one"):json().number, say("two"):json().number })
    assert.same({ "one", "two" }, texts(live))
    local last = live:events()[1].id
    kill()
    assert.same({ "two" }, texts(listen(last)))
    assert.same({ "one", "two" }, texts(listen()))
    assert.equal(3, say("three"):json().number)
    assert.same({ "two", "three" }, texts(listen(last)))
  end)

  it("says so where the disk cannot take a message, and takes the next", function()
    say "one"
    assert(server.core:store():execute "pragma query_only = on")
    assert.equal(503, say("two"):status())
    assert(server.core:store():execute "pragma query_only = off")
    assert.equal(201, say("three"):status())
    assert.same({ "one", "three" }, texts(listen()))
  end)

  it("wants a message, and has a page", function()
    assert.equal(400, say(""):status())
    assert.match("new EventSource", (server:get("/"):body()), 1, true)
  end)
end)
