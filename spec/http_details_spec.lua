-- SPDX-License-Identifier: MIT
-- Edges of requests that nothing else comes near.
local helper = require "spec.helper"

describe("a request", function()
  local server

  before_each(function()
    server = helper.serve([[
      app:get("/", function(req) return req.version or "served" end)
    ]], { settings = { log = { redact = { "my key" } } } })
  end)

  after_each(function() server:close() end)

  it("of a later version 1.x is one of 1.1", function()
    for _, version in ipairs { "1.1", "1.2", "1.7", "1.9" } do
      local client = server:connect()
      for _ = 1, 2 do assert.equal(200, server:send(("GET / HTTP/%s\r\nHost: a\r\n\r\n"):format(version), client):status(), version) end
    end
    assert.equal(505, server:send("GET / HTTP/3.0\r\nHost: a\r\n\r\n"):status())
  end)

  it("is answered with the words that belong to a status, or none", function()
    local own = helper.serve [[ app:get("/:n", function(req) return reply.status(tonumber(req.params.n)) end) ]]
    for status, phrase in pairs { [200] = "OK", [226] = "IM Used", [227] = "", [252] = "", [299] = "", [308] = "Permanent Redirect", [352] = "", [400] = "Bad Request",
      [451] = "Unavailable For Legal Reasons", [452] = "", [499] = "", [500] = "Internal Server Error", [511] = "Network Authentication Required", [552] = "", [599] = "" } do
      local res = own:get("/" .. status)
      assert.equal(("HTTP/1.1 %d %s"):format(status, phrase), (res:raw():match "^[^\r]*"))
    end
    for status, length in pairs { [200] = "0", [204] = "none", [205] = "0", [304] = "none", [404] = "0" } do
      assert.equal(length, own:get("/" .. status):header "Content-Length" or "none", status)
    end
    own:close()
  end)

  it("has names in the log that are left out with a blank in them too, however that is written", function()
    for target, as in pairs { ["/?my+key=a"] = "my+key=***", ["/?my%20key=a"] = "my%20key=***", ["/?my-key=a"] = "my-key=a" } do
      server:get(target)
      assert.truthy(server:log():find(as, 1, true), target)
    end
  end)
end)
