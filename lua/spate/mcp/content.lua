-- SPDX-License-Identifier: MIT
-- What functions of an application return, as the content that the Model Context Protocol has.
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"

local content = {}

local function encoded(bytes, what) return core.base64(check.text(bytes, what), false, true) end

-- Bytes of a picture or a sound, as an item of content.
function content.image(bytes, type) return { type = "image", data = encoded(bytes, "mcp.image"), mimeType = check.text(type, "mcp.image") } end

function content.audio(bytes, type) return { type = "audio", data = encoded(bytes, "mcp.audio"), mimeType = check.text(type, "mcp.audio") } end

-- A resource's text or bytes: what is no UTF-8 goes as a blob.
local function contents(value, uri, type)
  if utf8.len(value) then return { uri = uri, mimeType = type, text = value } end
  return { uri = uri, mimeType = type, blob = encoded(value, "mcp.resource") }
end

-- A resource within content.
function content.resource(uri, value, type)
  return { type = "resource", resource = contents(check.text(value, "mcp.resource"), check.text(uri, "mcp.resource"), type) }
end

-- Items: of a text, of one item, of a list of both.
local function items(value)
  if type(value) ~= "table" then return { { type = "text", text = tostring(value) } } end
  if value.type then return { value } end
  local list = json.array()
  for i, one in ipairs(value) do list[i] = type(one) == "table" and one or { type = "text", text = tostring(one) } end
  return list
end

local function is_items(value) return type(value) ~= "table" or value.type ~= nil or type(value[1]) == "table" and value[1].type ~= nil end

-- A tool's result: a text, items, a whole result with `content`, or any other table, which is structured content and its JSON.
function content.of_tool(value)
  if type(value) == "table" and value.content then return value end
  if is_items(value) then return { content = items(value) } end
  return { content = { { type = "text", text = json.encode(value) } }, structuredContent = value }
end

function content.of_resource(value, uri, type_of_it)
  if type(value) == "table" then return value.contents and value or { contents = value } end
  return { contents = { contents(tostring(value), uri, type_of_it) } }
end

-- A prompt's messages: a text is what the user says; a list of items and texts is said in turn; { role =, content = } is taken as it is.
function content.of_prompt(value, description)
  if type(value) == "table" and value.messages then return value end
  local list = json.array()
  for i, one in ipairs(type(value) == "table" and not value.type and value or { value }) do
    if type(one) == "table" and one.role then
      list[i] = { role = one.role, content = items(one.content)[1] }
    else
      list[i] = { role = "user", content = items(one)[1] }
    end
  end
  return { description = description, messages = list }
end

return content
