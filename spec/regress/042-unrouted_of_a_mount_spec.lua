-- SPDX-License-Identifier: MIT
-- A mounted application also answers what is beneath its prefix and has no route: by its middleware and not_found.
local helper = require "spec.helper"

local MOUNTED = [[
local api = spate.app()
%s
api:get("/items", function() return "items" end)
app:get("/", function() return "root" end)
app:mount("/api", api)
]]

local function preflight(server, path)
  return server:request("OPTIONS", path, { headers = { Origin = "https://a.example", ["Access-Control-Request-Method"] = "GET" } })
end

local server

describe("a mounted application", function()
  after_each(function() server:close() end)

  it("answers preflights by its own cors", function()
    server = helper.serve(MOUNTED:format [[api:use(spate.cors { origins = { "https://a.example" } })]])
    for _, path in ipairs { "/api/items", "/api", "/api/", "/api/none", "/api/it%65ms" } do
      local res = preflight(server, path)
      assert.equal(204, res:status(), path)
      assert.equal("https://a.example", res:header "Access-Control-Allow-Origin", path)
      assert.truthy(res:header "Access-Control-Allow-Methods", path)
    end
    for _, path in ipairs { "/", "/apis", "/other" } do assert.is_nil(preflight(server, path):header "Access-Control-Allow-Origin", path) end
    local res = server:get("/api/none", { headers = { Origin = "https://a.example" } })
    assert.equal(404, res:status())
    assert.equal("https://a.example", res:header "Access-Control-Allow-Origin")
    assert.equal("GET, HEAD, OPTIONS", server:post("/api/items"):header "Allow")
  end)

  it("has its not_found asked before that of the application around it", function()
    server = helper.serve(MOUNTED:format [[
api:not_found(function(req) return reply.error(404, "not of the api: " .. req.path) end)
app:not_found(function(req) return reply.error(404, "not here: " .. req.path) end)]])
    assert.equal("not of the api: /api/x\n", (server:get("/api/x"):body()))
    assert.equal("not of the api: /api\n", (server:get("/api"):body()))
    assert.equal("not here: /apix\n", (server:get("/apix"):body()))
    server:close()
    server = helper.serve(MOUNTED:format [[app:not_found(function(req) return reply.error(404, "not here: " .. req.path) end)]])
    assert.equal("not here: /api/x\n", (server:get("/api/x"):body()))
  end)

  it("has its hooks around it, inside those of the application and of the group that it is mounted in", function()
    server = helper.serve [[
local inner, api = spate.app(), spate.app()
local function say(what) return function(req, next) return next():header("X-" .. what, "1") end end
inner:use(say "Inner")
inner:before(function(req) if req.query.early then return "early" end end)
inner:after(function(req, r) r:header("X-After", "1") end)
inner:on_error(function(err) return reply.text("caught " .. tostring(err.what), 500) end)
inner:not_found(function(req) if req.query.fail then error { what = "it" } end return reply.error(404, "inner") end)
api:mount("/:tenant/inner", inner)
app:use(say "App")
app:group("/v1", say "Group", function(g) g:mount("/api", api) end)
]]
    local res = server:get "/v1/api/me/inner/x"
    assert.equal("inner\n", (res:body()))
    for _, what in ipairs { "Inner", "After", "App", "Group" } do assert.equal("1", res:header("X-" .. what), what) end
    assert.equal("early", (server:get("/v1/api/me/inner/x?early=1"):body()))
    assert.equal("caught it", (server:get("/v1/api/me/inner/x?fail=1"):body()))
    res = server:get "/v1/api/me"
    assert.equal(404, res:status())
    assert.equal("1", res:header "X-Group")
    assert.is_nil(res:header "X-Inner")
    assert.is_nil(server:get("/v1"):header "X-Group")
  end)
end)
