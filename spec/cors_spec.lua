-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

local APP = [[
app:use(spate.cors { %s })
app:get("/", function() return "hello" end)
app:get("/kept", (function() local kept = reply.text "kept" return function() return kept end end)())
app:get("/vary", function() return reply.text("x"):header("Vary", "Accept, Origin") end)
app:get("/fails", function() error "broken" end)
app:get("/aborts", function() spate.abort(403, "no") end)
app:get("/private", function() return reply.error(401) end)
app:get("/events", function() return sse.reply { "one" } end)
app:post("/own", function() return "own" end)
app:options("/own", function() return "mine" end)
]]

local A = { Origin = "https://a.example" }
local PREFLIGHT = { Origin = "https://a.example", ["Access-Control-Request-Method"] = "POST" }

local server

local function serve(options)
  server = helper.serve(APP:format(options))
end

local function allowed(res) return res:header "Access-Control-Allow-Origin" end

describe("spate.cors", function()
  after_each(function()
    server:close()
  end)

  it("names the origin that asks, if it is listed, and always varies", function()
    serve [[origins = { "https://a.example", "http://localhost:3000" }, expose = { "X-Id", "ETag" }]]
    local res = server:get("/", { headers = A })
    assert.equal("https://a.example", allowed(res))
    assert.equal("Origin", res:header "Vary")
    assert.equal("X-Id, ETag", res:header "Access-Control-Expose-Headers")
    assert.is_nil(res:header "Access-Control-Allow-Credentials")
    assert.equal("http://localhost:3000", allowed(server:get("/", { headers = { Origin = "http://localhost:3000" } })))
    for _, origin in ipairs { "https://b.example", "null", "http://a.example", "https://a.example:8443", "https://a.example.evil.example",
      "https://xa.example", "https://A.example", "https://a.example, https://a.example", "*", "" } do
      res = server:get("/", { headers = { Origin = origin } })
      assert.equal(200, res:status())
      assert.is_nil(allowed(res), origin)
      assert.is_nil(res:header "Access-Control-Expose-Headers")
      assert.equal("Origin", res:header "Vary")
    end
    assert.equal("Origin", server:get("/"):header "Vary")
    assert.equal("Accept, Origin", server:get("/vary", { headers = A }):header "Vary")
  end)

  it("takes null only where it is listed", function()
    serve [[origins = { "null" }]]
    assert.equal("null", allowed(server:get("/", { headers = { Origin = "null" } })))
    assert.is_nil(allowed(server:get("/", { headers = A })))
  end)

  it("answers anybody with *", function()
    serve [[origins = "*"]]
    local res = server:get("/", { headers = A })
    assert.equal("*", allowed(res))
    assert.is_nil(res:header "Vary")
    assert.is_nil(allowed(server:get "/"))
  end)

  it("asks a function, with the origin and the request", function()
    serve [[origins = function(origin, req) return origin:match "^https://%w+%.example$" and req.path == "/" end]]
    assert.equal("https://a.example", allowed(server:get("/", { headers = A })))
    assert.is_nil(allowed(server:get("/private", { headers = A })))
    assert.equal("Origin", server:get("/private"):header "Vary")
  end)

  it("lets errors be read, whoever makes them", function()
    serve [[origins = { "https://a.example" }, credentials = true]]
    for path, status in pairs { ["/private"] = 401, ["/aborts"] = 403, ["/nowhere"] = 404, ["/fails"] = 500 } do
      local res = server:get(path, { headers = A })
      assert.equal(status, res:status())
      assert.equal("https://a.example", allowed(res))
      assert.equal("true", res:header "Access-Control-Allow-Credentials")
    end
    assert.equal("https://a.example", allowed(server:delete("/", { headers = A }))) -- 405
    assert.truthy(server:log():find "broken")
  end)

  it("serves an EventSource with credentials", function()
    serve [[origins = { "https://a.example" }, credentials = true]]
    local res = server:get("/events", { headers = A })
    assert.equal("text/event-stream", res:header "Content-Type")
    assert.equal("https://a.example", allowed(res))
    assert.equal("true", res:header "Access-Control-Allow-Credentials")
    assert.same({ "one" }, res:data())
  end)

  it("answers a preflight itself, whatever the path", function()
    serve [[origins = { "https://a.example" }, max_age = 600]]
    for _, path in ipairs { "/", "/own", "/nowhere" } do
      local res = server:options(path, { headers = PREFLIGHT })
      assert.equal(204, res:status())
      assert.equal("https://a.example", allowed(res))
      assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE", res:header "Access-Control-Allow-Methods")
      assert.equal("Authorization, Content-Type, Last-Event-ID", res:header "Access-Control-Allow-Headers")
      assert.equal("600", res:header "Access-Control-Max-Age")
      assert.equal("Origin", res:header "Vary")
      assert.is_nil(res:header "Access-Control-Allow-Private-Network")
    end
  end)

  it("tells a stranger's preflight nothing", function()
    serve [[origins = { "https://a.example" }]]
    local res = server:options("/", { headers = { Origin = "https://evil.example", ["Access-Control-Request-Method"] = "POST" } })
    assert.equal(204, res:status())
    assert.is_nil(allowed(res))
    assert.is_nil(res:header "Access-Control-Allow-Methods")
    assert.equal("Origin", res:header "Vary")
  end)

  it("leaves other OPTIONS requests alone", function()
    serve [[origins = { "https://a.example" }]]
    assert.equal("mine", (server:options("/own", { headers = A }):body()))
    assert.equal("GET, HEAD, OPTIONS", server:options("/", { headers = A }):header "Allow")
  end)

  it("says what it is told of methods, headers and private networks", function()
    serve [[origins = { "https://a.example" }, methods = { "GET", "POST" }, headers = { "X-A" }, private_network = true]]
    local res = server:options("/", { headers = PREFLIGHT })
    assert.equal("GET, POST", res:header "Access-Control-Allow-Methods")
    assert.equal("X-A", res:header "Access-Control-Allow-Headers")
    assert.is_nil(res:header "Access-Control-Allow-Private-Network")
    local asking = { ["Access-Control-Request-Private-Network"] = "true" }
    for name, value in pairs(PREFLIGHT) do asking[name] = value end
    assert.equal("true", server:options("/", { headers = asking }):header "Access-Control-Allow-Private-Network")
  end)

  it("leaves a reply alone that the script returns again", function()
    serve [[origins = { "https://a.example" }]]
    for _ = 1, 70 do
      local res = server:get("/kept", { headers = A })
      assert.equal("Origin", res:header "Vary")
    end
    assert.is_nil(allowed(server:get "/kept"))
  end)
end)

describe("spate.cors at load", function()
  it("refuses at the user's line", function()
    for options, why in pairs {
      [ [[{ origins = "*", credentials = true }]] ] = 'credentials go to named origins only, not to "*"',
      [ [[{ origins = { "*" } }]] ] = '"*" stands alone, not in a list',
      [ [[{ origins = { "https://a.example/" } }]] ] = "expected an origin as browsers send it",
      [ [[{ origins = { "https://a.example:443" } }]] ] = "expected an origin as browsers send it",
      [ [[{ origins = { "a.example" } }]] ] = "expected an origin as browsers send it",
      [ [[{ origins = { "https://A.example" } }]] ] = "expected an origin as browsers send it",
      [ [[{}]] ] = "origins: expected a list of strings, got nil",
      [ [[{ origins = "*", origin = 1 }]] ] = "unknown option 'origin'",
      [ [[{ origins = "*", headers = { "*" } }]] ] = "headers[1]: expected a name, got '*'",
      [ [[{ origins = "*", methods = { "GET\r\n" } }]] ] = "methods[1]: expected a name",
      [ [[nil]] ] = "expected a table of options, got nil",
    } do
      local err = helper.load_error("local x = 1\napp:use(spate.cors(" .. options .. "))")
      assert.truthy(err:find(why, 1, true), err)
      assert.truthy(err:find ":4: ", err)
    end
  end)
end)
