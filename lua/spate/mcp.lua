-- SPDX-License-Identifier: MIT
-- require "spate.mcp": servers of the Model Context Protocol over HTTP (2025-03-26 to 2025-11-25): tools, resources, prompts,
-- and what these ask of the client. Sessions are of all workers; what a call says outlives its connection.
local check = require "spate.check"
local content = require "spate.mcp.content"
local core = require "spate.core"
local endpoint = require "spate.mcp.endpoint"
local json = require "spate.json"
local sessions = require "spate.mcp.session"

local TTL = 3600 -- seconds without a request after which a session ends
local OPTIONS = { "name", "version", "title", "instructions", "ttl", "hosts", "origins" }

local Server = { __name = "mcp server" }
Server.__index = Server

local mcp = { image = content.image, audio = content.audio, resource = content.resource }

local function set_of(list, what)
  local set = {}
  for _, one in ipairs(list and check.strings(list, what) or {}) do set[one:lower()] = true end
  return set
end

-- A server of this name.
function mcp.server(options)
  options = check.options(options, "mcp.server", OPTIONS)
  local name = check.text(options.name, "mcp.server: name")
  if options.instructions ~= nil then check.text(options.instructions, "mcp.server: instructions") end
  return setmetatable({ info = { name = name, version = check.text(options.version or "1", "mcp.server: version"), title = options.title },
    instructions = options.instructions, ttl = options.ttl and check.seconds(options.ttl, "mcp.server: ttl") or TTL,
    hosts = set_of(options.hosts, "mcp.server: hosts"), origins = set_of(options.origins, "mcp.server: origins"),
    dictionary = core.shared("spate mcp " .. name, { store = true }), tools = {}, resources = {}, templates = {}, prompts = {} }, Server)
end

local function check_self(self, method)
  if getmetatable(self) ~= Server then core.raise(("server:%s(...): write it with a colon"):format(method)) end
end

-- Puts one into a list, and under its name.
local function add(list, name, what, one)
  if list[name] then core.raise(("%s: there is one of this name already: %s"):format(what, name)) end
  list[#list + 1], list[name] = one, one
end

-- A schema whose empty tables are objects, where a schema has objects.
local function schema_of(schema)
  if type(schema) ~= "table" then return schema end
  local copy = setmetatable({}, getmetatable(schema))
  for key, value in pairs(schema) do copy[key] = schema_of(value) end
  for _, key in ipairs { "properties", "$defs", "definitions", "patternProperties" } do
    if type(copy[key]) == "table" then copy[key] = json.object(copy[key]) end
  end
  return copy
end

local TOOL = { "title", "description", "input", "output", "annotations" }

-- A function that the client's model may call: fn(arguments, call) returns a text, content, or a table; nil and a message where it failed.
function Server:tool(name, options, fn)
  check_self(self, "tool")
  options = check.options(options, "server:tool", TOOL)
  local input = schema_of(options.input or { type = "object", properties = {} })
  if type(input) ~= "table" or input.type ~= "object" then core.raise 'server:tool: input: expected a JSON schema with type = "object"' end
  add(self.tools, check.text(name, "server:tool"), "server:tool", { fn = check.callable(fn, "server:tool"), description = {
    name = name, title = options.title, description = options.description or "", inputSchema = input,
    outputSchema = schema_of(options.output), annotations = options.annotations } })
  return self
end

-- What a URI template such as "notes://{id}" makes of a URI: its values by name, or nil.
local function matcher(template)
  local names, pattern = {}, template:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0")
  pattern = pattern:gsub("{(%%?%+?)([%w_]+)}", function(plus, name)
    names[#names + 1] = name
    return plus ~= "" and "(.*)" or "([^/?#]*)"
  end)
  if pattern:find "[{}]" then core.raise("server:resource: expected {name} and {+name} in the template: " .. template) end
  return function(uri)
    local found = { uri:match("^" .. pattern .. "$") }
    if #found == 0 then return nil end
    local values = {}
    for i, name in ipairs(names) do values[name] = found[i]:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end) end
    return values
  end
end

local RESOURCE = { "name", "title", "description", "type", "complete", "annotations" }

local function completions(self, functions, what)
  if functions == nil then return {} end
  for name, fn in pairs(functions) do check.callable(fn, ("%s: complete.%s"):format(what, tostring(name))) end
  self.completes = true
  return functions
end

-- What a client may read under a URI, or under those of a template: fn(uri, values, call) returns text or bytes, or nil and why not.
function Server:resource(uri, options, fn)
  check_self(self, "resource")
  options = check.options(options, "server:resource", RESOURCE)
  check.text(uri, "server:resource")
  local is_template = uri:find("{", 1, true) ~= nil
  local one = { fn = check.callable(fn, "server:resource"), complete = completions(self, options.complete, "server:resource"), description = {
    [is_template and "uriTemplate" or "uri"] = uri, name = options.name or uri, title = options.title, description = options.description,
    mimeType = options.type, annotations = options.annotations } }
  if is_template then one.match = matcher(uri) end
  add(is_template and self.templates or self.resources, uri, "server:resource", one)
  return self
end

local PROMPT = { "title", "description", "arguments", "complete" }

-- Words for the user to begin with: fn(arguments, call) returns a text, or messages.
function Server:prompt(name, options, fn)
  check_self(self, "prompt")
  options = check.options(options, "server:prompt", PROMPT)
  add(self.prompts, check.text(name, "server:prompt"), "server:prompt", { fn = check.callable(fn, "server:prompt"),
    complete = completions(self, options.complete, "server:prompt"), description = {
      name = name, title = options.title, description = options.description, arguments = options.arguments and json.array(options.arguments) } })
  return self
end

-- Tells the sessions that have subscribed to a resource that it has changed.
function Server:updated(uri)
  check_self(self, "updated")
  return sessions.tell(self.dictionary, check.text(uri, "server:updated"),
    { jsonrpc = "2.0", method = "notifications/resources/updated", params = { uri = uri } })
end

-- Serves it at a path of an application, or of a group.
function Server:serve(app, path)
  check_self(self, "serve")
  check.app(app, "server:serve")
  for _, method in ipairs { "post", "get", "delete" } do app[method](app, path, endpoint.handler(self, method)) end
  return self
end

core.public(mcp, "server", "image", "audio", "resource")
core.public(Server, "tool", "resource", "prompt", "updated", "serve")

return mcp
