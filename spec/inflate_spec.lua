-- SPDX-License-Identifier: MIT
-- What is compressed by others, as core.inflate reads it: in pieces, with a bound on what one piece may hold.
local channels = require "spec.channels"
local helper = require "spec.helper"

local HELD_MAX = 4 << 20 -- bytes that one piece may hold

describe("a reader of what is compressed", function()
  local server, path

  local function run(code) return channels.run(server, code) end

  -- What a command makes of its input goes to the file that `read` takes in one piece.
  local function make(command) assert(os.execute(("%s > %s"):format(command, path))) end

  before_each(function()
    server, path = helper.serve(channels.APP), os.tmpname()
    run(([[core = require "spate.core"
      function bytes() local f <close> = io.open(%q, "rb") return f:read "a" end]]):format(path))
  end)

  after_each(function()
    os.remove(path)
    server:close()
  end)

  it("takes it whole and byte by byte", function()
    make "printf 'one two three' | gzip"
    assert.equal("one two three", run "return (core.inflate(core.inflater(), bytes()))")
    assert.equal("one two three", run [[local i, list = core.inflater(), {}
      for c in bytes():gmatch "." do list[#list + 1] = assert(core.inflate(i, c)) end
      return table.concat(list)]])
    assert.equal("", run "return (core.inflate(core.inflater(), ''))")
  end)

  it("takes many times as much as came, in each piece", function()
    make "head -c 3000000 /dev/zero | gzip"
    assert.equal(3000000, run "return #core.inflate(core.inflater(), bytes())")
    assert.equal(3000000, run [[local i, all, n = core.inflater(), bytes(), 0
      for at = 1, #all, 100 do n = n + #assert(core.inflate(i, all:sub(at, at + 99))) end
      return n]])
  end)

  it("takes no more from one piece than its bound, to the byte", function()
    make(("head -c %d /dev/zero | gzip"):format(HELD_MAX))
    assert.equal(HELD_MAX, run "return #core.inflate(core.inflater(), bytes())")
    make(("head -c %d /dev/zero | gzip"):format(HELD_MAX + 1))
    assert.same({ nil, "more than is taken at a time" }, { run "return core.inflate(core.inflater(), bytes())" })
    assert.equal(HELD_MAX + 1, run [[local i, all = core.inflater(), bytes()
      return #core.inflate(i, all:sub(1, 2000)) + #core.inflate(i, all:sub(2001))]])
  end)

  it("says why there is nothing to read on", function()
    make "printf 'one two three' | gzip"
    for change, why in pairs { ["'no gzip'"] = "incorrect header check", ["bytes() .. 'x'"] = "bytes behind the end",
      ["bytes():sub(1, -5) .. 'abcd'"] = "incorrect length check", ["bytes():sub(1, -9) .. 'abcdefgh'"] = "incorrect data check" } do
      assert.same({ nil, why }, { run(("return core.inflate(core.inflater(), %s)"):format(change)) }, change)
    end
    assert.same({ nil, "bytes behind the end" }, { run "local i = core.inflater() core.inflate(i, bytes()) return core.inflate(i, 'x')" })
    assert.equal("", run "local i = core.inflater() core.inflate(i, bytes()) return core.inflate(i, '')")
  end)
end)
