-- SPDX-License-Identifier: MIT
-- Access tokens say that they are at+jwt (RFC 9068), and the log says why a token was refused.
local helper = require "spec.helper"

local NOW = 1300819000
local ROUTES = [[
local core = require "spate.core"
local KEY = ("k"):rep(32)
app:post("/sign", function(req)
  local head, payload = req:body():match "^(.-)\n(.*)$"
  local input = core.base64(head, true) .. "." .. core.base64(payload, true)
  return input .. "." .. core.base64(core.hmac("sha256", KEY, input), true)
end)
app:get("/", spate.jwt { key = KEY, alg = "HS256", issuer = "joe", audience = "web" %s }, function() return "yours" end)
]]

local server

local function serve(options) server = helper.serve(ROUTES:format(options or ""), { epoch = NOW }) end

local GOOD = '{"iss":"joe","aud":"web","exp":' .. NOW + 100 .. "}"

local function status_of(head, payload)
  local token = server:post("/sign", { body = head .. "\n" .. (payload or GOOD) }):body()
  return server:get("/", { headers = { Authorization = "Bearer " .. token } }):status()
end

describe("spate.jwt", function()
  after_each(function() server:close() end)

  it("takes the types it is told, and then no token without one", function()
    serve ', typ = "at+jwt"'
    for _, typ in ipairs { "at+jwt", "AT+JWT", "application/at+jwt" } do
      assert.equal(200, status_of('{"alg":"HS256","typ":"' .. typ .. '"}'), typ)
    end
    for _, typ in ipairs { '"JWT"', '""', "null", "1", '["at+jwt"]', '"text/at+jwt"', '"application/application/at+jwt"', '"at+jwt\\u0000"' } do
      assert.equal(401, status_of('{"alg":"HS256","typ":' .. typ .. "}"), typ)
    end
    assert.equal(401, status_of '{"alg":"HS256"}')
    server:close()
    serve ', typ = { "at+jwt", "JWT" }'
    assert.equal(200, status_of '{"alg":"HS256","typ":"JWT"}')
    assert.equal(200, status_of '{"alg":"HS256","typ":"at+jwt"}')
    server:close()
    serve()
    assert.equal(200, status_of '{"alg":"HS256","typ":"JWT"}')
    assert.equal(200, status_of '{"alg":"HS256","typ":"application/jwt"}')
    assert.equal(200, status_of '{"alg":"HS256"}')
    assert.equal(401, status_of '{"alg":"HS256","typ":"at+jwt"}')
  end)

  it("tells the log, not the client, why it refused a token", function()
    serve()
    for _, case in ipairs {
      { '{"alg":"HS256","typ":"at+jwt"}', GOOD, "it is of another typ" }, { '{"alg":"none"}', GOOD, "its alg is not the key's" },
      { '{"alg":"HS256","crit":["b64"]}', GOOD, "(crit)" }, { '{"alg":"HS256"}', "{}", "it has no exp" },
      { '{"alg":"HS256"}', '{"exp":1}', "it has expired" }, { '{"alg":"HS256"}', '{"exp":"1"}', "its exp is no whole number" },
      { '{"alg":"HS256"}', '{"exp":9999999999,"nbf":9999999998}', "it is not valid yet" },
      { '{"alg":"HS256"}', '{"exp":9999999999}', "it is of another issuer" }, { '{"alg":"HS256"}', '{"exp":9999999999,"iss":"joe"}', "it is for another audience" },
      { '{"alg":"HS256"}', "[1", "its signature is wrong" },
    } do
      server:log()
      assert.equal(401, status_of(case[1], case[2]))
      local said = server:log()
      assert.truthy(said:find("token refused: ", 1, true) and said:find(case[3], 1, true), said)
    end
    assert.equal(401, server:get("/", { headers = { Authorization = "Bearer x.y" } }):status())
    assert.truthy(server:log():find("token refused: it is malformed", 1, true))
    assert.equal(401, server:get("/"):status())
    assert.falsy(server:log():find("refused", 1, true)) -- there was none
  end)

  it("takes what another implementation has signed, by each algorithm", function()
    for alg, made in pairs(require "spec.vectors.jwt") do
      server = helper.serve(([[app:get("/", spate.jwt { key = %q, alg = %q }, function(req) return req.ctx.claims end)]]):format(made.key, alg), { epoch = NOW })
      local function get(token) return server:get("/", { headers = { Authorization = "Bearer " .. token } }) end
      assert.equal("joe", get(made.token):json().iss, alg)
      local head = made.token:match "^(.*%.)"
      for i = #head + 1, #made.token, 7 do -- no bit of the signature may be another
        local byte = made.token:sub(i, i)
        assert.equal(401, get(made.token:sub(1, i - 1) .. (byte == "B" and "C" or "B") .. made.token:sub(i + 1)):status(), alg)
      end
      assert.equal(401, get(head .. made.token:sub(#head + 5)):status(), alg)
      assert.equal(401, get(made.token .. "AAAA"):status(), alg)
      assert.equal(401, get(head .. ("A"):rep(#made.token - #head)):status(), alg)
      server:close()
    end
    serve()
  end)
end)
