-- SPDX-License-Identifier: MIT
-- spate upgrade of a server whose channels are in a file: the old process leaves that to the new one, and what was told to be
-- kept is kept, whoever is killed.
local process = require "spec.process"

describe("an upgrade of a server with a store in a file", function()
  local directory, server, heirs

  before_each(function() directory, heirs = process.enter(), {} end)
  after_each(function()
    for _, pid in ipairs(heirs) do os.execute(("kill -9 %d 2>/dev/null"):format(pid)) end
    process.leave()
  end)

  local APP = [[
local numbers = sse.channel("numbers", { history = 100000 })
local kept = spate.shared("kept", { store = true })
app:get("/pid", function() local f <close> = io.open "/proc/self/stat" return f:read "l" end)
app:get("/publish/:n", function(req)
  local id, why = numbers:publish(req.params.n)
  if not id then return reply.error(503, why) end
  return id
end)
app:get("/all", function() return sse.reply(numbers:subscribe { replay = "all" }) end)
app:get("/count", function() return tostring(kept:incr "count") end)
app:on_start(function() %s end)]]

  local function save(starts) process.write_file(directory .. "/app.lua", process.PRELUDE .. APP:format(starts) .. "\nreturn app\n") end

  local function serve()
    save ""
    return process.serve(directory .. "/app.lua", { arguments = { "-l", "127.0.0.1:0", "--store", "sqlite:" .. directory .. "/store.db" } })
  end

  local function get(target) return process.get(server.port, target) end

  local function pid()
    local n = tonumber((select(2, get "/pid")):match "^%d+")
    heirs[#heirs + 1] = n
    return n
  end

  local acknowledged, refused
  local function publish(n)
    local ok, status = pcall(get, "/publish/" .. n)
    if ok and status == 200 then acknowledged[#acknowledged + 1] = n else refused = refused + 1 end
  end

  -- Publishes until so many more are acknowledged, and until `is_over`.
  local function publish_more(count, is_over)
    local last = #acknowledged + count
    while #acknowledged < last or is_over and not is_over() do
      publish(#acknowledged + refused + 1)
      assert(refused < 2000, "nothing can be published: " .. server:stderr())
    end
  end

  local function upgrade() return process.spawn { "upgrade", directory .. "/app.lua" } end

  -- All that was acknowledged is there, in its order.
  local function expect_all()
    local client = server:ask "/all"
    local text, found = process.read_until(client, "data: " .. acknowledged[#acknowledged] .. "\n"), {}
    client:close()
    local at = 0
    for n in text:gmatch "data: (%d+)\n" do
      if tonumber(n) == acknowledged[at + 1] then at = at + 1 end
      assert.is_nil(found[n], n .. " is there twice")
      found[n] = true
    end
    assert.equal(#acknowledged, at)
  end

  it("loses nothing of a thousand events that were acknowledged, whoever is killed meanwhile", function()
    acknowledged, refused = {}, 0
    server = serve()
    publish_more(100)
    local first = pid()
    for round = 1, 2 do
      local started = upgrade()
      publish_more(100, function() return started:has_ended() end)
      assert.equal(0, started:wait(), started:stderr())
      process.eventually("another process", function() return pid() ~= first end)
      first = pid()
      assert.equal(tostring(round), (select(2, get "/count")))
    end
    assert.is_true(refused < 50, refused .. " were refused")
    save "error 'not today'"
    local failing = upgrade()
    publish_more(100, function() return failing:has_ended() end)
    assert.equal(1, failing:wait())
    save(("local f <close> = io.open('%s/new', 'w') f:write(io.open '/proc/self/stat':read 'l') f:close() sse.sleep(1000)"):format(directory))
    local killed, new = upgrade(), nil
    process.eventually("a new process", function()
      local f <close> = io.open(directory .. "/new")
      new = f and f:read "n"
      return new
    end)
    os.execute("kill -9 " .. new)
    publish_more(100, function() return killed:has_ended() end)
    assert.equal(1, killed:wait())
    assert.equal(first, pid())
    save ""
    local last = upgrade()
    publish_more(1000 - #acknowledged - 100, function() return last:has_ended() end)
    assert.equal(0, last:wait(), last:stderr())
    process.eventually("another process", function() return pid() ~= first end)
    publish_more(100)
    expect_all()
    os.execute("kill -9 " .. pid())
    server = serve()
    assert.is_true(#acknowledged >= 1000)
    expect_all()
    assert.equal("3", (select(2, get "/count")))
  end)

  it("lets what is published at the old process wait where the new one does not come to serve", function()
    acknowledged, refused = {}, 0
    server = serve()
    save "sse.sleep(0.7) error 'too late'"
    local failing = upgrade()
    publish_more(20, function() return failing:has_ended() end)
    assert.equal(1, failing:wait())
    assert.equal(0, refused)
    publish_more(20)
    expect_all()
  end)
end)
