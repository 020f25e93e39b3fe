-- SPDX-License-Identifier: MIT
-- Patterns of routes: what a set holds, which pattern is none and why, how far the limits reach.
local helper = require "spec.helper"

-- Where classes and ranges begin and end, and what stands beside that; a dot alone is no segment of a path.
local BYTES = { 1, 8, 9, 13, 14, 31, 32, 33, 37, 42, 43, 44, 45, 47, 48, 57, 58, 64, 65, 67, 70, 71, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 102, 103, 110, 122, 123,
  126, 127, 128, 255 }

local function escaped(byte) return ("%%%02X"):format(byte) end

describe("a set", function()
  -- Routes /1/:v[set], /2/:v[set] and so on: whether they take a byte as Lua's own [set] does.
  local function holds_what_lua_says(sets)
    local lines = {}
    for i, set in ipairs(sets) do lines[i] = ('app:get("/%d/:v[%s]", function(req) return req.params.v end)'):format(i, set:gsub("[\\\"]", "\\%0")) end
    local server = helper.serve(table.concat(lines, "\n"))
    for i, set in ipairs(sets) do
      for _, byte in ipairs(BYTES) do
        local char = string.char(byte)
        local res = server:get(("/%d/%s"):format(i, escaped(byte)))
        local message = ("[%s] and byte %d"):format(set, byte)
        assert.equal(char:find("^[" .. set .. "]$") and 200 or 404, res:status(), message)
        if res:status() == 200 then assert.equal(char, (res:body()), message) end
        res:close()
      end
    end
    server:close()
  end

  it("knows Lua's classes, and what is none of one", function()
    local sets = {}
    for class in ("acdglpsuwxz"):gmatch "." do
      sets[#sets + 1] = "%" .. class
      sets[#sets + 1] = "%" .. class:upper()
    end
    holds_what_lua_says(sets)
  end)

  it("reads letters, ranges, escapes and brackets as Lua's does", function()
    holds_what_lua_says { "a", "ab", "a-c", "ac-", "-a", "a-cA-C", "0-9a-f", "]", "]a", "^]", "^]a", "^a", "^a-c", "^%a", "^^", "a^", "%]", "%%", "%-", "a%-c", "+--", "+-%]", "!-%]",
      "%a-c", "a-%d", "c-c", "b%a", "%^a", ",-.", "-", "--", "---", "!-~", "%.%-", "%B", "%b", "%E", "%_", "\x80-\xbf", "\xc0-\xff", "\xe4", "0", "A" }
  end)
end)

local function why(pattern)
  local err = helper.load_error(("app:get(%q, function() end)"):format(pattern))
  local reason = err:match '": ([^\n]*)'
  return assert(reason, err)
end

describe("a pattern that is none", function()
  it("is told why", function()
    for pattern, reason in pairs {
      ["x"] = "a path begins with '/'", [""] = "a path begins with '/'", ["/:"] = "a parameter lacks its name", ["/*"] = "a parameter lacks its name",
      ["/:[%d]"] = "a parameter lacks its name", ["/:1a"] = 'the parameter name "1a" is not a Lua identifier', ["/:a-b"] = 'the parameter name "a-b" is not a Lua identifier',
      ["/:end"] = 'the parameter name "end" is a reserved word of Lua', ["/*while"] = 'the parameter name "while" is a reserved word of Lua',
      ["/a//b"] = "an empty segment may only be the last", ["//"] = "an empty segment may only be the last", ["/*rest/x"] = "*rest must be the last segment",
      ["/*rest/"] = "*rest must be the last segment", ["/:id["] = "the set lacks its ']'", ["/:id[]"] = "the set lacks its ']'", ["/:id[^]"] = "the set lacks its ']'",
      ["/:id[a"] = "the set lacks its ']'", ["/:id[%]"] = "the set lacks its ']'", ["/:id[%"] = "the set lacks its ']'", ["/:id[a%]"] = "the set lacks its ']'",
      ["/:id[c-a]"] = "the set has no character", ["/:id[^%a%A]"] = "the set has no character", ["/:id[^\0-\xff]"] = "the set has no character",
      ["/:id[%d]x"] = "nothing may stand between a set and the next '/'", ["/:id[%d][%d]"] = "nothing may stand between a set and the next '/'",
      ["/:a/:a"] = 'two parameters are named "a"', ["/x/:a/y/:b/:a[x]"] = 'two parameters are named "a"', ["/:a[%d]/*a"] = 'two parameters are named "a"', ["/.."] = 'no path has a segment with a NUL, or "." or ".."',
      ["/a/./b"] = 'no path has a segment with a NUL, or "." or ".."', ["/a\0"] = 'no path has a segment with a NUL, or "." or ".."',
    } do assert.equal(reason, why(pattern), pattern) end
  end)

  it("has a parameter named like any word of Lua", function()
    for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then true until while"):gmatch "%a+" do
      assert.equal(('the parameter name "%s" is a reserved word of Lua'):format(word), why("/:" .. word))
    end
  end)

  it("is quoted, as far as it can be read", function()
    local function quoted(pattern) return helper.load_error(("app:get(%q, function() end)"):format(pattern)):match '("[^\n]*": )an empty' end
    local long = "//" .. ("x"):rep(118)
    assert.equal(('"%s": '):format(long), quoted(long))
    assert.equal(('"%s...": '):format(long), quoted(long .. "y"))
    local name = ("n"):rep(40)
    assert.equal(('the parameter name "%s" is not a Lua identifier'):format(name), why("/:" .. name .. "-"))
    assert.equal(("*%s must be the last segment"):format(name), why("/*" .. name .. "n/x"))
  end)
end)

describe("a pattern", function()
  it("names its parameters as Lua names variables", function()
    local server = helper.serve [[
      app:get("/x/:_", function(req) return req.params._ end)
      app:get("/y/:aZ_09", function(req) return req.params.aZ_09 end)
      app:get("/z/:End/:ends", function(req) return req.params.End .. req.params.ends end)
    ]]
    assert.equal("1", (server:get("/x/1"):body()))
    assert.equal("2", (server:get("/y/2"):body()))
    assert.equal("34", (server:get("/z/3/4"):body()))
    server:close()
  end)

  it("has as many segments and parameters as a limit says, and none more", function()
    local function repeated(segment, n)
      local list = {}
      for i = 1, n do list[i] = segment:format(i) end
      return table.concat(list)
    end
    local most, parameters = 1, 1
    while pcall(helper.load_error, ("app:get(%q, function() end)"):format(repeated("/s", most + 1))) == false do most = most + 1 end
    while pcall(helper.load_error, ("app:get(%q, function() end)"):format(repeated("/:p%d", parameters + 1))) == false do parameters = parameters + 1 end
    assert.equal(("more than %d segments"):format(most), why(repeated("/s", most + 1)))
    assert.equal(("more than %d parameters"):format(parameters), why(repeated("/:p%d", parameters + 1)))
    collectgarbage() -- what did not load
    collectgarbage()
    local server = helper.serve(([[
      app:get(%q, function() return "segments" end)
      app:get(%q, function(req) return req.params.p1 .. req.params.p%d end)
      app:get("/deep/*rest", function(req) return req.params.rest end)
    ]]):format(repeated("/s", most), repeated("/:p%d", parameters), parameters))
    assert.equal("segments", (server:get(repeated("/s", most)):body()))
    assert.equal(404, server:get(repeated("/s", most + 1)):status())
    assert.equal("v1v" .. parameters, (server:get(repeated("/v%d", parameters)):body()))
    assert.equal(repeated("d/", most * 2), (server:get("/deep/" .. repeated("d/", most * 2)):body()))
    server:close()
  end)

  it("of many literals finds each, and no other", function()
    local lines, names = {}, { "a", "b", "ab", "ba", "aa", "abc", "abd", "\xff", "\x01", "zz", "" }
    for i, name in ipairs(names) do lines[i] = ('app:get(%q, function() return "%d" end)'):format("/n/" .. name, i) end
    local server = helper.serve(table.concat(lines, "\n"))
    for i, name in ipairs(names) do assert.equal(tostring(i), (server:get("/n/" .. name:gsub("[^%w]", function(c) return escaped(c:byte()) end)):body()), name) end
    for _, name in ipairs { "c", "bb", "abb", "abe", "abcd", "%FE", "z" } do assert.equal(404, server:get("/n/" .. name):status(), name) end
    server:close()
  end)
end)

describe("patterns with sets", function()
  it("share their methods where the sets are the same, and are asked in the order of adding", function()
    local server = helper.serve [[
      app:get("/:a[0-9]", function(req) return "digit " .. req.params.a end)
      app:get("/:b[a-c]", function(req) return "letter " .. req.params.b end)
      app:get("/:c[a-z0-9]", function(req) return "other " .. req.params.c end)
      app:post("/:d[%d]", function(req) return "posted " .. req.params.d end)
      app:put("/:e[abc]", function(req) return "put " .. req.params.e end)
      app:get("/:f[a-c]/:g[%d]", function(req) return "both " .. req.params.f .. req.params.g end)
    ]]
    for target, body in pairs { ["/12"] = "digit 12", ["/ab"] = "letter ab", ["/az"] = "other az", ["/1a"] = "other 1a", ["/ab/34"] = "both ab34" } do
      assert.equal(body, (server:get(target):body()), target)
    end
    assert.equal("posted 5", (server:post("/5"):body()))
    assert.equal("put cab", (server:put("/cab"):body()))
    assert.equal("GET, HEAD, POST, OPTIONS", server:delete("/5"):header "Allow")
    assert.equal("GET, HEAD, PUT, OPTIONS", server:delete("/abc"):header "Allow")
    assert.equal(404, server:get("/a_"):status())
    assert.equal(404, server:get("/"):status())
    server:close()
  end)
end)

describe("two patterns of one shape", function()
  it("are one too many for a method, whatever their parameters are called", function()
    for first, second in pairs { ["/"] = "/", ["/a/b"] = "/a/b", ["/:a"] = "/:b", ["/x/:a/y"] = "/x/:b/y", ["/*a"] = "/*b", ["/:a[%d]"] = "/:b[%d]", ["/:a[0-9]"] = "/:b[%d]", ["/:a[%d]/x"] = "/:b[^%D]/x" } do
      for _, before in ipairs { "", "app:get('/:other[xyz]', function() end)\n", "app:get('/:other[%a]', function() end)\napp:get('/:more[+-]', function() end)\n" } do
        local err = helper.load_error(("%sapp:get(%q, function() end)\napp:post(%q, function() end)\napp:get(%q, function() end)"):format(before, first, second, second))
        assert.truthy(err:find(("GET %s is defined already"):format(second), 1, true), err)
      end
    end
    for first, second in pairs { ["/a"] = "/a/", ["/:a"] = "/:a[%d]", ["/:b"] = "/*b", ["/:a[%d]"] = "/:b[%a]", ["/:a/x"] = "/:b/y", ["/a/b"] = "/a/:b" } do
      helper.serve(("app:get(%q, function() end)\napp:get(%q, function() end)"):format(first, second)):close()
    end
  end)
end)

describe("a path that is none", function()
  it("is refused, whatever routes there are", function()
    local server = helper.serve [[ app:all("/*path", function() return "x" end) app:all("/", function() return "x" end) ]]
    for target, status in pairs { ["/%zz"] = 400, ["/%"] = 400, ["/a/%4"] = 400, ["/%00"] = 400, ["/a%00b"] = 400, ["/.."] = 400, ["/."] = 400, ["/a/../b"] = 400, ["/a/.."] = 400, ["/%2e%2E"] = 400, ["/..%2fx"] = 400, ["/a%2f./b"] = 400,
      ["/"] = 200, ["/..."] = 200, ["/.a"] = 200, ["/a."] = 200, ["/..a/b"] = 200, ["/%25"] = 200, ["/%41/%ff"] = 200, ["//"] = 200, ["/a//b/"] = 200 } do
      assert.equal(status, server:get(target):status(), target)
    end
    server:close()
  end)
end)

describe("the whole server", function()
  it("is asked about by OPTIONS *, whatever routes there are", function()
    local server = helper.serve [[ app:post("/", function() return "x" end) app:get("/a", function() return "x" end) ]]
    local whole = server:options "*"
    assert.equal(204, whole:status())
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", whole:header "Allow")
    server:close()
  end)
end)
