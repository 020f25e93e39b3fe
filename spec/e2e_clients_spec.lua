-- SPDX-License-Identifier: MIT
-- Clients from npm against the real program: what browsers' and language models' libraries see of its streams.
local clients = require "spec.clients"
local helper = require "spec.helper"
local process = require "spec.process"

local json, EVENTS = helper.json, clients.EVENTS

local KEYS = "OPENAI_API_KEY=%s ANTHROPIC_API_KEY=%s"

-- The members `name` of those lines that have it.
local function pick(seen, name)
  local list = {}
  for _, line in ipairs(seen) do
    if line[name] ~= nil then list[#list + 1] = line[name] end
  end
  return list
end

local function last(list) return list[#list] end

local it = clients.are_installed "spec/e2e_clients_spec.lua" and it or pending

describe("a client from npm", function()
  local directory, server

  before_each(function() directory = process.enter() end)
  after_each(function()
    clients.leave()
    process.leave()
  end)

  local function serve(options) server = clients.serve(EVENTS, options) end

  local function url(path) return ("http://127.0.0.1:%d%s"):format(server.port, path) end

  local function start(script, path, ...)
    return clients.start(directory, script, { url(path), ... }, KEYS:format("secret", "secret"))
  end

  local function run(...) return start(...):finish() end

  -- It has noticed at once, while the client's process went on, and the log says why.
  local function left(seen, path)
    assert.equal("client_closed", last(seen).closed)
    server:stop() -- what it logs is written in one go
    local line = assert(server:stderr():match("close [^\n]*target=" .. path:gsub("%p", "%%%0") .. " [^\n]*"))
    process.contains(line, "reason=client_closed")
  end

  -- The error of a stream that was cut. Before 20, Node asks for the connection of a POST to be closed, and takes any
  -- end of it for that of the body: the libraries hear of an end, and it is without what ends an answer.
  local function is_cut(seen, name)
    local expected = { error = name, message = "terminated" }
    if clients.node_version() >= 20 then return assert.same(expected, last(seen)) end
    assert.is_truthy(last(seen).ended or last(seen).error == name)
    assert.same({}, pick(seen, "finish_reason"))
    assert.same({}, pick(seen, "stop_reason"))
    assert.same({}, pick(seen, "state"))
  end

  for _, name in ipairs { "eventsource", "eventsource-client", "fetch-event-source" } do
    describe(name, function()
      it("gets every event as sent, comes back behind the last after retry, and stops at a 204", function()
        serve()
        local seen, events = run(name, "/events/" .. name), {}
        for _, line in ipairs(seen) do
          if line.event then events[#events + 1] = { line.event, line.id, line.data } end
        end
        local expected = {}
        for i, event in ipairs(EVENTS) do expected[i] = { event.event or "message", tostring(i), event.data } end
        assert.same(expected, events)

        clients.came_back(server, name, "3", "6")
        assert.is_false(pick(seen, "error")[1] == nil)
        server:stop()
        process.contains(server:stderr(), ": cut\n", "reason=error", "reason=finished", "status=204")
      end)

      it("goes on with nothing lost and nothing twice over a reload, a stop and another start", function()
        local settings = "{ reload = { max_age = 0.1 }, shutdown = { window = 0.1, retry = 0.1, grace = 5 } }"
        serve { settings = settings }
        local client = start(name, "/count/" .. name)
        local function awaits(from)
          process.eventually("events of " .. from, function()
            local event = last(pick(client:seen(), "data"))
            return event and json.decode(event).from == from
          end)
        end
        awaits "1.1"
        server:kill "HUP"
        awaits "1.2"
        local port = server.port
        server:stop()
        serve { settings = settings, run = "2", arguments = { "-l", "127.0.0.1:" .. port } }
        awaits "2.1"
        process.get(port, "/over")
        local seen = client:finish()
        for i, text in ipairs(pick(seen, "data")) do assert.equal(i, json.decode(text).n) end
        for i, id in ipairs(pick(seen, "id")) do assert.equal(tostring(i), id) end
        server:stop()
      end)

      it("leaves, which ends its stream at once", function()
        serve()
        local seen = run(name, "/quiet/" .. name, "leave")
        assert.same({ "hello" }, pick(seen, "data"))
        left(seen, "/quiet/" .. name)
      end)

      it("reports what refuses it, and does not come back", function()
        serve()
        for _, status in ipairs { 401, 500 } do
          local seen = run(name, "/refused/" .. status)
          assert.equal(1, #seen)
          assert.same({ status, true }, { seen[1].status, seen[1].is_closed })
        end
        server:stop()
        local _, count = server:stderr():gsub("target=/refused/", "")
        assert.equal(2, count)
      end)
    end)
  end

  describe("of OpenAI", function()
    local function text(seen)
      local list = {}
      for i, delta in ipairs(pick(seen, "delta")) do list[i] = delta.content or "" end
      return table.concat(list)
    end

    it("reads a chat to its end", function()
      serve()
      local seen = run("openai", "/openai/v1", "to bé\n or  not 🎈")
      assert.equal("to bé\n or  not 🎈", text(seen))
      assert.same({ "stop" }, { last(pick(seen, "finish_reason")) })
      assert.same({ ended = true }, last(seen))
    end)

    it("raises what went wrong as its own errors", function()
      serve()
      local refused = clients.start(directory, "openai", { url "/openai/v1", "hi" }, KEYS:format("guess", "guess"))
      local failed, cut = start("openai", "/refused/500/v1", "hi"), start("openai", "/cut/v1", "hi")
      assert.same({ { error = "AuthenticationError", status = 401, message = "401 Incorrect API key provided" } }, refused:finish())
      assert.same({ { error = "InternalServerError", status = 500, message = "500 no" } }, failed:finish())
      assert.equal("to", text(cut:finish()))
      is_cut(cut:finish(), "TypeError")
    end)

    it("leaves, which ends its stream at once", function()
      serve()
      left(run("openai", "/openai/v1", ("to be "):rep(1000), "leave"), "/openai/v1/chat/completions")
    end)
  end)

  describe("of Anthropic", function()
    it("reads a message to its end", function()
      serve()
      local seen = run("anthropic", "/anthropic", "to bé\n or  not 🎈")
      assert.equal("to bé\n or  not 🎈", table.concat(pick(seen, "text")))
      assert.same({ content = { { type = "text", text = "to bé\n or  not 🎈" } }, stop_reason = "end_turn" }, last(seen))
      local types = pick(seen, "type")
      assert.same({ "message_start", "content_block_start", "content_block_delta" }, { table.unpack(types, 1, 3) })
      assert.same({ "content_block_stop", "message_delta", "message_stop" }, { table.unpack(types, #types - 2) })
    end)

    it("raises what went wrong as its own errors", function()
      serve()
      local refused = clients.start(directory, "anthropic", { url "/anthropic", "hi" }, KEYS:format("guess", "guess"))
      local failed, cut = start("anthropic", "/refused/500", "hi"), start("anthropic", "/cut", "hi")
      local seen = refused:finish()
      assert.same({ 1, "AuthenticationError", 401 }, { #seen, seen[1].error, seen[1].status })
      process.contains(seen[1].message, "invalid x-api-key")
      seen = failed:finish()
      assert.same({ 1, "InternalServerError", 500 }, { #seen, seen[1].error, seen[1].status })
      seen = cut:finish()
      assert.same({ "message_start" }, pick(seen, "type"))
      is_cut(seen, "AnthropicError")
    end)

    it("leaves, which ends its stream at once", function()
      serve()
      left(run("anthropic", "/anthropic", ("to be "):rep(1000), "leave"), "/anthropic/v1/messages")
    end)
  end)

  describe("of the AI SDK", function()
    it("reads a UI message to its end", function()
      serve()
      local seen = run("ai", "/ui_messages/api/chat", "to bé\n or  not 🎈")
      assert.same({ ended = true }, last(seen))
      assert.same({ role = "assistant", text = "to bé\n or  not 🎈", state = "done" }, seen[#seen - 1])
      assert.same({ nil, "", "to", "to bé", "to bé\n or" }, { seen[1].text, seen[2].text, seen[3].text, seen[4].text, seen[5].text })
    end)

    it("comes back to an answer from its start, and is told when there is none", function()
      serve()
      local text = ("to be "):rep(80)
      local first = start("ai", "/ui_messages/api/chat", text)
      process.eventually("text", function() return #first:seen() > 4 end)
      local second = run("ai", "/ui_messages/api/chat", "", "resume")
      local expected = { role = "assistant", text = text:gsub(" $", ""), state = "done" }
      assert.same(expected, second[#second - 1])
      local seen = first:finish()
      assert.same(expected, seen[#seen - 1])
      assert.same({ { none = true } }, run("ai", "/ui_messages/api/chat", "", "resume"))
    end)

    it("raises what went wrong", function()
      serve()
      local refused, failed = start("ai", "/refused/401/api/chat", "hi"), start("ai", "/refused/500/api/chat", "hi")
      local cut = start("ai", "/cut/api/chat", "hi")
      for _, client in ipairs { refused, failed } do
        local seen = client:finish()
        assert.same({ 1, "Error" }, { #seen, seen[1].error })
        process.contains(seen[1].message, '"server_error"')
      end
      assert.same({ role = "assistant" }, cut:finish()[1])
      is_cut(cut:finish(), "TypeError")
    end)

    it("leaves, which ends its stream at once", function()
      serve()
      left(run("ai", "/ui_messages/api/chat", ("to be "):rep(1000), "leave"), "/ui_messages/api/chat")
    end)
  end)

  describe("of the Model Context Protocol", function()
    it("connects, lists the tools, and calls one with its progress", function()
      serve()
      local seen = run("mcp", "/mcp/mcp", "2")
      if last(seen).on_error then seen[#seen] = nil end -- Node 18 on its own close
      assert.same({
        { server = { name = "counter", version = "1" } }, { tools = { "count" } },
        { progress = { progress = 1, total = 2 } }, { progress = { progress = 2, total = 2 } },
        { content = { { type = "text", text = "counted to 2" } } },
      }, seen)
    end)

    it("raises what went wrong as its own errors", function()
      serve()
      local list = { [401] = start("mcp", "/refused/401/mcp", "1"), [500] = start("mcp", "/refused/500/mcp", "1") }
      local cut = start("mcp", "/cut/tools/mcp", "1")
      for status, client in pairs(list) do
        local seen = client:finish()
        assert.same({ "StreamableHTTPError", status }, { last(seen).error, last(seen).status })
      end
      local seen = cut:finish()
      process.contains(pick(seen, "on_error")[1], "SSE stream disconnected: TypeError: terminated")
      assert.same({ "McpError" }, pick(seen, "error"))
    end)

    it("leaves, which ends its stream at once", function()
      serve()
      left(run("mcp", "/mcp/mcp", "100", "leave"), "/mcp/mcp")
    end)
  end)
end)
