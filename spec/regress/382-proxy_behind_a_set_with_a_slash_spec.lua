-- SPDX-License-Identifier: MIT
-- The slashes of a pattern were counted for its segments, those in a set too: behind "/:a[%w/]" a proxy asked its server for a
-- path that lacked its first segment, and it asked for too much where a set held "/*".
local t = require "spate.test"

it("a proxy asks for what is behind a segment whose set has a slash", function()
  local path = os.tmpname()
  finally(function() os.remove(path) end)
  local f = assert(io.open(path, "w"))
  f:write [[
local spate = require "spate"
local app, reply = spate.app(), spate.reply
app:get("/a/:name[%w/]/*rest", function() return reply.proxy("http://up.example/to") end)
app:get("/b/:name[%w/*]/*rest", function() return reply.proxy("http://up.example/to") end)
return app]]
  f:close()
  local app = t.load(path)
  t.http.stub("GET", "http://up.example/to/x/y", { body = "here" })
  for _, target in ipairs { "/a/n/x/y", "/a/n%2Fm/x/y", "/b/n/x/y" } do
    local res = app:get(target)
    assert.same({ 200, "here" }, { res.status, (res:body()) }, target)
  end
end)
