-- SPDX-License-Identifier: MIT
-- Tokens: those of RFC 7515 appendix A, and whatever people try.
local helper = require "spec.helper"

local NOW = 1300819000 -- 380 s before the examples' exp

local PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
local HS256 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." .. PAYLOAD .. ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
local RS256 = "eyJhbGciOiJSUzI1NiJ9." .. PAYLOAD .. ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_" ..
  "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_" ..
  "dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
local ES256 = "eyJhbGciOiJFUzI1NiJ9." .. PAYLOAD .. ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

local KEYS = [[
local core = require "spate.core"
local HS = core.base64_decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", true)
local RS = "-----BEGIN PUBLIC KEY-----\n"
  .. "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\nNiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"
  .. "P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"
  .. "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\nFvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\noQIDAQAB\n"
  .. "-----END PUBLIC KEY-----\n"
local ES = "-----BEGIN PUBLIC KEY-----\n"
  .. "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
  .. "-----END PUBLIC KEY-----\n"
local K1, K2 = ("1"):rep(32), ("2"):rep(32)
]]

-- POST /sign makes a token of two lines, as they are; ?key= says of which key.
local ROUTES = [[
app:post("/sign", function(req)
  local head, payload = req:body():match "^(.-)\n(.*)$"
  local input = core.base64(head, true) .. "." .. core.base64(payload, true)
  return input .. "." .. core.base64(core.hmac("sha256", ({ HS = HS, RS = RS, ES = ES, K1 = K1, K2 = K2 })[req.query.key or "HS"], input), true)
end)
local auth = spate.jwt { %s }
app:get("/", auth, function(req) return req.ctx.claims end)
app:get("/events", auth, function(req)
  req:on_close(function(reason) spate.log.info("over: " .. reason) end)
  return sse.reply(sse.interval(1))
end)
app:get("/never", auth, function(req) return sse.reply(sse.never(), { keep_alive = false }) end)
app:get("/slow", auth, function(req) sse.sleep(100) return "slow" end)
app:get("/feed", auth, function(req) return sse.reply(sse.channel("news"):subscribe()) end)
]]

local server

local function serve(options) server = helper.serve(KEYS .. ROUTES:format(options), { epoch = NOW }) end

local function sign(payload, head, key)
  return (server:post("/sign?key=" .. (key or "HS"), { body = (head or '{"alg":"HS256"}') .. "\n" .. payload }):body())
end

local function get(token, path) return server:get(path or "/", { headers = { Authorization = token and "Bearer " .. token } }) end

local function assert_refused(token, what)
  local res = get(token)
  assert.equal(401, res:status(), what or token)
  assert.equal('Bearer realm="spate", error="invalid_token"', res:header "WWW-Authenticate")
end

local function assert_taken(token, what) assert.equal(200, get(token):status(), what or token) end

local EXP = '"exp":' .. NOW + 100

describe("spate.jwt", function()
  after_each(function() server:close() end)

  it("takes the examples of RFC 7515", function()
    for token, options in pairs { [HS256] = [[key = HS, alg = "HS256"]], [RS256] = [[key = RS, alg = "RS256"]], [ES256] = [[key = ES, alg = "ES256"]] } do
      serve(options)
      assert.same({ iss = "joe", exp = 1300819380, ["http://example.com/is_root"] = true }, get(token):json())
      for other in pairs { [HS256] = 1, [RS256] = 1, [ES256] = 1 } do
        if other ~= token then assert_refused(other) end
      end
      for i = 1, #token do -- no bit of it may be another
        local byte = token:sub(i, i)
        if i % 17 == 0 or i == #token or byte == "." then assert_refused(token:sub(1, i - 1) .. (byte == "B" and "C" or "B") .. token:sub(i + 1)) end
      end
      server:close()
    end
    serve [[key = HS, alg = "HS256"]]
  end)

  it("asks for a token where there is none", function()
    serve [[key = HS, alg = "HS256", realm = "api"]]
    local res = server:get "/"
    assert.equal(401, res:status())
    assert.equal('Bearer realm="api"', res:header "WWW-Authenticate")
    for _, field in ipairs { "Basic YTph", "Bearer", HS256, "Bearer " .. HS256 .. " x", "Token " .. HS256 } do
      assert.equal(401, server:get("/", { headers = { Authorization = field } }):status(), field)
    end
    assert.equal(200, server:get("/", { headers = { Authorization = "bEaReR " .. HS256 } }):status())
  end)

  it("lets the token choose no algorithm", function()
    serve [[key = HS, alg = "HS256"]]
    for _, head in ipairs { '{"alg":"none"}', '{"alg":"None"}', '{"alg":"NONE"}', '{"alg":""}', '{}', '{"alg":null}', '{"alg":1}', '{"alg":["HS256"]}',
      '{"alg":"hs256"}', '{"alg":"HS512"}', '{"alg":"HS256\\u0000"}', '[]', '"HS256"', 'HS256', '', '{"alg":"HS256","alg":"none"}', '{"alg":"none","alg":"HS256"}' } do
      local token = sign("{" .. EXP .. "}", head)
      assert_refused(token, head)
      assert_refused(token:match "^(.*%.)", head)     -- no signature
      assert_refused(token:match "^(.*)%.", head)     -- nor its dot
    end
    assert_taken(sign("{" .. EXP .. "}", '{"typ":"JWT","alg":"HS256"}'))
  end)

  it("takes no public key for a secret", function()
    for alg, key in pairs { RS256 = "RS", ES256 = "ES" } do
      serve(("key = %s, alg = %q"):format(key, alg))
      assert_refused(sign("{" .. EXP .. "}", '{"alg":"HS256"}', key))
      assert_refused(sign("{" .. EXP .. "}", ('{"alg":%q}'):format(alg), key))
      server:close()
    end
    serve [[keys = { hmac = { key = HS, alg = "HS256" }, rsa = { key = RS, alg = "RS256" } }]]
    assert_taken(sign("{" .. EXP .. "}", '{"alg":"HS256","kid":"hmac"}'))
    assert_refused(sign("{" .. EXP .. "}", '{"alg":"HS256","kid":"rsa"}', "RS"))
    assert_refused(sign("{" .. EXP .. "}", '{"alg":"HS256","kid":"rsa"}'))
  end)

  it("finds keys in its own table only", function()
    serve [[keys = { a = K1, b = K2 }, alg = "HS256"]]
    local claims = "{" .. EXP .. "}"
    assert_taken(sign(claims, '{"alg":"HS256","kid":"a"}', "K1"))
    assert_taken(sign(claims, '{"alg":"HS256","kid":"b"}', "K2"))
    assert_refused(sign(claims, '{"alg":"HS256","kid":"a"}', "K2"))
    for _, kid in ipairs { '""', '"c"', '"../../dev/null"', [["a' OR '1'='1"]], '"a\\u0000"', "1", "null", "true", '["a"]', '{"a":1}', '"__index"' } do
      assert_refused(sign(claims, '{"alg":"HS256","kid":' .. kid .. '}', "K1"), kid)
    end
    assert_refused(sign(claims, '{"alg":"HS256"}', "K1"))
    assert_refused(sign(claims, '{"alg":"HS256","kid":"a","kid":"b"}', "K1"))
    assert_refused(sign(claims, '{"alg":"HS256","jku":"https://evil.example/keys","x5u":"https://evil.example/x"}', "K1"))
  end)

  it("reads no key and no address of keys out of a token", function()
    serve [[key = HS, alg = "HS256"]]
    assert_taken(sign("{" .. EXP .. "}", '{"alg":"HS256","kid":"../../x","jku":"https://evil.example/","x5u":"file:///etc/passwd"}'))
    assert_refused(sign("{" .. EXP .. "}", '{"alg":"HS256","jwk":{"kty":"oct","k":"MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE"}}', "K1"))
    assert_refused(sign("{" .. EXP .. "}", '{"alg":"HS256","crit":["exp"]}'))
    assert_refused(sign("{" .. EXP .. "}", '{"alg":"HS256","b64":false,"crit":["b64"]}'))
  end)

  it("wants an end of the token's time, and a number", function()
    serve [[key = HS, alg = "HS256"]]
    for _, exp in ipairs { '"' .. NOW + 100 .. '"', "null", "true", "[]", "{}", "NaN", "1e999", "-1e999", "Infinity", "1.0", NOW + 100.5, NOW + 100 .. ".0",
      "1e10", NOW, NOW - 1, "0", "-1", "9223372036854775808", "99999999999999999999", "0x7fffffff" } do
      assert_refused(sign(('{"exp":%s}'):format(exp)), exp)
    end
    assert_refused(sign "{}")
    assert_refused(sign(('{"exp":%d,"exp":%d}'):format(NOW + 100, NOW + 200)))
    assert_refused(sign(('{"exp":%d,"exp":%d}'):format(NOW - 100, NOW + 200)))
    assert_taken(sign(('{"exp":%d}'):format(NOW + 1)))
    assert_taken(sign '{"exp":9223372036854775807}')
    server:close()
    serve [[key = HS, alg = "HS256", require_exp = false]]
    assert_taken(sign "{}")
    assert_refused(sign(('{"exp":%d}'):format(NOW)))
    assert_refused(sign '{"exp":"x"}')
  end)

  it("wants its beginning to be past", function()
    serve [[key = HS, alg = "HS256"]]
    assert_taken(sign(('{%s,"nbf":%d}'):format(EXP, NOW)))
    for _, nbf in ipairs { NOW + 1, '"' .. NOW .. '"', "1.5", "1e999", "true", "9223372036854775807" } do
      assert_refused(sign(('{%s,"nbf":%s}'):format(EXP, nbf)), nbf)
    end
    local token = sign(('{%s,"nbf":%d}'):format(EXP, NOW + 10))
    assert_refused(token)
    server:advance(10)
    assert_taken(token)
  end)

  it("has patience with clocks where it is told", function()
    serve [[key = HS, alg = "HS256", leeway = 5]]
    assert_taken(sign(('{"exp":%d}'):format(NOW - 4)))
    assert_refused(sign(('{"exp":%d}'):format(NOW - 5)))
    assert_taken(sign(('{%s,"nbf":%d}'):format(EXP, NOW + 5)))
    assert_refused(sign(('{%s,"nbf":%d}'):format(EXP, NOW + 6)))
  end)

  it("looks at who issued it and for whom", function()
    serve [[key = HS, alg = "HS256", issuer = "joe", audience = { "web", "app" }]]
    for claims, is_good in pairs {
      ['"iss":"joe","aud":"web"'] = true, ['"iss":"joe","aud":["x","app"]'] = true, ['"iss":"joe","aud":["x"]'] = false, ['"iss":"joe","aud":[]'] = false,
      ['"iss":"joe","aud":{}'] = false, ['"iss":"joe","aud":{"web":true}'] = false, ['"iss":"joe","aud":1'] = false, ['"iss":"joe"'] = false, ['"aud":"web"'] = false,
      ['"iss":"ann","aud":"web"'] = false, ['"iss":["joe"],"aud":"web"'] = false, ['"iss":"joe","aud":"web,app"'] = false, ['"iss":"joe","aud":[["web"]]'] = false,
    } do
      local token = sign("{" .. EXP .. "," .. claims .. "}")
      if is_good then assert_taken(token, claims) else assert_refused(token, claims) end
    end
  end)

  it("wants three parts without padding, and no more than 8 KiB", function()
    serve [[key = HS, alg = "HS256"]]
    local head, payload, mac = HS256:match "^(.-)%.(.-)%.(.*)$"
    for _, token in ipairs { HS256 .. ".", HS256 .. "..", HS256 .. ".x", "." .. HS256, HS256 .. "=", HS256 .. "==", head .. "=." .. payload .. "." .. mac,
      head .. "." .. payload .. "==." .. mac, head .. ".." .. mac, "." .. payload .. "." .. mac, "..", ".", head .. "." .. payload .. "." .. mac:gsub("_", "/"):gsub("-", "+"),
      head .. "." .. payload, head, HS256:sub(1, -2) .. "l", HS256 .. "\xff", (HS256:gsub("%.", "..")) } do
      assert_refused(token)
    end
    assert_refused(sign("{" .. EXP .. ',"x":"' .. ("y"):rep(7000) .. '"}'))
    assert_taken(sign("{" .. EXP .. ',"x":"' .. ("y"):rep(5000) .. '"}'))
    assert_refused(sign("[" .. NOW .. "]"))
    assert_refused(sign '"text"')
    assert_refused(sign(("["):rep(3000)))
    assert_refused(sign("{" .. EXP .. ',"x":' .. ("["):rep(1000) .. ("]"):rep(1000) .. "}"))
    server:close()
    server = helper.serve(KEYS .. ROUTES:format [[key = HS, alg = "HS256"]], { epoch = NOW, settings = { limits = { head = 2 << 20 } } })
    assert_refused(("A"):rep(1 << 20))
    assert_refused(head .. "." .. ("A"):rep(1 << 20) .. "." .. mac)
  end)

  it("takes the token from a cookie or the query where it is told to", function()
    serve [[key = HS, alg = "HS256"]]
    assert.equal(401, server:get("/?token=" .. HS256):status())
    assert.equal(401, server:get("/", { headers = { Cookie = "jwt=" .. HS256 } }):status())
    server:close()
    serve [[key = HS, alg = "HS256", cookie = "jwt", query = "token"]]
    server:log()
    assert.equal(200, server:get("/?token=" .. HS256):status())
    assert.truthy(server:log():find("target=/?token=*** status=200", 1, true))
    assert.equal(200, server:get("/", { headers = { Cookie = "jwt=" .. HS256 } }):status())
    assert.equal(401, server:get("/?token=x"):status())
    assert.equal(401, server:get("/?token=" .. HS256, { headers = { Authorization = "Bearer x" } }):status())
  end)
end)

describe("an event stream", function()
  after_each(function() server:close() end)

  it("ends cleanly when its token does, and the next request is refused", function()
    serve [[key = HS, alg = "HS256"]]
    local token = sign(('{"exp":%d}'):format(NOW + 5))
    local res, quiet = get(token, "/events"), get(token, "/never")
    server:advance(4.5)
    assert.same({ "1", "2", "3", "4" }, res:data())
    assert.is_false(res:has_ended())
    server:advance(0.5)
    assert.is_true(res:has_ended())
    assert.is_true(quiet:has_ended())
    assert.equal(0, server:stats().streams)
    local log = server:log()
    assert.truthy(log:find "target=/events status=200 [^\n]* reason=timeout")
    assert.truthy(log:find("over: timeout", 1, true))
    assert_refused(token)
  end)

  it("of a channel ends as well", function()
    serve [[key = HS, alg = "HS256", leeway = 2]]
    local res = get(sign(('{"exp":%d}'):format(NOW + 5)), "/feed")
    server:advance(6.9)
    assert.is_false(res:has_ended())
    server:advance(0.1)
    assert.is_true(res:has_ended())
  end)

  it("ends no later because the server is stopping", function()
    serve [[key = HS, alg = "HS256"]]
    local token, ends = sign(('{"exp":%d}'):format(NOW + 1)), {}
    for i = 1, 20 do ends[i] = get(token, "/never") end -- spread over five seconds otherwise
    server.core:drain()
    server:advance(1)
    for i = 1, 20 do assert.is_true(ends[i]:has_ended()) end
  end)

  it("goes on without an exp, and for as long as a far one says", function()
    serve [[key = HS, alg = "HS256", require_exp = false]]
    local one, two = get(sign "{}", "/never"), get(sign '{"exp":9223372036854775807}', "/never")
    server:advance(1e6)
    assert.is_false(one:has_ended())
    assert.is_false(two:has_ended())
  end)
end)

describe("an answer that is no stream", function()
  it("goes out in full", function()
    serve [[key = HS, alg = "HS256"]]
    local res = get(sign(('{"exp":%d}'):format(NOW + 5)), "/slow")
    server:advance(100)
    assert.equal("slow", (res:body()))
    server:close()
  end)
end)

describe("req:close_after", function()
  it("goes by the earliest time, also where that is past before the stream begins", function()
    server = helper.serve [[
app:get("/", function(req)
  req:close_after(5)
  req:close_after(2.5)
  req:close_after(10)
  sse.sleep(tonumber(req.query.wait))
  return sse.reply(sse.interval(1))
end)
app:get("/wrong", function(req) req:close_after(-1) end)]]
    local res, late = server:get "/?wait=0", server:get "/?wait=4"
    server:advance(2.5)
    assert.same({ "1", "2" }, res:data())
    assert.is_true(res:has_ended())
    server:advance(1.5)
    assert.equal(200, late:status())
    assert.is_true(late:has_ended())
    assert.same({}, late:data())
    assert.equal(500, server:get("/wrong"):status())
    assert.truthy(server:log():find(":10: req:close_after: expected 0 or more seconds, got -1", 1, true))
    server:close()
  end)
end)

it("req:close_after goes for a stream that is open already", function()
  server = helper.serve [[
app:get("/", function(req)
  return sse.reply(function(send)
    send "open"
    sse.sleep(1)
    req:close_after(2)
    sse.sleep(10)
  end, { keep_alive = false })
end)]]
  local res = server:get "/"
  server:advance(2.9)
  assert.is_false(res:has_ended())
  server:advance(0.2)
  assert.is_true(res:has_ended())
  assert.same({ "open" }, res:data())
  server:close()
end)

describe("the options of spate.jwt", function()
  it("are checked at load", function()
    for options, why in pairs {
      ["{}"] = "expected one of key and keys", ["{ key = HS, keys = {} }"] = "expected one of key and keys", ["{ key = HS }"] = "alg: expected a string, got nil",
      ["{ key = HS, alg = 'none' }"] = "expected HS256, HS384", ["{ key = HS, alg = 'PS256' }"] = "expected a public key in PEM", ["{ key = ES, alg = 'EdDSA' }"] = "the key is of another kind", ["{ key = HS, alg = 'HS256', typ = {} }"] = "typ: expected a list of strings",
      ["{ key = ('x'):rep(31), alg = 'HS256' }"] = "the secret has less than 32 bytes", ["{ key = ('x'):rep(63), alg = 'HS512' }"] = "the secret has less than 64 bytes",
      ["{ key = RS, alg = 'HS256' }"] = "a PEM file is no secret", ["{ key = HS, alg = 'RS256' }"] = "expected a public key in PEM",
      ["{ key = ES, alg = 'RS256' }"] = "the key is of another kind", ["{ key = RS, alg = 'ES256' }"] = "the key is of another kind",
      ["{ key = ES, alg = 'ES384' }"] = "the key is on another curve", ["{ keys = { a = ES }, alg = 'HS256' }"] = 'keys["a"]: a PEM file is no secret',
      ["{ keys = { K1 }, alg = 'HS256' }"] = "expected strings as kid", ["{ key = HS, alg = 'HS256', leeway = -1 }"] = "leeway: expected 0 to 3600 seconds",
      ["{ key = HS, alg = 'HS256', query = 't' }"] = "add it to the setting log.redact", ["{ key = HS, alg = 'HS256', audience = {} }"] = "audience: expected a list of strings",
      ["{ key = HS, alg = 'HS256', algorithm = 1 }"] = "unknown option 'algorithm'",
    } do
      local err = helper.load_error(KEYS .. "spate.jwt(" .. options .. ")")
      assert.truthy(err:find(why, 1, true), err)
      assert.truthy(err:find ":14: ", err)
    end
  end)
end)
