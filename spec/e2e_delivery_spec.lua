-- SPDX-License-Identifier: MIT
-- A channel in the real program: two workers, publishers at both, subscribers that drop and resume at random.
-- DELIVERY_SUBSCRIBERS and DELIVERY_SECONDS make it larger.
local socket = require "socket"

local BUILD = os.getenv("BUILD") or "build"
local SPATE = os.getenv("SPATE") or BUILD .. "/spate"
local SUBSCRIBERS = tonumber(os.getenv("DELIVERY_SUBSCRIBERS")) or 200
local SECONDS = tonumber(os.getenv("DELIVERY_SECONDS")) or 5
local RATE = SUBSCRIBERS > 500 and 100 or 400 -- events per second
local APP = [[
local spate, sse = require "spate", require "spate.sse"
local app, channel = spate.app(), sse.channel("news", { history = 1000000 })

app:post("/publish", function(req) return (assert(channel:publish(req:body()))) end)
app:get("/live", function(req) return sse.reply(channel:subscribe { after = req.last_event_id }) end)
app:get("/all", function(req) return sse.reply(channel:subscribe { after = req.last_event_id, replay = "all" }) end)
app:get("/worker", function() return { worker = spate.worker, count = channel:count() } end)

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
  local deadline = socket.gettime() + 10
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
  pipe = assert(io.popen(("echo $$; ulimit -n $(ulimit -H -n); %s exec %s serve %s/app.lua -l 127.0.0.1:0 -w 2"
    .. " -c %s/conf.lua >%s/out 2>%s/err </dev/null"):format(env, SPATE, directory, directory, directory, directory)))
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

local function run(line)
  local f = assert(io.popen(line .. " 2>&1"))
  local text = f:read("a")
  local ok = f:close()
  return ok, text
end

local function build_client()
  assert(os.execute(("mkdir -p %s/bench && ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -pthread -o %s/bench/delivery spec/bench/delivery.c")
    :format(BUILD, BUILD)))
end

describe("a channel of two workers", function()
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
    write_file(directory .. "/app.lua", APP)
    write_file(directory .. "/conf.lua", "return { log = { access = false } }")
    build_client()
    start()
  end)

  after_each(function()
    if pid then
      os.execute("kill -KILL " .. pid)
      pipe:close()
    end
    os.execute("rm -rf " .. directory)
  end)

  it("brings every event once and in order to subscribers that drop and resume at random", function()
    local ok, text = run(("LD_PRELOAD= %s/bench/delivery -p %s -c %d -k 4 -d %g -r %d"):format(
      BUILD, port, SUBSCRIBERS, SECONDS, RATE))
    assert(ok, text)
    local seen = {}
    for name, value in text:gmatch('"(%w+)":(%d+)') do seen[name] = tonumber(value) end
    assert.equal(0, seen.faults)
    assert(seen.published > SECONDS * RATE / 20 and seen.connections > SUBSCRIBERS, text)
    assert(seen.closed > 0 and seen.reset > 0, text)
    if os.getenv("DELIVERY_SECONDS") then print(text) end
    stop()
  end)
end)
