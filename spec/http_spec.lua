-- SPDX-License-Identifier: MIT
-- Requests to other servers, as scripts write them: what is refused at the line that is wrong, and what is asked for.
local helper = require "spec.helper"

-- What the code returns, or its error, in a handler of an application that has `http`.
local function run(code, options)
  local server = helper.serve(([[
local http = require "spate.http"
app:get("/", function(req)
  local function call()
%s
  end
  local results = table.pack(pcall(call))
  if not results[1] then return "error: " .. tostring(results[2]) end
  for i = 1, results.n - 1 do results[i] = tostring(results[i + 1]) end
  return table.concat(results, " | ", 1, results.n - 1)
end)]]):format(code), options)
  local res = server:get "/"
  server:close()
  return res:body()
end

describe("spate.http", function()
  for call, message in pairs {
    ['http.get()'] = "http.get: url: expected a string, got nil",
    ['http.get("http://x", { tiemout = 1 })'] = "http.get: unknown option 'tiemout'; did you mean 'timeout'?",
    ['http.get("http://x", { timeout = { conect = 1 } })'] = "http.get: timeout: unknown option 'conect'; did you mean 'connect'?",
    ['http.get("http://x", { timeout = 0 })'] = "http.get: timeout: expected more than 0 seconds, got 0",
    ['http.get("http://x", { headers = { ["a b"] = "c" } })'] = "header 'a b': the name may hold letters, digits and '-' only",
    ['http.get("http://x", { headers = { a = "b\\r\\nc: d" } })'] = "header 'a': the value must not contain control characters",
    ['http.get("http://x", { headers = { ["Content-Length"] = 3 } })'] = "header 'Content-Length': the server sets this one itself",
    ['http.post("http://x", { body = "a", json = {} })'] = "http.post: both body and json; a request has one body",
    ['http.post("http://x", { body = {} })'] = "http.post: body: expected a string or an iterator, got table",
    ['http.post("http://x", { form = { f = { filename = "x" } } })'] = "http.post: form.f: expected data or path",
    ['http.get("http://x", { redirects = -1 })'] = "http.get: redirects: expected a number of 0 or more, got -1",
    ['http.get("http://x", { max = 1.5 })'] = "http.get: max: expected a number of 0 or more, got 1.5",
    ['http.get("http://x", { private = 0 })'] = "http.get: private: expected true or false, got number",
    ['http.get("http://x", { unix = "a\\0b" })'] = "http.get: unix: the path holds a NUL",
    ['http.get("http://x", { tls = { key = "k" } })'] = "http.get: tls: a key without its cert",
    ['http.get("http://x", { auth = { user = "a:b" } })'] = "http.get: auth: the user may hold no colon",
    ['http.request("GE T", "http://x")'] = 'http.request: expected a method, got "GE T"',
    ['http.request("CONNECT", "http://x")'] = "http.request: CONNECT asks for a tunnel",
    ['http.get("http://x", { query = { a = {{}} } })'] = "http.get: query.a: expected a string or a number, got table",
  } do
    it("refuses at the user's line: " .. call, function()
      local body = run("return " .. call)
      assert.truthy(body:find("error: [^\n]-:%d+: "), body)
      assert.truthy(body:find(message, 1, true), body)
    end)
  end

  it("says that nothing can wait while the script is loaded", function()
    local err = helper.load_error 'require("spate.http").get "http://x.example"\n'
    assert.truthy(err:find("http.get: nothing can wait while the script is loaded", 1, true), err)
  end)

  it("says that a finalizer cannot wait", function()
    local server = helper.serve [[
local http = require "spate.http"
app:get("/", function()
  local said
  setmetatable({}, { __gc = function() said = select(2, pcall(http.get, "http://x.example")) end })
  collectgarbage()
  return said
end)]]
    finally(function() server:close() end)
    assert.truthy(server:get("/"):body():find("http.get: cannot wait inside", 1, true))
  end)
end)
