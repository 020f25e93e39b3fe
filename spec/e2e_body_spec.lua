-- SPDX-License-Identifier: MIT
-- Uploads and downloads through the real program by curl: what arrives, and what it costs.
local process = require "spec.process"

local MB = 1 << 20
local IS_SANITIZED = os.getenv "ASAN_OPTIONS" ~= nil
local GROWTH_MAX = (IS_SANITIZED and 60 or 10) * MB -- a sanitizer keeps what is freed for a while

local APP = [[
app:put("/count", function(req)
  local bytes, sum = 0, 0
  for piece in req:chunks(math.huge) do bytes, sum = bytes + #piece, (sum + piece:byte() * #piece) % 1000003 end
  return { bytes = bytes, sum = sum }
end)
app:post("/form", function(req)
  local fields, files = req:form()
  if not fields then return reply.error(400, files) end
  local ok, err = files.file:save(fields.path)
  return ok and ("%s %s %d\n"):format(files.file.filename, files.file.type, files.file.size) or reply.error(500, err)
end)
app:get("/down/:mb[%d]", function(req)
  return reply.stream(function(write)
    local megabyte = ("0123456789abcdef"):rep(65536)
    for _ = 1, tonumber(req.params.mb) do write(megabyte) end
  end)
end)
app:get("/", function() return "here" end)
]]

local read, write = process.read_file, process.write_file

describe("bodies end to end", function()
  local dir, server, url

  setup(function()
    dir = process.enter()
    local environment = "TMPDIR=" .. dir .. (IS_SANITIZED and " ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=1" or "")
    server = process.serve(APP, { environment = environment })
    url = server.addresses[1]
  end)

  teardown(function()
    server:stop()
    process.leave()
  end)

  -- Resident memory of the server in bytes: the highest so far, and now.
  local function resident()
    local status = read(("/proc/%d/status"):format(server.pid))
    return tonumber(status:match "VmHWM:%s*(%d+)") * 1024, tonumber(status:match "VmRSS:%s*(%d+)") * 1024
  end

  local function curl(arguments)
    local p = assert(io.popen(("env -u LD_PRELOAD curl -sS --max-time 60 %s 2>&1"):format(arguments)))
    local out = p:read "a"
    assert.is_true((p:close()), out)
    return out
  end

  -- What fn adds to the highest memory of a server that has run it once before on a small scale.
  local function growth(fn)
    local _, before = resident()
    fn()
    return resident() - before
  end

  it("takes 100 MB in chunks, and keeps none of them", function()
    local function upload(mb)
      return curl(("-X PUT -T - -H 'Transfer-Encoding: chunked' %s/count < %s/%d"):format(url, dir, mb))
    end
    for _, mb in ipairs { 1, 100 } do write(("%s/%d"):format(dir, mb), ("x"):rep(mb * MB)) end
    assert.matches('"bytes":1048576,', upload(1))
    local grown = growth(function() assert.matches('"bytes":104857600,', upload(100)) end)
    os.remove(dir .. "/100")
    assert.is_true(grown < GROWTH_MAX, ("grown by %d KiB"):format(grown // 1024))
  end)

  it("takes a file of 20 MB in a form of curl, and saves it", function()
    local text = {}
    for i = 1, 20 do text[i] = string.char(i):rep(MB - 1) .. "\n" end
    text = table.concat(text)
    write(dir .. "/big.bin", text)
    local function post(name)
      return curl(("-F 'path=%s/saved' -F 'file=@%s/%s;type=application/x-test' %s/form"):format(dir, dir, name, url))
    end
    write(dir .. "/small.bin", "small\r\n--x")
    assert.equal("small.bin application/x-test 10\n", post "small.bin")
    assert.equal("small\r\n--x", read(dir .. "/saved"))
    local grown = growth(function() assert.equal(("big.bin application/x-test %d\n"):format(#text), post "big.bin") end)
    assert.is_true(read(dir .. "/saved") == text)
    assert.is_true(grown < GROWTH_MAX, ("grown by %d KiB"):format(grown // 1024))
  end)

  it("sends 100 MB, and queues no more than its limit", function()
    curl(("-o /dev/null %s/down/3"):format(url))
    local grown = growth(function()
      assert.equal(tostring(100 * MB), curl(("-o /dev/null -w '%%{size_download}' --limit-rate 200M %s/down/100"):format(url)))
    end)
    assert.is_true(grown < GROWTH_MAX, ("grown by %d KiB"):format(grown // 1024))
  end)

  it("refuses what is too large before it is sent, and goes on", function()
    write(dir .. "/2mb", ("x"):rep(2 * MB))
    local out = curl(("-o /dev/null -w '%%{http_code} %%{size_upload}' -H 'Expect: 100-continue' -F 'a=<%s/2mb' %s/form"):format(dir, url))
    assert.equal("413", out:sub(1, 3))
    assert.equal("here", curl(url .. "/"))
  end)

  it("leaves no file and no descriptor behind", function()
    process.eventually("its files to be closed", function()
      local list <close> = assert(io.popen(("ls -l /proc/%d/fd"):format(server.pid)))
      return not list:read("a"):find("(deleted)", 1, true)
    end)
    local names = io.popen("ls " .. dir):read "a"
    assert.equal("1\n2mb\napp.lua\nbig.bin\nerr1\nout1\nsaved\nsmall.bin\nspate\n", names)
  end)
end)
