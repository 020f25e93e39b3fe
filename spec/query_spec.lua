-- SPDX-License-Identifier: MIT
-- What is in a query and in a Cookie field, decoded or as it came.
local helper = require "spec.helper"

local server

local function serve(source) server = helper.serve(source) end

local function get(target, options) return server:get(target, options) end

local function body(target) return (get(target):body()) end

after_each(function() server:close() end)

describe("a query", function()
  it("decodes names and values; the first of a name wins, query_all has all", function()
    serve [[
      app:get("/x", function(req)
        return { q = req.query.q, ["a b"] = req.query["a b"], empty = req.query.empty, none = tostring(req.query.none), tags = req:query_all "tag", no = json.array(req:query_all "no") }
      end)
    ]]
    assert.same({ q = "a b+c", ["a b"] = "ä", empty = "", none = "nil", tags = { "1", "2", "", "3 4" }, no = {} },
      get("/x?q=a+b%2bc&q=second&a%20b=%C3%A4&empty&tag=1&%74ag=2&tag=&&tag=3%204"):json())
  end)

  it("keeps what cannot be decoded as it came, and bytes as they are", function()
    serve [[ app:get("/x", function(req) return (req.query.v:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end) ]]
    local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
    for given, read in pairs { ["%zz"] = "%zz", ["100%"] = "100%", ["%4"] = "%4", ["a+%zz"] = "a+%zz", ["%00a%0D%0Ab"] = "\0a\r\nb", ["%ff%FE"] = "\xff\xfe",
      ["a=b==c"] = "a=b==c", ["a?b/c"] = "a?b/c", ["+"] = " ", ["%2B"] = "+", ["%26%3D"] = "&=" } do
      assert.equal(hex(read), body("/x?v=" .. given), given)
    end
  end)

  it("has no more pairs than limits.query_pairs", function()
    serve [[ app:get("/x", function(req) return tostring(#req:query_all "a") end) app:get("/nameless", function(req) return tostring(req.query[""]) .. " " .. tostring(req.query.a) end) ]]
    for query, seen in pairs { ["&&a=1&&"] = "nil 1", ["&"] = "nil nil", ["=1&a"] = "1 ", [""] = "nil nil" } do assert.equal(seen, body("/nameless?" .. query), query) end
    assert.equal("200", body("/x?" .. ("a=1&"):rep(199) .. "a=1"))
    local res = get("/x?" .. ("a=1&"):rep(200) .. "a=1")
    assert.equal(400, res:status())
    assert.equal("too many query parameters\n", (res:body()))
    assert.equal(400, get("/x?" .. ("&"):rep(4000)):status())
  end)
end)

describe("a form", function()
  it("decodes what can be decoded, bytes as they are", function()
    serve [[ app:post("/x", function(req) return (req:form().v:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end) ]]
    local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
    for given, read in pairs { ["%zz"] = "%zz", ["100%"] = "100%", ["%4"] = "%4", ["%2B%zz+"] = "+%zz ", ["%00%0d%0A"] = "\0\r\n", ["%ff"] = "\xff", ["\xe4"] = "\xe4" } do
      assert.equal(hex(read), (server:post("/x", { body = "v=" .. given, headers = { ["Content-Type"] = "application/x-www-form-urlencoded" } }):body()), given)
    end
  end)
end)

describe("cookies", function()
  it("are read from every Cookie field; the first of a name wins", function()
    serve [[
      app:get("/x", function(req) return { sid = req.cookies.sid, b = req.cookies.b, c = req.cookies.c, q = req.cookies.q, none = tostring(req.cookies.none) } end)
    ]]
    local res = server:send "GET /x HTTP/1.1\r\nHost: a\r\nCookie: sid=1; sid=2;b=x=y\r\nCookie: sid=3; c=; junk; =v; q=\"quoted\"\r\n\r\n"
    assert.same({ sid = "1", b = "x=y", c = "", q = "quoted", none = "nil" }, res:json())
    for text, value in pairs { ['""'] = "", ['"'] = '"', ['"x'] = '"x', ['x"'] = 'x"', ['"x"'] = "x" } do
      assert.equal(value, server:get("/x", { headers = { Cookie = "q=" .. text } }):json().q, text)
    end
  end)

  it("are names and values without the blanks around them; what has no name or no value is none", function()
    serve [[ app:get("/", function(req) return req.cookies.q or "none" end) ]]
    for text, value in pairs { ["q=1"] = "1", [" q = 1 "] = "1", ["\tq\t=\t1\t;"] = "1", ["q=1;q=2"] = "1", ["q;q=2"] = "2", ["=1;q=2"] = "2", [" =1; q=2"] = "2", ["q==2"] = "=2", ["q=a=b;c"] = "a=b", ["q="] = "",
      ["q= ;q=1"] = "", [";;q=1"] = "1", ["a=2;;q=1"] = "1", ["Q=1;q=2"] = "2", ["qq=1;q=2"] = "2", ['q="a" '] = "a", ['q= "a"'] = "a", ['q="a;b"'] = '"a', ['q="a" b"'] = 'a" b', ['q=""a""'] = '"a"', ["q=a b"] = "a b",
      ["q=%41+"] = "%41+", ["a=q=1"] = "none", ["q"] = "none", ["%71=1"] = "none", [""] = "none", ["q=\xff"] = "\xff" } do
      assert.equal(value, (get("/", { headers = { Cookie = text } }):body()), text)
    end
  end)
end)
