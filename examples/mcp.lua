-- spate serve examples/mcp.lua, then: curl -N localhost:8080/mcp -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
-- SPDX-License-Identifier: MIT
-- A server of the Model Context Protocol with one tool, which counts, a number a second. It keeps no sessions and
-- answers clients of 2025-06-18, 2025-11-25 and 2026-07-28. GET /mcp is a 405 by itself, as all of these allow.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply

local CAPABILITIES = { tools = json.object {} }
local COUNT = { name = "count", inputSchema = { type = "object", properties = { to = { type = "integer" } } } }
local methods = {}

local function cached(result)
  result.resultType, result.ttlMs, result.cacheScope = "complete", 60000, "public"
  return result
end

methods["server/discover"] = function()
  return cached { supportedVersions = { "2026-07-28" }, capabilities = CAPABILITIES }
end

methods["initialize"] = function(params)
  local version = params.protocolVersion == "2025-06-18" and "2025-06-18" or "2025-11-25"
  return { protocolVersion = version, capabilities = CAPABILITIES, serverInfo = { name = "counter", version = "1" } }
end

methods["tools/list"] = function() return cached { tools = { COUNT } } end

methods["tools/call"] = function(params, notify)
  local to = params.arguments.to
  for i = 1, to do
    sse.sleep(1)
    notify { progress = i, total = to }
  end
  return { resultType = "complete", content = { { type = "text", text = "counted to " .. to } } }
end

app:post("/mcp", function(req)
  local msg, err = req:json()
  if type(msg) ~= "table" then
    local what = err and { code = -32700, message = err } or { code = -32600, message = "Invalid Request" }
    return reply.json({ jsonrpc = "2.0", id = json.null, error = what }, 400)
  end
  if msg.id == nil then return reply.status(202) end -- a notification
  local function answer(fields) return { jsonrpc = "2.0", id = msg.id, result = fields.result, error = fields.error } end
  local method, params = methods[msg.method], msg.params or {}
  if not method then return reply.json(answer { error = { code = -32601, message = "Method not found" } }, 404) end
  if msg.method ~= "tools/call" then return reply.json(answer { result = method(params) }) end

  return sse.reply(function(send) -- progress, where the client has given a token for it, then the result
    local token = params._meta and params._meta.progressToken
    local result = method(params, function(progress)
      progress.progressToken = token
      if token then send { json = { jsonrpc = "2.0", method = "notifications/progress", params = progress } } end
    end)
    send { json = answer { result = result } }
  end)
end)

return app
