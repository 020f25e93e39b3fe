-- SPDX-License-Identifier: MIT
-- Dictionaries in the real program, where two threads use them at once.
local helper = require "spec.helper"
local socket = require "socket"

local SPATE = os.getenv("SPATE") or (os.getenv("BUILD") or "build") .. "/spate"
local SECONDS = 10 -- that anything may take
local APP = [[
local spate = require "spate"
local app, d = spate.app(), spate.shared "d"

app:get("/count", function()
  for _ = 1, 2000 do
    d:incr "hits"
    local seen
    repeat seen = d:get "swaps" until d:cas("swaps", seen, (seen or 0) + 1)
  end
  d:set("worker " .. spate.worker, true)
  return { worker = spate.worker }
end)

app:get("/total", function()
  return { worker = spate.worker, hits = d:get "hits", swaps = d:get "swaps", workers = d:keys "worker " }
end)

app:get("/lock", function() return { worker = spate.worker, mine = d:add("lock", spate.worker, { ttl = 2 }) } end)

return app
]]

local directory, pipe, pid, port

local function write_file(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end

local function read_file(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

-- The first true value of `probe`, asked for until it comes.
local function eventually(what, probe)
  local deadline = socket.gettime() + SECONDS
  repeat
    local value = probe()
    if value then return value end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  error("waited in vain for " .. what, 2)
end

local function start()
  local env = os.getenv("ASAN_OPTIONS") and "ASAN_OPTIONS=detect_leaks=1" or ""
  write_file(directory .. "/out", "")
  pipe = assert(io.popen(("echo $$; %s exec %s serve %s/app.lua -l 127.0.0.1:0 -w 2 >%s/out 2>%s/err </dev/null")
    :format(env, SPATE, directory, directory, directory)))
  pid = assert(tonumber(pipe:read("l")))
  port = eventually("the address", function()
    return read_file(directory .. "/out"):match("http://127%.0%.0%.1:(%d+) %(2 workers%)")
  end)
end

local function stop()
  os.execute("kill -TERM " .. pid)
  local _, how, code = pipe:close()
  pid = nil
  assert.same({ "exit", 0 }, { how, code }, read_file(directory .. "/err"))
end

local function ask(target)
  local client = assert(socket.connect("127.0.0.1", tonumber(port)))
  client:settimeout(SECONDS)
  assert(client:send(("GET %s HTTP/1.1\r\nHost: spec\r\nConnection: close\r\n\r\n"):format(target)))
  return client
end

local function answer(client)
  local bytes = assert(client:receive("*a"))
  client:close()
  assert.equal("200", bytes:match("^HTTP/1%.1 (%d+)"), bytes)
  return assert(helper.json.decode(bytes:match("\r\n\r\n(.*)$")))
end

local function get(target) return answer(ask(target)) end

-- The answers of both workers: connections are spread by their addresses.
local function get_from_both(target)
  local answers = {}
  eventually("both workers", function()
    local one = get(target)
    answers[one.worker] = answers[one.worker] or one
    return answers[0] and answers[1]
  end)
  return answers
end

describe("spate.shared of two workers", function()
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
    write_file(directory .. "/app.lua", APP)
    start()
  end)

  after_each(function()
    if pid then
      os.execute("kill -KILL " .. pid)
      pipe:close()
    end
    os.execute("rm -rf " .. directory)
  end)

  it("loses no step of either", function()
    local count, seen = 0, {}
    repeat
      local clients = {}
      for i = 1, 8 do clients[i] = ask("/count") end
      for _, client in ipairs(clients) do seen[answer(client).worker] = true end
      count = count + 8
    until seen[0] and seen[1] or count > 200
    assert(seen[0] and seen[1], "one worker had all of the requests")
    for worker, total in pairs(get_from_both "/total") do
      assert.same({ worker = worker, hits = count * 2000, swaps = count * 2000, workers = { "worker 0", "worker 1" } }, total)
    end
    stop()
  end)

  it("gives a lock to one of them, until its time is over", function()
    assert.is_true(get("/lock").mine)
    for _, one in pairs(get_from_both "/lock") do assert.is_false(one.mine) end
    eventually("the lock", function() return get("/lock").mine end)
    stop()
  end)
end)
