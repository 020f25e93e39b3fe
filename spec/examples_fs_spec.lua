-- SPDX-License-Identifier: MIT
-- The example of a log that is followed as it stands.
local helper = require "spec.helper"
local lfs = require "lfs"

describe("examples/logtail.lua", function()
  local server, folder

  local function append(text)
    local f <close> = assert(io.open(folder .. "/web.log", "ab"))
    f:write(text)
  end

  -- With its folder in place of the environment's.
  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(lfs.mkdir(folder))
    local f <close> = assert(io.open "examples/logtail.lua")
    local source = f:read("a"):gsub("^%-%-[^\n]*\n", ""):gsub('spate%.env%("LOG_DIR", "[^"]*"%)', ("%q"):format(folder))
    server = helper.serve((source:gsub("return app%s*$", "")))
    for i = 1, 12 do append(("line %d\n"):format(i)) end
  end)

  after_each(function()
    server:close()
    os.execute("rm -r '" .. folder .. "'")
  end)

  local function has(res, ...)
    local expected = { ... }
    server:wait(function() return #res:data() >= #expected end)
    assert.same(expected, res:data())
  end

  it("sends the last ten lines, and those that come", function()
    local res = server:get "/logs/web"
    has(res, "line 3", "line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 10", "line 11", "line 12")
    append "line 13\n"
    server:wait(function() return #res:data() == 11 end)
    assert.same({ event = "line", id = "95", data = "line 13" }, res:events()[11])
    res:close()
  end)

  it("goes on behind the last line that its client saw", function()
    local res = server:get("/logs/web", { headers = { ["Last-Event-ID"] = "79" } })
    has(res, "line 12")
    res:close()
  end)

  it("sends those lines that hold a text", function()
    local res = server:get "/logs/web?grep=1"
    has(res, "line 10", "line 11", "line 12")
    append "two\none 1\n"
    has(res, "line 10", "line 11", "line 12", "one 1")
    res:close()
  end)

  it("has 404 for what is not there, and no way out of its folder", function()
    for _, target in ipairs { "/logs/none", "/logs/a.b" } do
      local res = server:get(target)
      server:wait(function() return res:has_ended() end)
      assert.equal(404, res:status(), target)
    end
  end)
end)
