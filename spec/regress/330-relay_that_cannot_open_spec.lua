-- SPDX-License-Identifier: MIT
-- What opening a relay's stream raised ended its reader, which began again in the same turn, without end. What is wrong
-- with its options was told of only where it was read.
local helper = require "spec.helper"
local session = require "spate.test.session"

describe("channel:relay", function()
  it("waits after a failure of opening as after one of the stream, and logs each", function()
    local server = helper.serve([[
local opened = 0
local ch = sse.channel("news"):relay(function()
  opened = opened + 1
  if opened < 3 then error "database is not there" end
  if opened == 3 then return end
  return sse.from { "a" }
end, { linger = 5 })
app:get("/", function() return sse.reply(ch:subscribe()) end)
app:get("/opened", function() return tostring(opened) end)
]], { stubs = session.stubs })
    local res = server:get "/"
    local function opened() return (server:get("/opened"):body()) end
    local function logged() -- since it was looked at last
      local lines = {}
      for line in server:log():gmatch "warn  (channel:relay: [^\n]*)" do lines[#lines + 1] = line:gsub("/tmp/[%w_]+", "app.lua") end
      return lines
    end
    server:advance(1)
    local lines = logged()
    assert.same({ "1", 1 }, { opened(), #lines })
    assert.matches("^channel:relay: app.lua:%d+: database is not there.* channel=news", lines[1])
    server:advance(58)
    assert.same({ "1", 0 }, { opened(), #logged() })
    server:advance(60)
    assert.same({ "2", 1 }, { opened(), #logged() })
    server:advance(60)
    lines = logged()
    assert.same({ "3", 1 }, { opened(), #lines })
    assert.matches("expected a stream from the function, got nil", lines[1], 1, true)
    server:advance(60)
    assert.same({ "a" }, res:data())
    assert.is_true(res:has_ended())
    assert.same({}, logged())
    server:advance(40)
    server:close()
  end)

  for given, message in pairs {
    ['"http://a/x", { lingr = 3 }'] = "channel:relay: unknown option 'lingr'; did you mean 'linger'?",
    ['"http://a/x", { hedaers = {} }'] = "channel:relay: unknown option 'hedaers'; did you mean 'headers'?",
    ['"http://a/x", { timeout = { conect = 1 } }'] = "channel:relay: timeout: unknown option 'conect'; did you mean 'connect'?",
    ['"http://a/x", { last_event_id = 1 }'] = "channel:relay: last_event_id: expected a string, got number",
    ['"http://a/x", { headers = 1 }'] = "channel:relay: headers: expected a table, got number",
    ['"http://a/x", { method = "a b" }'] = "channel:relay: method: expected a name such as POST, got a b",
    ['"ftp://x"'] = "channel:relay: expected a URL with http or https, got ftp://x",
    ['"x"'] = "channel:relay: expected a URL with http or https, got x",
    ['"http:///x"'] = "channel:relay: expected a URL with http or https, got http:///x",
    ['function() end, { lingr = 3 }'] = "channel:relay: unknown option 'lingr'; did you mean 'linger'?",
    ['function() end, { headers = {} }'] = "channel:relay: option 'headers' is of a URL's",
  } do
    it("refuses where it is called: " .. given, function()
      local err = helper.load_error(('sse.channel("x"):relay(%s)'):format(given))
      assert.truthy(err:find("^[^\n]-:3: channel:relay: "), err)
      assert.truthy(err:find(message, 1, true), err)
    end)
  end

  it("takes the options of http.events and its own", function()
    local server = helper.serve([[
sse.channel("x"):relay("HTTPS://user:p@a.example/x?y", { linger = 3, reconnect = true, last_event_id = "7", on_open = print,
  headers = { a = "b" }, timeout = 5 })
app:get("/", function() return "ok" end)
]], { stubs = session.stubs })
    assert.equal(200, server:get("/"):status())
    server:close()
  end)
end)
