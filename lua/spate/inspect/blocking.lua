-- SPDX-License-Identifier: MIT
-- Calls in a source that hold a worker, and with it everybody it serves, until they return: those inside a function, as
-- handlers are, but not in what app:on_start and app:on_stop are given, when nobody waits. What a name stands for is read from the
-- file alone, so a call through a field or an argument is not seen.
local PROGRAM = "spate.process runs programs without holding the worker"
local REQUEST = "spate.http asks other servers without holding the worker"
local FILE = "spate.sqlite asks SQLite without holding the worker"
local SERVER = "spate.postgres asks PostgreSQL without holding the worker"
local REDIS = "spate.redis asks Redis without holding the worker"
local SLEEP = "sse.sleep waits without holding the worker"
local SOCKET = "sse.wait_fd waits for a socket, spate.http asks a server, spate.offload calls what blocks on another thread"

-- By module ("" has the globals), and function.
local BLOCKING = {
  [""] = { ["os.execute"] = PROGRAM, ["io.popen"] = PROGRAM, ["os.sleep"] = SLEEP },
  ["socket"] = { sleep = SLEEP, select = SOCKET, connect = SOCKET, connect4 = SOCKET, connect6 = SOCKET },
  ["socket.http"] = { request = REQUEST },
  ["socket.ftp"] = { get = SOCKET, put = SOCKET },
  ["socket.smtp"] = { send = SOCKET },
  ["ssl.https"] = { request = REQUEST },
  ["http.request"] = { new_from_uri = REQUEST },
  ["posix"] = { sleep = SLEEP, nanosleep = SLEEP, system = PROGRAM },
  ["posix.unistd"] = { sleep = SLEEP },
  ["posix.time"] = { nanosleep = SLEEP },
  ["system"] = { sleep = SLEEP },
  ["lsqlite3"] = { open = FILE, open_memory = FILE },
  ["lsqlite3complete"] = { open = FILE, open_memory = FILE },
  ["pgmoon"] = { new = SERVER },
  ["pgsql"] = { connectdb = SERVER },
  ["luapgsql"] = { connectdb = SERVER },
  ["luasql.postgres"] = { postgres = SERVER },
  ["luasql.sqlite3"] = { sqlite3 = FILE },
  ["sqlite3"] = { open = FILE },
  ["redis"] = { connect = REDIS },
  ["cqueues"] = { sleep = SLEEP, poll = SOCKET },
}

local OPENS = { ["function"] = true, ["if"] = true, ["do"] = true, ["repeat"] = true }
local CLOSES = { ["end"] = true, ["until"] = true }
local LIFE = { on_start = true, on_stop = true }

local function is(token, text) return token ~= nil and token.kind ~= "string" and token.text == text end

-- The module that `require` at token i names.
local function required(tokens, i)
  if not is(tokens[i], "require") then return nil end
  local after = is(tokens[i + 1], "(") and tokens[i + 2] or tokens[i + 1]
  return after and after.kind == "string" and after.text or nil
end

-- Where the expression of names and dots at token i ends, and its text: "os.execute".
local function path_at(tokens, i)
  local text = tokens[i].text
  while is(tokens[i + 1], ".") and tokens[i + 2] and tokens[i + 2].kind == "name" do
    text, i = text .. "." .. tokens[i + 2].text, i + 2
  end
  return text, i
end

-- The lists of names and of values of `local a, b = x, y` at token i: the first tokens of each.
local function assignment(tokens, i)
  local names, values, depth = {}, {}, 0
  while tokens[i + 1] and tokens[i + 1].kind == "name" do
    names[#names + 1] = tokens[i + 1].text
    i = i + 2
    if is(tokens[i], "<") then i = i + 3 end
    if not is(tokens[i], ",") then break end
  end
  if not is(tokens[i], "=") then return names, values end
  values[1] = i + 1
  for at = i + 1, #tokens do
    local token = tokens[at]
    if is(token, "(") or is(token, "{") or is(token, "function") then depth = depth + 1
    elseif is(token, ")") or is(token, "}") or is(token, "end") then depth = depth - 1 end
    if depth < 0 or #values == #names or is(token, "local") then break end
    if depth == 0 and is(token, ",") then values[#values + 1] = at + 1 end
  end
  return names, values
end

-- What the file's names stand for: { http = "socket.http" } and { execute = "os.execute" }; false: something of its own.
local function names_of(tokens)
  local modules, functions = {}, {}
  for i, token in ipairs(tokens) do
    if is(token, "local") then
      local names, values = assignment(tokens, i)
      for n, name in ipairs(names) do
        local at = values[n]
        local module, path = at and required(tokens, at), at and tokens[at] and tokens[at].kind == "name" and path_at(tokens, at)
        if module then modules[name] = module
        elseif path and BLOCKING[""][path] then functions[name] = path
        elseif path ~= name then modules[name] = false end
      end
    end
  end
  return modules, functions
end

-- The way out of the call of `path`; nil where it does not block.
local function way_out(path, modules, functions)
  if functions[path] then return BLOCKING[""][functions[path]] end
  local owner, name = path:match "^(.+)%.([%w_]+)$"
  if not owner then return nil end
  local module = modules[owner]
  if module == nil then return BLOCKING[""][path] end
  return module and BLOCKING[module] and BLOCKING[module][name]
end

local function is_call(token)
  return token ~= nil and (token.kind == "string" or is(token, "(") or is(token, "{"))
end

-- A list of { line =, what =, hint = }.
return function(tokens)
  local modules, functions = names_of(tokens)
  local list, blocks, depth, free_from = {}, {}, 0, nil
  for i, token in ipairs(tokens) do
    local before = tokens[i - 1]
    local is_field = is(before, ".") or is(before, ":")
    if token.kind == "name" and OPENS[token.text] and not is_field then
      blocks[#blocks + 1] = token.text
      depth = depth + (token.text == "function" and 1 or 0)
      local is_of_life = token.text == "function" and is(before, "(") and tokens[i - 2] and LIFE[tokens[i - 2].text]
      if is_of_life then free_from = free_from or #blocks end
    elseif token.kind == "name" and CLOSES[token.text] and not is_field then
      if free_from == #blocks then free_from = nil end
      depth = depth - (table.remove(blocks) == "function" and 1 or 0)
    elseif token.kind == "name" and not is_field and depth > 0 and not free_from then
      local path, last = path_at(tokens, i)
      local module, hint = required(tokens, i), nil
      if module and BLOCKING[module] then -- require "socket.http".request(...)
        local at = is(tokens[i + 1], "(") and i + 4 or i + 2
        local name = is(tokens[at], ".") and tokens[at + 1] and tokens[at + 1].text
        if name then path, last, hint = module .. "." .. name, at + 1, BLOCKING[module][name] end
      else hint = way_out(path, modules, functions) end
      if hint and is_call(tokens[last + 1]) then list[#list + 1] = { line = token.line, what = path, hint = hint } end
    end
  end
  return list
end
