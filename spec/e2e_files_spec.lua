-- SPDX-License-Identifier: MIT
-- Files from the real program: sendfile(2) over real sockets, to curl.
local process = require "spec.process"

local LARGE = 50 << 20
local APP = [[
app:static("/", "public")
app:get("/ticks", function() return sse.reply(sse.interval(0.02)) end)
]]

local eventually = process.eventually
local directory, server

-- A command's output, and its exit code. %D and %U are the folder and the server's address.
local function run(line)
  local f = assert(io.popen(("LD_PRELOAD= " .. line:gsub("%%D", directory):gsub("%%U", "http://127.0.0.1:" .. (server and server.port or ""))), "r"))
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

describe("files", function()
  before_each(function()
    server = nil
    directory = process.enter()
    process.shell("mkdir %s/public && chmod 755 %s", directory, directory)
  end)
  after_each(process.leave)

  local function start(options) server = process.serve(APP, options) end

  it("of every size arrive as they are", function()
    start()
    local before
    for _, size in ipairs { 0, 1, 16383, 16384, 16385, 65536, LARGE } do
      local path = random_file("file", size)
      local length, code = run "curl -sS -o %D/got -w '%{size_download}' %U/file"
      assert.equal(0, code)
      assert.equal(size, tonumber(length))
      assert.equal(sum(path), sum(directory .. "/got"))
      before = before or server:descriptors()
    end
    assert.equal(before, server:descriptors())
    server:stop()
  end)

  it("fit together again from ranges", function()
    local path = random_file("file", 1000000)
    start()
    for _, range in ipairs { "0-99999", "100000-899999", "900000-", "-0" } do
      run(("curl -sS -r %s %%U/file >>%%D/got"):format(range))
      if range == "900000-" then assert.equal(sum(path), sum(directory .. "/got")) end
    end
    assert.truthy(process.read_file(directory .. "/got"):find("Range Not Satisfiable\n", 1000000, true))
    local several = run "curl -sS -r 0-99999,500000-599999 %U/file"
    local bytes = process.read_file(path)
    assert.truthy(several:find("\r\n\r\n" .. bytes:sub(1, 100000) .. "\r\n--", 1, true))
    assert.truthy(several:find("\r\n\r\n" .. bytes:sub(500001, 600000) .. "\r\n--", 1, true))
    run "head -c 300000 %D/public/file >%D/part"
    run "curl -sS -C - -o %D/part %U/file" -- goes on where it has stopped
    assert.equal(sum(path), sum(directory .. "/part"))
    server:stop()
  end)

  it("are not sent again to who has them", function()
    random_file("file", 100)
    start()
    run "curl -sS -o %D/got --etag-save %D/etag %U/file"
    assert.equal("304 0", (run "curl -sS -o %D/again --etag-compare %D/etag -w '%{http_code} %{size_download}' %U/file"))
    assert.equal("304 0", (run "curl -sS -o %D/again -z %D/public/file -w '%{http_code} %{size_download}' %U/file"))
    server:stop()
  end)

  it("that become shorter while they are sent are an error to the client", function()
    random_file("file", LARGE)
    start()
    local before = server:descriptors()
    local client = assert(io.popen(("LD_PRELOAD= curl -sS --limit-rate 1M -o %s/got http://127.0.0.1:%s/file 2>&1; echo $?"):format(directory, server.port)))
    eventually("the first bytes", function()
      local f <close> = io.open(directory .. "/got", "rb")
      return f and f:seek "end" > 0
    end)
    assert(os.execute(("truncate -s 100000 %s/public/file"):format(directory)))
    local text = client:read "a"
    client:close()
    local code = tonumber(text:match "(%d+)\n$")
    assert(code == 18 or code == 56, text) -- a part only; connection reset
    server:says "a file has become shorter while it was sent: /file"
    assert.equal(before, server:descriptors())
    server:stop()
  end)

  it("reach a slow reader whole", function()
    local path = random_file("file", 3 << 20)
    start()
    local _, code = run "curl -sS --limit-rate 2M -o %D/got %U/file"
    assert.equal(0, code)
    assert.equal(sum(path), sum(directory .. "/got"))
    server:stop()
  end)

  it("do not starve a stream, a hundred downloads at once", function()
    random_file("file", LARGE // 2)
    start()
    local reader = server:ask "/ticks"
    local urls = {}
    for i = 1, 100 do urls[i] = ("url=http://127.0.0.1:%s/file\noutput=/dev/null"):format(server.port) end
    process.write_file(directory .. "/urls", table.concat(urls, "\n"))
    local done = assert(io.popen(("LD_PRELOAD= curl -s -Z --parallel-immediate --parallel-max 100 -K %s/urls -w '%%{size_download}\\n' 2>%s/progress; echo done >%s/done"):format(
      directory, directory, directory)))
    for _ = 1, 10 do process.read_until(reader, "\n\n") end
    assert.is_nil(io.open(directory .. "/done"), "the ticks have come after the files")
    local sizes = done:read "a"
    done:close()
    assert.equal(100, select(2, sizes:gsub(LARGE // 2 .. "\n", "")))
    reader:close()
    server:stop()
  end)

  it("that the server may not read are forbidden", function()
    random_file("file", 1)
    assert(os.execute(("chmod 000 %s/public/file"):format(directory)))
    local is_root = assert(io.popen "id -u"):read "n" == 0
    start { wrapper = is_root and "setpriv --reuid=65534 --regid=65534 --clear-groups" }
    assert.equal("403", (run "curl -sS -o %D/got -w '%{http_code}' %U/file"))
    server:stop()
  end)
end)
