-- SPDX-License-Identifier: MIT
-- Files beside real threads: what is followed while it is rotated, what is read and written by many at once.
local process = require "spec.process"

describe("spate.fs in the program", function()
  local directory, server

  before_each(function() directory = process.enter() end)
  after_each(function()
    server:stop()
    process.leave()
  end)

  local function serve(source, settings)
    server = process.serve(("local fs = require 'spate.fs'\nlocal DIR = %q\n"):format(directory) .. source .. [[

app:get("/stats", function() return spate.stats() end)
]], { settings = settings })
  end

  local function stat(name)
    return math.tointeger((select(2, process.get(server.port, "/stats"))):match('"' .. name .. '":(%d+)'))
  end

  local FOLLOW = [[app:get("/log", function() return sse.reply(fs.tail(DIR .. "/log", { from = 0 }):map(function(l) return l.text end)) end)]]

  it("follows a log through rotations while it is written, each line once and in order", function()
    local LINES, EACH = 3000, 1000
    process.write_file(directory .. "/log", "")
    serve(FOLLOW)
    local clients = {}
    for i = 1, 3 do clients[i] = server:ask "/log" end
    for _, client in ipairs(clients) do assert.equal(200, process.read_head(client)) end
    process.write_file(directory .. "/write.sh", ([[
      for r in 1 2 3; do
        i=1
        while [ $i -le %d ]; do echo "line $r.$i" >> log; i=$((i+1)); done
        [ $r = 3 ] || { mv log log.$r; sleep 1.5; }
      done]]):format(EACH))
    process.shell("cd %s && sh write.sh &", directory)
    for _, client in ipairs(clients) do
      local seen, expected = 0, {}
      for r = 1, 3 do
        for i = 1, EACH do expected[#expected + 1] = ("line %d.%d"):format(r, i) end
      end
      while seen < LINES do
        local text = assert(client:receive "*l"):match "^data: ([^\r]*)"
        if text then
          seen = seen + 1
          assert.equal(expected[seen], text)
        end
      end
      client:close()
    end
    process.eventually("the clients' leaving", function() return stat "files_followed" == 0 end)
  end)

  it("reads, writes and lists for many at once, also for who leaves", function()
    serve [[
app:get("/load/:n[%d]", function(req)
  local path = DIR .. "/f" .. req.params.n % 5
  local text = (req.params.n % 5 .. ""):rep(20000)
  local ok, err, code = fs.write(path, text)
  if not ok then return reply.error(503, code) end
  if assert(fs.read(path)) ~= text or #assert(fs.list(DIR)) == 0 then return reply.error(500) end
  return "fine"
end)]]
    local clients = {}
    for i = 1, 200 do clients[i] = server:ask("/load/" .. i) end
    for i = 1, 200 do
      if i % 3 == 0 then process.reset(clients[i])
      else
        assert.equal(200, process.read_head(clients[i]), i)
        clients[i]:close()
      end
    end
    local names <close> = io.popen(("ls -A %s"):format(process.quote(directory)))
    assert.is_nil(names:read("a"):find(".tmp", 1, true))
  end)

  it("lets go of all with a reload, and with a stop", function()
    process.write_file(directory .. "/log", "one\n")
    serve(FOLLOW .. [[

KEPT = {}
app:get("/keep", function()
  for i = 1, 20 do KEPT[i] = fs.tail(DIR .. "/log") end
  KEPT[21] = fs.watch(DIR)
  return "x"
end)]], "{ reload = { max_age = 0.1 } }")
    local client = server:ask "/log"
    process.read_until(client, "data: one")
    assert.same({ 200, "x" }, { server:get "/keep" })
    assert.equal(22, stat "files_followed")
    server:kill "HUP"
    process.read_until(client, "retry:")
    process.eventually("the end of the old state", function() return stat "files_followed" == 0 end)
    assert.same({ 200, "x" }, { server:get "/keep" })
    client:close()
  end)
end)
