-- SPDX-License-Identifier: MIT
-- A server of the Model Context Protocol that has all that the protocol's conformance suite asks for.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local mcp = require "spate.mcp"
local app = spate.app()

local PNG = spate.crypto.base64_decode "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
local WAV = "RIFF\36\0\0\0WAVEfmt \16\0\0\0\1\0\1\0\64\31\0\0\128\62\0\0\2\0\16\0data\0\0\0\0"

local server = mcp.server { name = "everything", version = "1", instructions = "For specs." }

server:tool("test_simple_text", { description = "A text" }, function() return "This is a simple text response for testing." end)
server:tool("test_image_content", { description = "A picture" }, function() return mcp.image(PNG, "image/png") end)
server:tool("test_audio_content", { description = "A sound" }, function() return mcp.audio(WAV, "audio/wav") end)
server:tool("test_embedded_resource", { description = "A resource" }, function()
  return mcp.resource("test://embedded-resource", "This is an embedded resource content.", "text/plain")
end)
server:tool("test_multiple_content_types", { description = "All of them" }, function()
  return { { type = "text", text = "Multiple content types test:" }, mcp.image(PNG, "image/png"),
    mcp.resource("test://mixed-content-resource", '{"test":"data","value":123}', "application/json") }
end)
server:tool("test_tool_with_logging", { description = "Logs" }, function(_, call)
  for i, text in ipairs { "Tool execution started", "Tool processing data", "Tool execution completed" } do
    if i > 1 then sse.sleep(0.05) end
    call:log("info", text)
  end
  return "logged"
end)
server:tool("test_error_handling", { description = "Fails" }, function() return nil, "This tool intentionally returns an error for testing" end)
server:tool("test_tool_with_progress", { description = "Counts" }, function(_, call)
  for i = 0, 100, 50 do
    call:progress(i, 100)
    sse.sleep(0.05)
  end
  return "counted"
end)
server:tool("test_sampling", { description = "Asks the model", input = { type = "object", properties = { prompt = { type = "string" } }, required = { "prompt" } } },
  function(args, call)
    local answer, err = call:sample { maxTokens = 100, messages = { { role = "user", content = { type = "text", text = args.prompt } } } }
    return answer and "LLM response: " .. answer.content.text, err
  end)

local function elicited(message, schema)
  return function(args, call)
    local answer, err = call:elicit(args.message or message, schema)
    if not answer then return nil, err end
    return ("Elicitation completed: action=%s, content=%s"):format(answer.action, json.encode(json.object(answer.content or {})))
  end
end

server:tool("test_elicitation", { description = "Asks the user", input = { type = "object", properties = { message = { type = "string" } }, required = { "message" } } },
  elicited(nil, { type = "object", properties = { username = { type = "string", description = "User's response" },
    email = { type = "string", description = "User's email address" } }, required = { "username", "email" } }))
server:tool("test_elicitation_sep1034_defaults", { description = "Asks with defaults" }, elicited("Values?", { type = "object", required = json.array(), properties = {
  name = { type = "string", default = "John Doe" }, age = { type = "integer", default = 30 }, score = { type = "number", default = 95.5 },
  status = { type = "string", enum = { "active", "inactive", "pending" }, default = "active" }, verified = { type = "boolean", default = true } } }))

local function titled(values)
  local list = {}
  for i, value in ipairs(values) do list[i] = { const = "value" .. i, title = value } end
  return list
end

server:tool("test_elicitation_sep1330_enums", { description = "Asks for choices" }, elicited("Choices?", { type = "object", required = json.array(), properties = {
  untitledSingle = { type = "string", enum = { "option1", "option2", "option3" } },
  titledSingle = { type = "string", oneOf = titled { "First Option", "Second Option", "Third Option" } },
  legacyEnum = { type = "string", enum = { "opt1", "opt2", "opt3" }, enumNames = { "Option One", "Option Two", "Option Three" } },
  untitledMulti = { type = "array", items = { type = "string", enum = { "option1", "option2", "option3" } } },
  titledMulti = { type = "array", items = { anyOf = titled { "First Choice", "Second Choice", "Third Choice" } } } } }))
server:tool("json_schema_2020_12_tool", { description = "Tool with JSON Schema 2020-12 features", input = {
  ["$schema"] = "https://json-schema.org/draft/2020-12/schema", type = "object", additionalProperties = false,
  ["$defs"] = { address = { type = "object", properties = { street = { type = "string" }, city = { type = "string" } } } },
  properties = { name = { type = "string" }, address = { ["$ref"] = "#/$defs/address" } } } }, function() return "taken" end)
server:tool("test_reconnection", { description = "Hangs up, and goes on" }, function(_, call)
  call:release(0.1)
  sse.sleep(0.1)
  return "Reconnection test completed successfully"
end)
server:tool("count", { description = "Counts", input = { type = "object", properties = { to = { type = "integer" } }, required = { "to" } } }, function(args, call)
  local _ <close> = setmetatable({}, { __close = function() spate.shared("counts"):incr "over" end })
  for i = 1, args.to do
    sse.sleep(0.1)
    call:progress(i, args.to)
  end
  return { counted = args.to }
end)
server:tool("over", { description = "How many counts have ended" }, function() return spate.shared("counts"):get "over" end)
server:tool("touch", { description = "Changes a resource" }, function()
  server:updated "test://watched-resource"
  return "touched"
end)

server:resource("test://static-text", { name = "text", description = "A text", type = "text/plain" }, function() return "This is the content of the static text resource." end)
server:resource("test://static-binary", { name = "binary", description = "A picture", type = "image/png" }, function() return PNG end)
server:resource("test://watched-resource", { name = "watched", description = "Changes" }, function() return "now" end)
server:resource("test://template/{id}/data", { name = "data", description = "By id", type = "application/json" }, function(_, values)
  return json.encode { id = values.id, templateTest = true, data = "Data for ID: " .. values.id }
end)

server:prompt("test_simple_prompt", { description = "A prompt" }, function() return "This is a simple prompt for testing." end)
server:prompt("test_prompt_with_arguments", { description = "With arguments", arguments = { { name = "arg1", description = "One", required = true },
  { name = "arg2", description = "Two", required = true } }, complete = { arg1 = function(value)
    local list = {}
    for _, word in ipairs { "paris", "park", "party" } do
      if word:sub(1, #value) == value then list[#list + 1] = word end
    end
    return list
  end } }, function(args) return ("Prompt with arguments: arg1='%s', arg2='%s'"):format(args.arg1, args.arg2) end)
server:prompt("test_prompt_with_embedded_resource", { description = "With a resource", arguments = { { name = "resourceUri", description = "URI", required = true } } },
  function(args) return { mcp.resource(args.resourceUri, "Embedded resource content for testing.", "text/plain"), "Please process the embedded resource above." } end)
server:prompt("test_prompt_with_image", { description = "With a picture" }, function() return { mcp.image(PNG, "image/png"), "Please analyze the image above." } end)

server:serve(app, "/mcp")

return app
