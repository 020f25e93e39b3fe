-- spate test
local t = require "spate.test"

describe("the server of notes", function()
  local app = t.load "app.lua"
  local session
  local HEADERS = { Accept = "application/json, text/event-stream", Host = "localhost" }

  local function send(message)
    message.jsonrpc = "2.0"
    return app:post("/mcp", { json = message, headers = { Accept = HEADERS.Accept, Host = HEADERS.Host, ["Mcp-Session-Id"] = session } })
  end

  local function call(name, arguments, meta)
    return send { id = 1, method = "tools/call", params = { name = name, arguments = arguments, _meta = meta } }
  end

  before_each(function()
    app:reset() -- a new state, its clock at 0
    session = nil
    session = send { id = 0, method = "initialize", params = { protocolVersion = "2025-11-25", capabilities = { elicitation = {} },
      clientInfo = { name = "spec", version = "1" } } }.headers["Mcp-Session-Id"]
  end)

  it("keeps notes, finds them, and shows them as they come", function()
    local page = app:get "/notes"
    assert.has_event(page, { event = "all", json = {} })
    assert.equal("Note 1 is kept.", call("add_note", { text = "Buy tea" }):json().result.content[1].text)
    assert.has_event(page, { event = "all", data = '["Buy tea"]' })
    assert.same({ { number = 1, text = "Buy tea" } }, call("search_notes", { text = "TEA" }):json().result.structuredContent.notes)
    assert.equal("Buy tea", send { id = 2, method = "resources/read", params = { uri = "notes://1" } }:json().result.contents[1].text)
    page:close()
  end)

  it("deletes them once the user has agreed", function()
    call("add_note", { text = "x" })
    local res = call "delete_notes"
    local question = res:events()[2].json
    assert.equal("Delete all 1 notes?", question.params.message)
    send { id = question.id, result = { action = "accept", content = { sure = true } } }
    t.advance(1)
    assert.has_event(res, { json = { id = 1, result = { content = { { type = "text", text = "All notes are deleted." } } } } })
  end)

  it("tells how far it has come", function()
    call("add_note", { text = "x" })
    local res = call("read_aloud", nil, { progressToken = 7 })
    t.advance(2) -- seconds, in no time
    assert.has_event(res, { json = { params = { progressToken = 7, progress = 1, total = 1, message = "x" } } })
    assert.closed(res, "finished")
  end)

  it("has a page", function() assert.status(200, app:get "/") end)
end)
