-- SPDX-License-Identifier: MIT
local channels = require "spec.channels"
local helper = require "spec.helper"

describe("presence", function()
  local server

  local function run(code) return channels.run(server, code) end

  local function come(user, client) return server:get("/docs/1?user=" .. user, { client = client }) end

  local function members() return run 'return sse.channel("doc:1"):members()' end

  before_each(function()
    server = helper.serve(channels.APP .. [[
      app:get("/docs/:id", function(req)
        local doc = sse.channel("doc:" .. req.params.id)
        return sse.reply(function(send)
          local feed <close> = doc:subscribe()
          local _me <close> = doc:join(req.query.user, { name = req.query.user:upper() })
          for ev in feed:each() do send(ev) end
        end)
      end)]])
  end)

  after_each(function() server:close() end)

  it("is told as join and leave, and listed", function()
    local ann = come "ann"
    local bob = come "bob"
    assert.same({ { id = "ann", meta = { name = "ANN" } }, { id = "bob", meta = { name = "BOB" } } }, members())
    bob:close()
    local events = ann:events()
    assert.same({ "join", "join", "leave" }, channels.names(ann))
    assert.same({ id = "ann", meta = { name = "ANN" } }, helper.json.decode(events[1].data))
    assert.same({ id = "bob", meta = { name = "BOB" } }, helper.json.decode(events[2].data))
    assert.same({ id = "bob" }, helper.json.decode(events[3].data))
    assert.same({ "join" }, channels.names(bob))
    assert.same({ { id = "ann", meta = { name = "ANN" } } }, members())
  end)

  it("counts several joins of one id as one member, until the last leaves", function()
    local watcher, one, two = come "ann", come "bob", come "bob"
    assert.equal(2, #members())
    one:close()
    assert.equal(2, #members())
    assert.same({ "join", "join" }, channels.names(watcher))
    two:close()
    assert.equal(1, #members())
    assert.same({ "join", "join", "leave" }, channels.names(watcher))
  end)

  it("ends with a client that is cut off, within the keep-alive interval", function()
    local watcher, client = come "ann", server:connect()
    come("bob", client)
    client:reset()
    server:advance(15)
    assert.same({ "join", "join", "leave" }, channels.names(watcher))
    assert.equal(1, #members())
  end)

  it("ends with a client that takes nothing any more, by timeouts.send", function()
    local watcher, client = come "ann", server:connect()
    come("bob", client)
    client:window(0)
    server:advance(15 + 31)
    assert.same({ "join", "join", "leave" }, channels.names(watcher))
  end)

  it("ends once where it is closed twice, or forgotten", function()
    run 'ch = sse.channel("a", { history = 9 }) me = ch:join "x" me:close() me:close()'
    assert.equal(2, run "return #ch:history()")
    assert.same({}, run "return ch:members()")
    run 'ch:join "y" collectgarbage() collectgarbage()'
    assert.same({}, run "return ch:members()")
    assert.equal(4, run "return #ch:history()")
  end)

  it("is told of by no channel that has ended, or that has no room", function()
    run 'ch = sse.channel("a", { history = 9 }) ch:publish(1) ch:finish() me = ch:join "x" me:close()'
    assert.equal(1, run "return #ch:history()")
    server:close()
    server = helper.serve(channels.APP, { settings = { limits = { channel_bytes = 1 } } })
    run 'ch = sse.channel("a", { history = 9 }) ch:publish(1) me = ch:join "x"'
    assert.same({ 1, { { id = "x" } } }, { run "return #ch:history(), ch:members()" })
    run "me:close()"
    assert.same({ 1, {} }, { run "return #ch:history(), ch:members()" })
  end)

  it("keeps what was given with it", function()
    run [[ch = sse.channel "a" m = { ch:join "no", ch:join("list", { 1, "b" }), ch:join("text", "t"), ch:join("nul", { s = "a\0b" }) }]]
    assert.same({ { id = "no" }, { id = "list", meta = { 1, "b" } }, { id = "text", meta = "t" }, { id = "nul", meta = { s = "a\0b" } } },
      run "return ch:members()")
    run "for _, one in ipairs(m) do one:close() end"
  end)

  it("refuses ids that are wrong, at the user's line", function()
    for code, message in pairs { ["ch:join ''"] = "expected 1 to 255 bytes", ["ch:join()"] = "expected a string",
      ["ch:join 'a\\nb'"] = "control characters", ["ch.join 'a'"] = "write it with a colon",
      ["ch:join('a', print)"] = "function" } do
      local err = run(("ch = sse.channel 'x' local ok, err = pcall(function() local _ = %s end) return tostring(err)"):format(code))
      assert.is_truthy(err:find(message, 1, true), code .. ": " .. err)
      assert.equal("lua:1:", err:match "^lua:1:", code .. ": " .. err)
    end
    assert.same({}, run "return ch:members()")
  end)

  it("of two workers is one list, with join and leave on both", function()
    local other = helper.serve(channels.APP .. "", { with = server.core })
    local here = channels.run
    run 'ch = sse.channel "a" mine = ch:join "x"'
    here(other, 'ch = sse.channel "a" sub = ch:subscribe() theirs = ch:join "x" also = ch:join "y"')
    assert.equal(2, run "return #ch:members()")
    run "mine:close()"
    assert.equal(2, here(other, "return #ch:members()"))
    here(other, "theirs:close() also:close() sub:close()")
    assert.equal(0, run "return #ch:members()")
    other:close()
  end)
end)
