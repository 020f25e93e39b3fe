-- SPDX-License-Identifier: MIT
-- Files from the real program: sendfile(2) over real sockets, to curl.
local socket = require "socket"

local BUILD = os.getenv("BUILD") or "build"
local SPATE = os.getenv("SPATE") or BUILD .. "/spate"
local LARGE = 50 << 20
local APP = [[
local spate, sse = require "spate", require "spate.sse"
local app = spate.app()
app:static("/", "public")
app:get("/ticks", function()
  return sse.reply(sse.interval(0.1):map(function() return sse.now() end))
end)
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
  local deadline = socket.gettime() + 20
  repeat
    local value = probe()
    if value then return value end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  error("waited in vain for " .. what, 2)
end

-- A command's output, and its exit code. %D and %U are the folder and the server's address.
local function run(line)
  local f = assert(io.popen(("LD_PRELOAD= " .. line:gsub("%%D", directory):gsub("%%U", "http://127.0.0.1:" .. (port or ""))), "r"))
  local text = f:read("a")
  local _, _, code = f:close()
  return text, code
end

local function sum(path) return (run("cksum <" .. path)) end

local function random_file(name, size)
  local path = directory .. "/public/" .. name
  assert(os.execute(("head -c %d /dev/urandom >%s"):format(size, path)))
  return path
end

local function start(prefix)
  local env = os.getenv("ASAN_OPTIONS") and "ASAN_OPTIONS=detect_leaks=1" or ""
  write_file(directory .. "/out", "")
  pipe = assert(io.popen(("echo $$; %s exec %s %s serve %s/app.lua -l 127.0.0.1:0 >%s/out 2>%s/err </dev/null"):format(
    env, prefix or "", SPATE, directory, directory, directory)))
  pid = assert(tonumber(pipe:read("l")))
  port = eventually("the address", function() return read_file(directory .. "/out"):match("http://127%.0%.0%.1:(%d+)") end)
end

local function stop()
  os.execute("kill -TERM " .. pid)
  local _, how, code = pipe:close()
  pid = nil
  assert.same({ "exit", 0 }, { how, code }, read_file(directory .. "/err"))
end

local function descriptors() return tonumber((run(("ls /proc/%d/fd | wc -l"):format(pid)))) end

describe("files", function()
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute(("mkdir -p %s/public && chmod 755 %s"):format(directory, directory)))
    write_file(directory .. "/app.lua", APP)
  end)

  after_each(function()
    if pid then
      os.execute("kill -KILL " .. pid)
      pipe:close()
    end
    os.execute("rm -rf " .. directory)
  end)

  it("of every size arrive as they are", function()
    start()
    local before
    for _, size in ipairs { 0, 1, 16383, 16384, 16385, 65536, LARGE } do
      local path = random_file("file", size)
      local length, code = run "curl -sS -o %D/got -w '%{size_download}' %U/file"
      assert.equal(0, code)
      assert.equal(size, tonumber(length))
      assert.equal(sum(path), sum(directory .. "/got"))
      before = before or descriptors()
    end
    assert.equal(before, descriptors())
    stop()
  end)

  it("fit together again from ranges", function()
    local path = random_file("file", 1000000)
    start()
    for _, range in ipairs { "0-99999", "100000-899999", "900000-", "-0" } do
      run(("curl -sS -r %s %%U/file >>%%D/got"):format(range))
      if range == "900000-" then assert.equal(sum(path), sum(directory .. "/got")) end
    end
    assert.truthy(read_file(directory .. "/got"):find("Range Not Satisfiable\n", 1000000, true))
    local several = run "curl -sS -r 0-99999,500000-599999 %U/file"
    local bytes = read_file(path)
    assert.truthy(several:find("\r\n\r\n" .. bytes:sub(1, 100000) .. "\r\n--", 1, true))
    assert.truthy(several:find("\r\n\r\n" .. bytes:sub(500001, 600000) .. "\r\n--", 1, true))
    run "head -c 300000 %D/public/file >%D/part"
    run "curl -sS -C - -o %D/part %U/file" -- goes on where it has stopped
    assert.equal(sum(path), sum(directory .. "/part"))
    stop()
  end)

  it("are not sent again to who has them", function()
    random_file("file", 100)
    start()
    run "curl -sS -o %D/got --etag-save %D/etag %U/file"
    assert.equal("304 0", (run "curl -sS -o %D/again --etag-compare %D/etag -w '%{http_code} %{size_download}' %U/file"))
    assert.equal("304 0", (run "curl -sS -o %D/again -z %D/public/file -w '%{http_code} %{size_download}' %U/file"))
    stop()
  end)

  it("that become shorter while they are sent are an error to the client", function()
    random_file("file", LARGE)
    start()
    local before = descriptors()
    local client = assert(io.popen(("LD_PRELOAD= curl -sS --limit-rate 1M -o %s/got http://127.0.0.1:%s/file 2>&1; echo $?"):format(directory, port)))
    eventually("the first bytes", function()
      local f <close> = io.open(directory .. "/got", "rb")
      return f and f:seek "end" > 0
    end)
    assert(os.execute(("truncate -s 100000 %s/public/file"):format(directory)))
    local text = client:read "a"
    client:close()
    local code = tonumber(text:match "(%d+)\n$")
    assert(code == 18 or code == 56, text) -- a part only; connection reset
    eventually("the line in the log", function()
      return read_file(directory .. "/err"):find("a file has become shorter while it was sent: /file", 1, true)
    end)
    assert.equal(before, descriptors())
    stop()
  end)

  it("reach a slow reader whole", function()
    local path = random_file("file", 3 << 20)
    start()
    local _, code = run "curl -sS --limit-rate 2M -o %D/got %U/file"
    assert.equal(0, code)
    assert.equal(sum(path), sum(directory .. "/got"))
    stop()
  end)

  it("do not starve a stream, a hundred downloads at once", function()
    random_file("file", LARGE // 2)
    start()
    local reader = assert(socket.connect("127.0.0.1", port))
    reader:settimeout(20)
    reader:send "GET /ticks HTTP/1.0\r\n\r\n"
    repeat until assert(reader:receive "*l") == ""
    local urls = {}
    for i = 1, 100 do urls[i] = ("url=http://127.0.0.1:%s/file\noutput=/dev/null"):format(port) end
    write_file(directory .. "/urls", table.concat(urls, "\n"))
    local done = assert(io.popen(("LD_PRELOAD= curl -s -Z --parallel-immediate --parallel-max 100 -K %s/urls -w '%%{size_download}\\n' 2>%s/progress; echo done >%s/done"):format(
      directory, directory, directory)))
    local times = {}
    repeat
      local line = assert(reader:receive "*l")
      times[#times + 1] = tonumber(line:match "^data: (.*)")
      local f <close> = io.open(directory .. "/done")
    until f and #times >= 5
    local sizes = done:read "a"
    done:close()
    assert.equal(100, select(2, sizes:gsub(LARGE // 2 .. "\n", "")))
    local largest = 0
    for i = 2, #times do largest = math.max(largest, times[i] - times[i - 1]) end
    assert(largest < 0.2, ("a gap of %.3f s between two ticks"):format(largest))
    reader:close()
    stop()
  end)

  it("that the server may not read are forbidden", function()
    random_file("file", 1)
    assert(os.execute(("chmod 000 %s/public/file"):format(directory)))
    local is_root = assert(io.popen "id -u"):read "n" == 0
    start(is_root and "setpriv --reuid=65534 --regid=65534 --clear-groups" or "")
    assert.equal("403", (run "curl -sS -o %D/got -w '%{http_code}' %U/file"))
    stop()
  end)
end)
