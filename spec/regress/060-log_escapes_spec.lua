-- SPDX-License-Identifier: MIT
-- What scripts and clients say stays within its field of its record: names of fields, print, the control characters
-- U+0080 to U+009F (some terminals act on them), bytes that are no UTF-8, errors with a NUL in them.
local helper = require "spec.helper"

local APP = [[
app:get("/field", function(req) spate.log.info("m", { [req.query.name] = 1 }) return "" end)
app:get("/say", function(req) spate.log.info(req.query.text, { text = req.query.text }) return "" end)
app:get("/print", function(req) print(req.query.text, 1, nil) return "" end)
app:get("/nul", function() error "before\0after" end)
app:get("/raise", function() return sse.reply(function(send) send { event = "a\0b\n" } end) end)
app:get("/close", function(req) req:on_close(function() error "one\0two" end) return "" end)
]]

local server

local function serve(format, source)
  server = helper.serve(source or APP, { epoch = 1767225600, settings = { log = { format = format, access = false } } })
end

local function lines()
  local list = {}
  for line in server:log():gmatch "([^\n]*)\n" do list[#list + 1] = line end
  return list
end

for _, format in ipairs { "text", "pretty" } do
  describe("the log as " .. format, function()
    before_each(function() serve(format) end)
    after_each(function() server:close() end)

    it("escapes the names of fields", function()
      server:get "/field?name=a%1b%5b2J%0a2026-01-01T00:00:00.000Z%20info%20forged"
      local list = lines()
      assert.equal(1, #list)
      assert.truthy(list[1]:find([["a\x1b[2J\n2026-01-01T00:00:00.000Z info forged"=1]], 1, true), list[1])
    end)

    it("quotes a name that could be taken for a value", function()
      server:get "/field?name=a%3d1%20b"
      assert.truthy(lines()[1]:find([[ "a=1 b"=1]], 1, true))
    end)

    it("escapes C1 controls and what is no UTF-8", function()
      for _, case in ipairs { { "%c2%9b31m", [[\xc2\x9b31m]] }, { "%9b31m", [[\x9b31m]] }, { "%c2%80%c2%9f%c2%a0", "\\xc2\\x80\\xc2\\x9f\u{a0}" }, { "%ff%c3", [[\xff\xc3]] } } do
        server:get("/say?text=" .. case[1])
        local line = table.concat(lines(), "\n")
        assert.truthy(line:find(case[2] .. " ", 1, true), line)
        assert.truthy(line:find(case[2] .. '"', 1, true) or line:find("text=" .. case[2], 1, true), line)
      end
    end)

    it("has what a script prints as a line of its own", function()
      server:get "/print?text=hello%0a2026-01-01T00:00:00.000Z%20info%20%20forged%1b"
      local list = lines()
      assert.truthy(list[1]:find("info +hello$"), list[1])
      assert.matches("^%s+2026%-01%-01T00:00:00.000Z info  forged\\x1b\t1\tnil$", list[2])
      assert.equal(2, #list)
    end)
  end)
end

describe("the log as JSON", function()
  before_each(function() serve "json" end)
  after_each(function() server:close() end)

  it("has what a script prints in a record", function()
    server:get "/print?text=%7b%22level%22:%22error%22%7d%0a%7b%7d"
    local list = lines()
    assert.equal(1, #list)
    local record = helper.json.decode(list[1])
    assert.same({ "info", '{"level":"error"}\n{}\t1\tnil' }, { record.level, record.msg })
  end)

  it("keeps C1 controls as what they are, escaped", function()
    server:get "/say?text=a%c2%9bb"
    local line = lines()[1]
    assert.truthy(line:find([["a\u009bb"]], 1, true), line)
  end)
end)

it("an error is logged beyond a NUL", function()
  serve "text"
  server:get "/nul"
  assert.truthy(server:log():find([[before\x00after]], 1, true))
  server:get "/raise"
  assert.truthy(server:log():find("event", 1, true))
  server:get "/close"
  assert.truthy(server:log():find([[one\x00two]], 1, true))
  server:close()
end)

it("an error of loading is told beyond a NUL, and its controls are escaped", function()
  local err = helper.load_error('error "before\\0after\\27[2J"\n')
  assert.truthy(err:find([[before\x00after\x1b[2J]], 1, true), err)
end)

it("an error of the library's has the whole of a value, with its NUL", function()
  serve("text", 'local long = ("x"):rep(600) .. "\\0end"\napp:get("/", function() return sse.reply(sse.from(long)) end)\n')
  local res = server:get "/"
  assert.equal(500, res:status())
  server:close()
end)
