-- SPDX-License-Identifier: MIT
-- What stands for other servers in specs.
local t = require "spate.test"
local session = require "spate.test.session"

local APP = [[
local spate, json = require "spate", require "spate.json"
local http = require "spate.http"
local app = spate.app()

app:post("/ask", function(req)
  local asked = req:json()
  local res, message, code = http.request(asked.method or "GET", asked.url, asked.options)
  if not res then return { message = message, code = code } end
  local body, why, what = res:body()
  return { status = res.status, type = res.headers["content-type"], length = res.headers["content-length"], list = res:header_all "x-a",
    body = body, message = why, code = what }
end)

app:post("/upload", function(req)
  local res = http.post("http://a.example/up", { body = req:chunks() })
  return res:body()
end)

return app
]]

describe("t.http.stub", function()
  local app, path

  setup(function()
    path = os.tmpname()
    local f = assert(io.open(path, "w"))
    f:write(APP)
    f:close()
  end)
  teardown(function() os.remove(path) end)
  before_each(function() app = t.load(path) end)

  local function ask(url, options, method) return app:post("/ask", { json = { url = url, options = options, method = method } }) end

  it("answers with status, headers and a body", function()
    t.http.stub("GET", "http://a.example/x", { status = 201, headers = { ["X-A"] = { "1", "2" } }, body = "hello" })
    assert.same({ status = 201, type = "text/plain", length = "5", list = { "1", "2" }, body = "hello" }, ask("http://a.example/x"):json())
    t.http.stub("GET", "http://a.example/x", { json = { a = 1 } })
    local answer = ask("http://a.example/x"):json()
    assert.same({ "application/json", '{"a":1}' }, { answer.type, answer.body })
    t.http.stub("GET", "http://a.example/x", { headers = { ["content-type"] = "a/b" }, chunks = { "a", { after = 1, "b" } } })
    local res = ask "http://a.example/x"
    assert.is_nil(res.status)
    t.advance(1)
    assert.same({ "a/b", "ab" }, { res:json().type, res:json().body })
    t.http.stub("DELETE", "http://a.example/x")
    assert.same({ status = 200, type = "text/plain", length = "0", list = {}, body = "" }, ask("http://a.example/x", nil, "DELETE"):json())
  end)

  it("remembers what it was asked", function()
    local up = t.http.stub("POST", "http://a.example/x?q=1", {})
    ask("http://a.example/x", { query = { q = 1 }, json = { b = 2 }, headers = { ["X-B"] = "3", List = { "a", "b" } } }, "POST")
    assert.equal(1, #up.requests)
    local asked = up.requests[1]
    assert.same({ "POST", "http://a.example/x?q=1", '{"b":2}', "3", "application/json", false },
      { asked.method, asked.url, asked.body, asked.headers["x-b"], asked.headers["Content-Type"], asked.closed })
    assert.same({ { b = 2 }, "a, b" }, { asked.json, asked.headers.list })
    assert.is_false(up.closed)
  end)

  it("takes a body as it comes, and answers once it is complete", function()
    local up = t.http.stub("POST", "http://a.example/up", { body = "thanks" })
    assert.equal("thanks", app:post("/upload", { body = ("x"):rep(300000) }):body())
    assert.equal(300000, #up.requests[1].body)
  end)

  it("answers late, or not in time", function()
    t.http.stub("GET", "http://a.example/x", { after = 5, body = "late" })
    local res = ask "http://a.example/x"
    t.advance(4.9)
    assert.is_nil(res.status)
    t.advance(0.2)
    assert.equal("late", res:json().body)
    res = ask("http://a.example/x", { timeout = 2 })
    t.advance(2)
    assert.equal("timeout", res:json().code)
    res = ask("http://a.example/x", { timeout = { idle = 3 } })
    t.advance(3)
    assert.equal("timeout", res:json().code)
  end)

  it("fails as it is told, at once or in the midst", function()
    for _, code in ipairs { "timeout", "refused", "tls", "name", "closed", "private" } do
      t.http.stub("GET", "http://a.example/x", { error = code })
      assert.equal(code, ask("http://a.example/x"):json().code)
      t.http.stub("GET", "http://a.example/x", { body = "half", error = code })
      local answer = ask("http://a.example/x"):json()
      assert.same({ 200, code }, { answer.status, answer.code })
    end
  end)

  it("has an answer for each request, and the last for the rest", function()
    t.http.stub("GET", "http://a.example/x", { { body = "1" }, { status = 503 }, { body = "3" } })
    local bodies = {}
    for i = 1, 4 do
      local answer = ask("http://a.example/x"):json()
      bodies[i] = answer.status == 200 and answer.body or answer.status
    end
    assert.same({ "1", 503, "3", "3" }, bodies)
  end)

  it("is told of where none is", function()
    local answer = ask("http://a.example/none"):json()
    assert.equal("refused", answer.code)
    assert.truthy(answer.message:find("GET http://a.example/none: no stub is for it", 1, true))
    t.http.stub("GET", "http://a.example/x", {})
    ask("http://a.example/x", nil, "PUT")
    assert.equal("GET http://a.example/none\nPUT http://a.example/x\n", session.stubs:keep(session.stubs:count())) -- else the `it` fails
  end)

  local of_file = t.http.stub("GET", "http://a.example/of-file", { body = "still here" })

  it("lasts as long as its it, or its file", function()
    assert.equal("still here", ask("http://a.example/of-file"):json().body)
    ask "http://a.example/x"
    assert.equal("GET http://a.example/x\n", session.stubs:keep(session.stubs:count()))
    assert.is_true(#of_file.requests > 0)
  end)

  local MISTAKES = {
    { "expected a method such as", 1, "http://a" }, { "expected a URL with http or https", "GET", "a" }, { "unknown 'boddy'; it has after, body", "GET", "http://a", { boddy = "" } },
    { "expected a code such as", "GET", "http://a", { error = "none" } }, { "an event: unknown 'daata'", "GET", "http://a", { events = { { daata = "" } } } },
    { "expected an answer as a table, got string", "GET", "http://a", "x" },
  }
  for _, each in ipairs(MISTAKES) do
    it("says at the spec's line: " .. each[1], function()
      local ok, err = pcall(function() t.http.stub(each[2], each[3], each[4]) end)
      assert.is_false(ok)
      assert.truthy(err:find("^spec/test_http_spec.lua:%d+: t.http.stub") and err:find(each[1], 1, true), err)
    end)
  end
end)
