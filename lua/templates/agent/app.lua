-- spate dev, then open http://localhost:8080
-- A model that uses tools, over the API that most servers of models speak (LLM_URL, LLM_KEY, LLM_MODEL). Its answer is made once,
-- goes on when the page is closed or loaded again, and is read from where a reader lost it. Without LLM_URL a small demo answers
-- (at another port than 8080: LLM_URL=http://localhost:PORT/demo/v1).
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local http = require "spate.http"
local app, reply = spate.app(), spate.reply

local URL = spate.env("LLM_URL", "http://localhost:8080/demo/v1") .. "/chat/completions"
local KEY, MODEL = spate.env("LLM_KEY", "none"), spate.env("LLM_MODEL", "demo")
local ROUNDS, MESSAGES = 8, 100 -- of tools in an answer; of a chat
local chats, stopped = spate.shared "chats", spate.shared "stopped"

local function object(properties, required)
  return { type = "object", properties = json.object(properties), required = json.array(required) }
end

local TOOLS = {
  time = { description = "The time of day, in UTC", parameters = object({}, {}), fn = function() return os.date "!%H:%M" end },
  multiply = { description = "Multiplies two numbers", fn = function(args) return tostring(args.a * args.b) end,
    parameters = object({ a = { type = "number" }, b = { type = "number" } }, { "a", "b" }) },
  fetch = { description = "Reads a page of the web", fn = function(args)
    local res, err = http.get(args.url, { timeout = 10, private = false, max = 100000 }) -- nothing of this network
    return res and res:body() or "There is no answer: " .. tostring(err)
  end, parameters = object({ url = { type = "string" } }, { "url" }) },
}

local offered = json.array()
for name, tool in pairs(TOOLS) do
  offered[#offered + 1] = { type = "function",
    ["function"] = { name = name, description = tool.description, parameters = tool.parameters } }
end

local function load_chat(id)
  if #id > 100 then spate.abort(404, "no such chat") end
  return json.decode(chats:get(id) or '{"messages":[]}')
end

local function save_chat(id, chat) return chats:set(id, json.encode(chat), { ttl = 86400 }) end

-- What a tool that the model has called says to it.
local function use(call)
  local tool, args = TOOLS[call.name], json.decode(call.arguments)
  if not tool or type(args) ~= "table" then return "There is no such tool, or its arguments are no JSON." end
  local ok, result = pcall(tool.fn, args)
  return ok and tostring(result) or "The tool has failed."
end

-- Adds a piece of a tool's call to those that have come so far.
local function add_piece(calls, piece)
  local at = (piece.index or 0) + 1
  local call = calls[at] or { id = "", name = "", arguments = "" }
  local part = piece["function"] or {}
  calls[at] = { id = piece.id or call.id, name = call.name .. (part.name or ""), arguments = call.arguments .. (part.arguments or "") }
end

-- The model's next message, whose words are sent as they come, and the tools that it calls; nil and why there is none.
---@return table? message, any calls
local function ask(messages, answer, send)
  local up <close>, err = http.post(URL, { headers = { Authorization = "Bearer " .. KEY },
    timeout = { connect = 5, idle = 120 }, json = { model = MODEL, stream = true, messages = messages, tools = offered } })
  if not up then return nil, ("No model at %s: %s. LLM_URL names its server."):format(URL, err) end
  if not up:is_event_stream() then return nil, ("%s answered %d: %s"):format(URL, up.status, tostring(up:body()):sub(1, 300)) end
  local text, calls = "", {}
  for event in up:events():each() do
    if event.data == "[DONE]" or stopped:get(answer) then break end
    local chunk = json.decode(event.data)
    local delta = chunk and chunk.choices and chunk.choices[1] and chunk.choices[1].delta or {}
    if delta.content then
      text = text .. delta.content
      send { event = "token", json = delta.content }
    end
    for _, piece in ipairs(delta.tool_calls or {}) do add_piece(calls, piece) end
  end
  local message = { role = "assistant", content = text }
  for i, call in ipairs(calls) do
    message.tool_calls = message.tool_calls or {}
    message.tool_calls[i] = { id = call.id, type = "function", ["function"] = { name = call.name, arguments = call.arguments } }
  end
  return message, calls
end

local function answer_it(id, answer, send)
  local chat = load_chat(id)
  for _ = 1, chat.answer == answer and ROUNDS or 0 do
    local message, calls = ask(chat.messages, answer, send)
    if not message then
      send { event = "error", data = calls }
      break
    end
    table.insert(chat.messages, message)
    for _, call in ipairs(calls) do
      local result = use(call)
      send { event = "tool", json = { name = call.name, arguments = call.arguments, result = result:sub(1, 200) } }
      table.insert(chat.messages, { role = "tool", tool_call_id = call.id, content = result })
    end
    if #calls == 0 or stopped:get(answer) then break end
  end
  if chat.answer == answer then
    chat.answer = nil
    save_chat(id, chat)
  end
  send { event = "end", data = "end" }
end

app:get("/chats/:id[%w-]", function(req)
  local chat = load_chat(req.params.id)
  return { messages = json.array(chat.messages), answer = chat.answer and ("/chats/%s/answers/%s"):format(req.params.id, chat.answer) }
end)

app:post("/chats/:id[%w-]", spate.rate_limit { rate = 30, per = 60 }, function(req)
  local said, err = req:json()
  if type(said) ~= "table" or type(said.text) ~= "string" or #said.text > 10000 then
    return reply.error(400, err or "expected a text")
  end
  local chat = load_chat(req.params.id)
  if chat.answer then return reply.error(409, "it answers already") end
  if #chat.messages >= MESSAGES then return reply.error(409, "this chat is full; begin another") end
  table.insert(chat.messages, { role = "user", content = said.text })
  chat.answer = spate.uuid()
  local ok, why = save_chat(req.params.id, chat)
  if not ok then return reply.error(503, why) end
  return reply.json({ answer = ("/chats/%s/answers/%s"):format(req.params.id, chat.answer) }, 202)
end)

-- The first who reads has it made; it ends without a reader for 30 seconds.
app:get("/chats/:id[%w-]/answers/:answer[%w-]", function(req)
  local id, answer = req.params.id, req.params.answer
  if #answer > 100 then return reply.error(404, "no such answer") end
  return sse.reply(sse.resumable("answer " .. answer, function(send) answer_it(id, answer, send) end,
    { after = req.last_event_id, linger = 30 }))
end)

app:delete("/chats/:id[%w-]/answer", function(req)
  local answer = load_chat(req.params.id).answer
  if answer then stopped:set(answer, true, { ttl = 600 }) end
  return reply.status(204)
end)

app:get("/", function() return reply.file "page.html" end)

-- A model that knows two tools, for who has no other: take it away once LLM_URL is set.
local function demo(messages)
  local last = messages[#messages]
  local a, b = tostring(last.content):match "(%-?[%d.]+)%s*%*%s*(%-?[%d.]+)"
  local function call(name, args)
    return { tool_calls = { { index = 0, id = "1", ["function"] = { name = name, arguments = json.encode(args) } } } }
  end
  if last.role == "tool" then return nil, "It is " .. last.content .. "." end
  if a then return call("multiply", { a = tonumber(a), b = tonumber(b) }) end
  if tostring(last.content):lower():find "time" then return call("time", json.object()) end
  return nil, "I am a demo: I know the time, and can multiply. Set LLM_URL to a model's server for more."
end

app:post("/demo/v1/chat/completions", function(req)
  local asked = req:json()
  if type(asked) ~= "table" or type(asked.messages) ~= "table" or #asked.messages == 0 then return reply.error(400) end
  local delta, text = demo(asked.messages)
  return sse.reply(function(send)
    local function chunk(part) send { json = { choices = { { index = 0, delta = part } } } } end
    if delta then chunk(delta) end
    for word in (text or ""):gmatch "%s*%S+" do
      chunk { content = word }
      sse.sleep(0.05)
    end
    send "[DONE]"
  end)
end)

return app
