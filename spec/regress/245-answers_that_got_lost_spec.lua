-- SPDX-License-Identifier: MIT
-- What a handler says beside its answer, and what a stream's function returns as one, was passed over in silence.
local helper = require "spec.helper"

local function log_of(handler, options)
  local server = helper.serve("app:get('/', function(req)\n" .. handler .. "\nend)", options or { dev = true })
  local res = server:get "/"
  server:advance(1)
  local log, status = server:log(), res:status()
  server:close()
  return log, status
end

describe("an answer that gets lost", function()
  it("is told of: nil and a message", function()
    local log, status = log_of "return json.decode '[1,'"
    assert.equal(500, status)
    assert.matches("returned nil and a message: line 1, column 3: ", log, 1, true)
    assert.falsy(log:find("did you forget", 1, true))
    assert.matches("returned nil; did you forget `return`?", (log_of "return nil"), 1, true)
  end)

  it("is told of: a status behind a text", function()
    local log, status = log_of "return 'no', 404"
    assert.equal(200, status)
    assert.matches("warn  the handler of GET / (", log, 1, true)
    assert.matches("returned 404 as a second value, which nobody takes; reply.text(text, 404) or reply.error(404, text)", log, 1, true)
    for _, fine in ipairs { "return ('a'):gsub('a', 'b')", "return 'x', 'y'", "return { 1 }, 404" } do
      assert.falsy((log_of(fine)):find("second value", 1, true), fine)
    end
  end)

  it("is told of: a reply out of a stream that has begun", function()
    local log, status = log_of "return sse.reply(function(send) send 'a' return reply.error(404) end)"
    assert.equal(200, status)
    assert.matches("the function of sse.reply at ", log, 1, true)
    assert.matches(" returned a reply, and its stream has begun: the handler can return one, before sse.reply", log, 1, true)
    assert.falsy((log_of "return sse.reply(function(send) return send 'a' end)"):find("error", 1, true))
  end)

  it("is told of: an abort where nothing is left to answer", function()
    local log = log_of("return sse.reply(function(send) send 'a'\nspate.abort(404) end)", {})
    assert.matches(":5: spate.abort 404: an error where nothing is left to answer, as in a stream", log, 1, true)
    assert.equal(404, select(2, log_of("spate.abort(404)", {})))
  end)
end)
