-- SPDX-License-Identifier: MIT
-- Who asks a server that runs: where its socket is, whom it trusts, and what it waits for.
local helper = require "spec.helper"
local harness = helper.harness

describe("a control socket", function()
  local folder, before, own
  local function shell(command) assert(os.execute(command)) end
  local function exists(path) return (os.execute(("test -e %s"):format(path))) end

  setup(function() before = os.getenv "XDG_RUNTIME_DIR" end)
  before_each(function()
    folder = os.tmpname() .. ".d"
    shell("mkdir -m 700 " .. folder)
    harness.setenv("XDG_RUNTIME_DIR", folder)
    own = tonumber(assert(io.open "/proc/self/stat"):read "a":match "^%d+")
  end)
  after_each(function()
    harness.setenv("XDG_RUNTIME_DIR", before)
    shell("rm -rf " .. folder)
  end)

  describe("has its path", function()
    it("in the user's own folder, which is made where it is to be", function()
      assert.is_nil(harness.control_path(7))
      assert.equal(folder .. "/spate/7", harness.control_path(7, true))
      assert.equal(folder .. "/spate/8", harness.control_path(8))
      assert.equal("700", io.popen("stat -c %a " .. folder .. "/spate"):read "l")
    end)

    it("not where others may write, and not where it is none", function()
      for _, prepare in ipairs { "mkdir -m 720 %s", "mkdir -m 702 %s", "touch %s", "mkdir -m 700 %s; chown 65534 %s", "ln -s /tmp %s" } do
        local path = folder .. "/spate"
        shell("rm -rf " .. path .. ";" .. prepare:gsub("%%s", path))
        assert.is_nil(harness.control_path(7, true), prepare)
      end
      for mode = 700, 755, 55 do
        shell(("rm -rf %s/spate; mkdir -m %d %s/spate"):format(folder, mode, folder))
        assert.is_string(harness.control_path(7), mode)
      end
    end)

    it("not where that is too long", function()
      for len = 70, 90 do
        local long = folder .. "/" .. ("x"):rep(len - #folder - 1)
        shell("mkdir -m 700 " .. long)
        harness.setenv("XDG_RUNTIME_DIR", long)
        local path = harness.control_path(7, true)
        if len + #"/spate" <= 83 then assert.equal(long .. "/spate/7", path) else assert.is_nil(path, len) end
      end
    end)

    it("elsewhere where the environment names no folder", function()
      local user = io.popen("id -u"):read "l"
      local wanted = user == "0" and "/run/spate/7" or ("/tmp/spate-%s/7"):format(user)
      for _, name in ipairs { "", "relative" } do
        harness.setenv("XDG_RUNTIME_DIR", name ~= "" and name or nil)
        assert.equal(wanted, harness.control_path(7, true))
      end
      if user ~= "0" then return end
      shell "rm -rf /tmp/spate-65533"
      assert.is_nil(harness.control_path(7, false, 65533))
      assert.equal("/tmp/spate-65533/7", harness.control_path(7, true, 65533))
      shell "rmdir /tmp/spate-65533; mkdir -m 700 /tmp/spate-65533"
      assert.is_nil(harness.control_path(7, true, 65533)) -- root's, who is another
      shell "rmdir /tmp/spate-65533"
    end)
  end)

  it("makes no folder for who only looks, and closes nothing of others", function()
    collectgarbage()
    local descriptors = harness.descriptors()
    assert.same({}, harness.control_list())
    assert.is_nil((harness.control_ask(7, "status", 10)))
    assert.is_falsy(exists(folder .. "/spate"))
    assert.equal(descriptors, harness.descriptors())
  end)

  it("is listed by whatever others stand beside it", function()
    harness.control_path(own, true)
    local living, pid = {}, own
    while pid ~= "0" do -- who has begun this process, and who has begun those
      living[#living + 1] = pid
      pid = assert(io.open(("/proc/%s/stat"):format(pid))):read("a"):match "%) %S (%d+)"
    end
    for i, name in ipairs(living) do -- and as many whom nobody is
      shell(("touch %s/spate/%d %s/spate/%s"):format(folder, 5000000 + i, folder, name))
    end
    assert.equal(#living, #harness.control_list())
  end)

  it("is listed where its process is there, and taken away where it is not", function()
    assert.same({}, harness.control_list())
    harness.control_path(own, true)
    local shell_of = io.popen "echo $$"
    local gone = tonumber(shell_of:read "l")
    shell_of:close()
    local child = io.popen "env --default-signal=HUP sleep 100 > /dev/null & echo $!"
    local there = tonumber(child:read "l")
    child:close()
    for _, name in ipairs { own, gone, there, "0", "x", "-5" } do shell(("touch -- %s/spate/%s"):format(folder, name)) end
    local list, wanted = harness.control_list(), { own, there }
    table.sort(list)
    table.sort(wanted)
    assert.same(wanted, list)
    assert.is_true(os.execute("kill " .. there .. " 2> /dev/null")) -- it was asked for nothing
    assert.is_falsy(exists(("%s/spate/%d"):format(folder, gone)))
    assert.is_truthy(exists(("%s/spate/%d"):format(folder, own)))
    assert.is_truthy(exists(folder .. "/spate/x"))
    shell(("cd %s/spate && touch $(seq -f 1x%%g 1100)"):format(folder))
    assert.equal(1000, #harness.control_list())
    collectgarbage()
    local descriptors = harness.descriptors()
    harness.control_list()
    assert.equal(descriptors, harness.descriptors())
  end)

  describe("is asked", function()
    local path
    before_each(function() path = harness.control_path(7, true) end)

    it("and gives all of its answer, behind what is there", function()
      collectgarbage()
      local descriptors = harness.descriptors()
      local answerer = harness.answerer(path, 7, "fine\n")
      assert.equal("it says: fine\n", harness.control_ask(7, "status\n", 10, "it says: "))
      assert.equal("status\n", answerer:got())
      answerer = harness.answerer(path, 1, ("0123456789"):rep(1000), 5)
      assert.equal(("0123456789"):rep(5000), harness.control_ask(7, "x", 10))
      answerer:got()
      answerer = harness.answerer(path, 6, "y")
      assert.equal("y", harness.control_ask(7, "status", 10))
      answerer:got()
      assert.equal(descriptors, harness.descriptors())
    end)

    it("in vain where nobody is there, or nothing is said", function()
      collectgarbage()
      local descriptors = harness.descriptors()
      assert.same({ nil, "" }, { harness.control_ask(7, "status", 10) })
      assert.same({ nil, "" }, { harness.control_ask(8, "status", 10) })
      local answerer = harness.answerer(path, 6, "x", 0)
      assert.same({ nil, "before" }, { harness.control_ask(7, "status", 10, "before") })
      answerer:got()
      harness.limit_descriptors(0)
      local ok = harness.control_ask(7, "status", 10)
      harness.limit_descriptors()
      assert.is_nil(ok)
      harness.setenv("XDG_RUNTIME_DIR", "/nowhere")
      assert.same({ nil, "" }, { harness.control_ask(7, "status", 10) })
      assert.equal(descriptors, harness.descriptors())
    end)

    it("for so long only as it is told", function()
      local began = harness.seconds()
      local answerer = harness.answerer(path, 6, "a part", 1, true)
      assert.same({ nil, "a part" }, { harness.control_ask(7, "status", 0.2) })
      local took = harness.seconds() - began
      answerer:got()
      assert.is_true(took >= 0.19)
      answerer = harness.answerer(path, 6, "a part", 1, true)
      assert.same({ nil, "" }, { harness.control_ask(7, ("x"):rep(1 << 22), 0.05) }) -- more than there is room for
      answerer:got()
    end)
  end)
end)
