-- SPDX-License-Identifier: MIT
-- The methods of the Model Context Protocol that a server answers. Each takes the server, the session, the parameters and, of
-- those that an application's function answers, the call; it returns a result, or nil, a code and a message.
local call = require "spate.mcp.call"
local content = require "spate.mcp.content"
local core = require "spate.core"
local json = require "spate.json"
local report = require "spate.report"

local INVALID, MISSING = -32602, -32002
local TYPES = { string = "string", boolean = "boolean", array = "table", object = "table" }

local direct, called = {}, {}

direct["ping"] = function() return json.object() end

local function descriptions(list)
  local described = json.array()
  for i, one in ipairs(list) do described[i] = one.description end
  return described
end

direct["tools/list"] = function(server) return { tools = descriptions(server.tools) } end
direct["prompts/list"] = function(server) return { prompts = descriptions(server.prompts) } end
direct["resources/list"] = function(server) return { resources = descriptions(server.resources) } end
direct["resources/templates/list"] = function(server) return { resourceTemplates = descriptions(server.templates) } end

direct["logging/setLevel"] = function(_, session, params)
  if not call.LEVELS[params.level] then return nil, INVALID, "Unknown level" end
  session:set_level(params.level)
  return json.object()
end

direct["resources/subscribe"] = function(_, session, params)
  if type(params.uri) ~= "string" or #params.uri > 2000 then return nil, INVALID, "Expected a uri" end
  local ok, why = session:subscribe(params.uri)
  if not ok then return nil, -32603, "It cannot be kept: " .. tostring(why) end
  return json.object()
end

direct["resources/unsubscribe"] = function(_, session, params)
  if type(params.uri) ~= "string" then return nil, INVALID, "Expected a uri" end
  session:unsubscribe(params.uri)
  return json.object()
end

local function has_type(value, wanted)
  if wanted == "integer" then return math.type(value) == "integer" or type(value) == "number" and value % 1 == 0 end
  if wanted == "number" then return type(value) == "number" end
  return not TYPES[wanted] or type(value) == TYPES[wanted]
end

-- What is wrong with arguments by a JSON schema, as far as its outermost object says; nil where nothing is.
local function fault_of(arguments, schema)
  for _, name in ipairs(schema.required or {}) do
    if arguments[name] == nil then return ("'%s' is missing"):format(name) end
  end
  for name, value in pairs(arguments) do
    local property = type(schema.properties) == "table" and schema.properties[name]
    if property and not has_type(value, property.type) then return ("'%s' is no %s"):format(name, property.type) end
  end
end

-- A failure that the model is to read: what a tool returned as nil and a message. What it raised is for the log alone.
local function failed(message) return { content = { { type = "text", text = message } }, isError = true } end

called["tools/call"] = function(server, params, c)
  local tool = server.tools[params.name]
  if not tool then return nil, INVALID, "Unknown tool: " .. tostring(params.name) end
  local arguments = type(params.arguments) == "table" and params.arguments or json.object()
  local fault = fault_of(arguments, tool.description.inputSchema)
  if fault then return failed(fault) end
  local ok, value, message = xpcall(tool.fn, function(err) return core.traceback(tostring(err)) end, arguments, c)
  if not ok then
    core.log.error(report.logged(value))
    return failed "The tool has failed."
  end
  if value == nil then return failed(tostring(message or "The tool returned nothing.")) end
  return content.of_tool(value)
end

local function found(server, uri)
  local resource = server.resources[uri]
  if resource then return resource, {} end
  for _, template in ipairs(server.templates) do
    local values = template.match(uri)
    if values then return template, values end
  end
end

called["resources/read"] = function(server, params, c)
  local uri = params.uri
  if type(uri) ~= "string" then return nil, INVALID, "Expected a uri" end
  local resource, values = found(server, uri)
  if not resource then return nil, MISSING, "Resource not found" end
  local value, message = resource.fn(uri, values, c)
  if value == nil then return nil, MISSING, tostring(message or "Resource not found") end
  return content.of_resource(value, uri, resource.description.mimeType)
end

called["prompts/get"] = function(server, params, c)
  local prompt = server.prompts[params.name]
  if not prompt then return nil, INVALID, "Unknown prompt: " .. tostring(params.name) end
  local arguments = type(params.arguments) == "table" and params.arguments or json.object()
  for _, one in ipairs(prompt.description.arguments or {}) do
    if one.required and arguments[one.name] == nil then return nil, INVALID, ("'%s' is missing"):format(one.name) end
  end
  local value, message = prompt.fn(arguments, c)
  if value == nil then return nil, INVALID, tostring(message or "The prompt returned nothing.") end
  return content.of_prompt(value, prompt.description.description)
end

local COMPLETED = 100 -- values at most

called["completion/complete"] = function(server, params, c)
  local ref, argument = params.ref, params.argument
  if type(ref) ~= "table" or type(argument) ~= "table" then return nil, INVALID, "Expected ref and argument" end
  local one = ref.type == "ref/prompt" and server.prompts[ref.name] or ref.type == "ref/resource" and server.templates[ref.uri]
  if not one then return nil, INVALID, "Unknown reference" end
  local fn = one.complete[argument.name]
  local all = fn and fn(tostring(argument.value or ""), type(params.context) == "table" and params.context.arguments or {}, c) or {}
  local values = json.array { table.unpack(all, 1, COMPLETED) }
  return { completion = { values = values, total = #all, hasMore = #all > COMPLETED } }
end

return { direct = direct, called = called }
