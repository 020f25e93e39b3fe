-- SPDX-License-Identifier: MIT
-- What a session's cookie says of itself is checked when the script is loaded, not with the first visitor.
local helper = require "spec.helper"

local function load_with(options) return ('spate.session { secret = ("s"):rep(32), %s }\n'):format(options) end

describe("spate.session", function()
  it("refuses attributes that no cookie can have, at load", function()
    for options, why in pairs {
      ['path = "app"'] = "path: expected a path that begins with '/'", ['path = ""'] = "path: expected a path", ["path = 1"] = "path: expected a string",
      ['path = "/a;b"'] = "path: expected a path", ['path = "/a,b"'] = "path: expected a path", ['path = "/a b"'] = "path: expected a path",
      ['path = "/a\\n"'] = "path: expected a path", ['path = "/\\0"'] = "path: expected a path", ['path = "/\\xe9"'] = "path: expected a path",
      ['domain = ""'] = "domain: expected a domain", ['domain = "a b"'] = "domain: expected a domain", ['domain = "a.example;"'] = "domain: expected a domain",
      ['domain = "a.example\\r\\nX: y"'] = "domain: expected a domain", ['domain = "a.example:80"'] = "domain: expected a domain",
      ['domain = "https://a.example"'] = "domain: expected a domain", ["domain = true"] = "domain: expected a string", ['domain = ".."'] = "domain: expected a domain",
      ['domain = "a..example"'] = "domain: expected a domain", ['domain = "-a.example"'] = "domain: expected a domain",
      ['secure = "yes"'] = 'secure: expected true, false or "auto"', ["http_only = 1"] = "http_only: expected true or false",
    } do
      local ok, err = pcall(helper.load_error, load_with(options))
      assert.is_true(ok, options)
      assert.truthy(err:find(":3: spate.session: " .. why, 1, true), options .. "\n" .. tostring(err))
    end
  end)

  it("takes those that one can", function()
    for options, said in pairs {
      ['path = "/", domain = "a.example"'] = "; Path=/; Domain=a.example;", ['path = "/app/%20x", domain = ".a-1.example"'] = "; Path=/app/%20x; Domain=.a-1.example;",
      ['domain = "localhost", secure = "auto", http_only = true'] = "; Path=/; Domain=localhost;",
    } do
      local server = helper.serve("app:use(" .. load_with(options):gsub("\n", "") .. ")\napp:get('/', function(req) req.session.a = 1 return 'x' end)")
      assert.truthy(server:get("/"):header("Set-Cookie"):find(said, 1, true))
      server:close()
    end
  end)
end)
