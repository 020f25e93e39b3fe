-- SPDX-License-Identifier: MIT
-- The Streamable HTTP transport of the Model Context Protocol: POST brings a message, GET opens a stream for what the server
-- says of its own accord or, with Last-Event-ID, goes on with a call's stream, DELETE ends the session.
local call = require "spate.mcp.call"
local json = require "spate.json"
local methods = require "spate.mcp.methods"
local reply = require "spate.reply"
local sessions = require "spate.mcp.session"
local sse = require "spate.sse"

local VERSIONS = { ["2025-11-25"] = true, ["2025-06-18"] = true, ["2025-03-26"] = true }
local LATEST = "2025-11-25"
local ID_LENGTH = 100 -- bytes of ids that clients choose
local BATCH = "Invalid Request: a batch, which only 2025-03-26 had, is not taken; send its messages one by one"
local LOCAL = { localhost = true, ["127.0.0.1"] = true, ["[::1]"] = true }

local function refuse(status, code, message, id)
  return reply.json({ jsonrpc = "2.0", id = id or json.null, error = { code = code, message = message } }, status)
end

local function name_of(host) return (host:lower():gsub(":%d+$", "")) end

-- Whether a page in a browser of this machine may be behind the request: it would name itself as host, or as origin.
local function stranger(server, req)
  local host, origin = req.host or "", req.headers.origin
  local is_local = req.remote_addr == "127.0.0.1" or req.remote_addr == "::1" or not req.remote_addr
  local listed = server.hosts[name_of(host)]
  if is_local and not listed and not LOCAL[name_of(host)] then return ("the host %s is not one of `hosts`"):format(host) end
  if not origin or server.origins[origin] then return nil end
  local of_origin = origin:match "^https?://(.+)$"
  if of_origin and of_origin:lower() == host:lower() then return nil end
  return ("the origin %s is not one of `origins`"):format(origin)
end

-- The session that a request names; nil and the refusal.
local function session_of(server, req, id)
  local version = req.headers["MCP-Protocol-Version"]
  if version and not VERSIONS[version] then return nil, refuse(400, -32600, "Unsupported protocol version: " .. version, id) end
  local name = req.headers["Mcp-Session-Id"]
  if not name then return nil, refuse(400, -32600, "Mcp-Session-Id is missing", id) end
  if #name > ID_LENGTH then return nil, refuse(404, -32001, "Session not found", id) end
  local session, why = sessions.find(server.dictionary, server.ttl, name)
  if session then return session end
  if why then return nil, refuse(503, -32603, "The session cannot be looked up", id) end
  return nil, refuse(404, -32001, "Session not found", id)
end

local function capabilities_of(server)
  local list = { logging = json.object() }
  if #server.tools > 0 then list.tools = json.object() end
  if #server.prompts > 0 then list.prompts = json.object() end
  if #server.resources + #server.templates > 0 then list.resources = { subscribe = true } end
  if server.completes then list.completions = json.object() end
  return list
end

local function initialize(server, message)
  local params = type(message.params) == "table" and message.params or {}
  local version = VERSIONS[params.protocolVersion] and params.protocolVersion or LATEST
  local session, why = sessions.new(server.dictionary, server.ttl, { version = version, capabilities = params.capabilities, client = params.clientInfo })
  if not session then return refuse(503, -32603, "No session can be kept: " .. why, message.id) end
  return reply.json({ jsonrpc = "2.0", id = message.id, result = { protocolVersion = version, capabilities = capabilities_of(server),
    serverInfo = server.info, instructions = server.instructions } }):header("Mcp-Session-Id", session.id)
end

-- A stream of a session, behind an id of its channel. What a client sees as ids names the stream as well.
local function stream_of(session, stream, after)
  local channel = session:channel(stream)
  if after and channel.handle:is_finished() and channel.handle:newest() == after then return reply.status(204) end
  local events, why = channel:subscribe { after = after, replay = stream and "all" or nil }
  if not events then return reply.error(503, why) end
  return sse.reply(events:map(function(event)
    if event.id then event.id = (stream or "") .. "." .. event.id end
    return event
  end))
end

-- The answer to a request: at once, or by its function.
local function answer(server, session, message, ctx)
  local params = message.params == nil and {} or message.params
  if type(params) ~= "table" then return refuse(200, -32602, "Expected params to be an object", message.id) end
  local direct, called = methods.direct[message.method], methods.called[message.method]
  if direct then
    local result, code, text = direct(server, session, params)
    if not result then return refuse(200, code, text, message.id) end
    return reply.json { jsonrpc = "2.0", id = message.id, result = result }
  end
  if not called then return refuse(200, -32601, "Method not found: " .. message.method, message.id) end
  local started = call.start(session, message, function(c) return called(server, params, c) end, ctx)
  local done, stream = call.wait(started)
  if done then return reply.json(done) end
  return stream_of(session, stream)
end

local function is_id(id) return math.type(id) == "integer" or type(id) == "string" and #id <= ID_LENGTH end

-- A notification, or the answer to a question of ours.
local function take(session, message)
  local id = type(message.params) == "table" and message.params.requestId
  if message.method == "notifications/cancelled" and is_id(id) then
    call.cancel(session, id)
  elseif message.method == nil then
    call.answer(session, message)
  end
  return reply.status(202)
end

local function is_message(m)
  if type(m) ~= "table" or m.jsonrpc ~= "2.0" then return false end
  if m.id ~= nil and not is_id(m.id) then return false end
  if m.method ~= nil then return type(m.method) == "string" end
  return m.id ~= nil and (m.result ~= nil or type(m.error) == "table")
end

local endpoint = {}

function endpoint.post(server, req)
  local message, err = req:json()
  if message == nil then return refuse(400, -32700, "Parse error: " .. err) end
  if type(message) == "table" and message[1] ~= nil then return refuse(400, -32600, BATCH) end
  if not is_message(message) then return refuse(400, -32600, "Invalid Request") end
  if message.method == "initialize" and message.id ~= nil then return initialize(server, message) end
  local session, refusal = session_of(server, req, message.id)
  if not session then return refusal end
  if message.method == nil or message.id == nil then return take(session, message) end
  return answer(server, session, message, req.ctx)
end

function endpoint.get(server, req)
  local session, refusal = session_of(server, req)
  if not session then return refusal end
  if not req:accepts "text/event-stream" then return reply.error(406, "expected Accept: text/event-stream") end
  local stream, after = (req.last_event_id or ""):match "^(%x*)%.(.+)$"
  if not stream or stream == "" then return stream_of(session, nil, after) end
  if not sse.channel.find(session:channel_name(stream)) then return refuse(404, -32600, "That stream is not there any more") end
  return stream_of(session, stream, after)
end

function endpoint.delete(server, req)
  local session, refusal = session_of(server, req)
  if not session then return refusal end
  session:close()
  return reply.status(204)
end

-- The handler of a method, behind the check of where it comes from.
function endpoint.handler(server, method)
  return function(req)
    local why = stranger(server, req)
    if why then return refuse(403, -32000, why) end
    return endpoint[method](server, req)
  end
end

return endpoint
