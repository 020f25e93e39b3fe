-- SPDX-License-Identifier: MIT
-- As it looks for an application: the spec of one of the examples.
local t = require "spate.test"

describe("OpenAI proxy", function()
  it("relays each chunk when it arrives and hangs up with the client", function()
    local app = t.load "examples/openai_proxy.lua"
    local up = t.http.stub("POST", "https://llm.example/v1/chat/completions", { events = {
      { data = '{"delta":" Hel"}' }, { after = 1, data = '{"delta":"lo"}' }, { after = 9, data = "[DONE]" } } })
    local res = app:post("/v1/chat/completions", { json = { stream = true } })
    assert.events(res, { { json = { delta = " Hel" } } })
    t.advance(1)
    assert.equal('{"delta":"lo"}', res:events()[2].data)
    res:close()
    assert.truthy(up.closed)
  end)
end)
