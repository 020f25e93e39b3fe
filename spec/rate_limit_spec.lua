-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

local server

local function serve(options, settings)
  server = helper.serve(([[
app:use(spate.rate_limit { %s })
app:get("/", function() return "ok" end)
app:get("/keys", function() return spate.shared("limits"):keys() end)
]]):format(options), settings)
end

local function get(peer, target, headers)
  local client = server:connect():address(peer or "192.0.2.1")
  return server:get(target or "/", { client = client, headers = headers })
end

-- How many of `count` requests pass.
local function passing(count, ...)
  local passed = 0
  for _ = 1, count do passed = passed + (get(...):status() == 200 and 1 or 0) end
  return passed
end

describe("spate.rate_limit", function()
  after_each(function() server:close() end)

  it("lets a burst pass, then the rate", function()
    serve "rate = 10, burst = 20"
    assert.equal(20, passing(30))
    assert.equal(0, passing(1))
    server:advance(0.1)
    assert.equal(1, passing(5))
    server:advance(1)
    assert.equal(10, passing(30))
    server:advance(60)
    assert.equal(20, passing(30))
  end)

  it("keeps the rate over a long time, whatever the requests' spacing", function()
    serve "rate = 3, per = 10, burst = 1"
    local passed = 0
    for _ = 1, 1000 do
      passed = passed + passing(1)
      server:advance(0.1)
    end
    assert.equal(30, passed)
  end)

  it("says when to come back, in whole seconds", function()
    serve "rate = 1, per = 10, burst = 1"
    assert.equal(200, get():status())
    local res = get()
    assert.equal(429, res:status())
    assert.equal("10", res:header "Retry-After")
    server:advance(4.5)
    assert.equal("6", get():header "Retry-After")
    server:advance(5.4)
    assert.equal("1", get():header "Retry-After")
    server:advance(0.1)
    assert.equal(200, get():status())
  end)

  it("counts each client on its own, an IPv6 client by its network", function()
    serve "rate = 1, burst = 2"
    assert.equal(2, passing(5, "192.0.2.1"))
    assert.equal(2, passing(5, "192.0.2.2"))
    assert.equal(2, passing(5, "2001:db8:0:1::1"))
    assert.equal(0, passing(5, "2001:db8:0:1:ffff::2"))
    assert.equal(2, passing(5, "2001:db8:0:2::1"))
  end)

  it("counts by a key of one's own; nil is not counted", function()
    serve [[rate = 1, burst = 1, key = function(req) return req.headers["x-key"] end]]
    assert.equal(1, passing(3, nil, "/", { ["X-Key"] = "a" }))
    assert.equal(1, passing(3, "192.0.2.9", "/", { ["X-Key"] = "b" }))
    assert.equal(3, passing(3))
    local long = ("k"):rep(4000)
    assert.equal(1, passing(3, nil, "/", { ["X-Key"] = long .. "1" }))
    assert.equal(1, passing(3, nil, "/", { ["X-Key"] = long .. "2" }))
    assert.equal("", server:log():gsub("[^\n]* request [^\n]*\n", ""))
  end)

  it("keeps the parts of a key apart", function()
    serve [[rate = 1, burst = 1, store = "limits", key = function(req) return req.query.a, req.query.b end]]
    for _, target in ipairs { "/?a=a_b&b=c", "/?a=a&b=b_c", "/?a=ab&b=c", "/?a=a&b=bc", "/?a=abc&b=", "/?a=1:a&b=1:b", "/?a=&b=1:a1:b", "/?a=abc" } do
      assert.equal(1, passing(2, nil, target), target)
    end
  end)

  it("has one count for all workers, and for all limits with the same store", function()
    local limit = [[rate = 1, burst = 4, store = "limits"]]
    serve(limit)
    local first = server
    serve(limit, { with = first.core, worker = 1 })
    local second = server
    assert.equal(2, passing(2))
    server = first
    assert.equal(2, passing(5))
    server = second
    assert.equal(0, passing(1))
    second:close()
    server = first
  end)

  it("forgets who has not come for long enough", function()
    serve [[rate = 1, burst = 3, store = "limits", key = function(req) return req.path == "/" and req.remote_addr or nil end]]
    for i = 1, 50 do get("192.0.2." .. i) end
    assert.equal(50, #get("-", "/keys"):json())
    server:advance(1.1)
    assert.equal(0, #get("-", "/keys"):json())
  end)

  it("answers with another status", function()
    serve "rate = 1, burst = 1, status = 503"
    get()
    assert.equal(503, get():status())
  end)

  it("lets pass what it has no room to count, and says so once a second", function()
    serve([[rate = 1, per = 1000, burst = 1, key = function(req) return req.query.k end]], { settings = { limits = { shared = 8192 } } })
    for i = 1, 300 do assert.equal(200, get(nil, "/?k=" .. i):status()) end
    local _, lines = server:log():gsub("no room in limits.shared", "")
    assert.equal(1, lines)
    assert.equal(429, get(nil, "/?k=1"):status()) -- what is counted stays so
    server:advance(1)
    assert.equal(200, get(nil, "/?k=x"):status())
    local passed = tonumber(server:log():match "no room in limits.shared, requests pass uncounted passed=(%d+)")
    assert.is_true(passed > 100 and passed < 300)
  end)
end)

describe("its options", function()
  it("are checked at load", function()
    for options, why in pairs {
      ["{}"] = "rate: expected a number above 0, got nil", ["{ rate = 0 }"] = "rate: expected a number above 0, got 0",
      ["{ rate = 0/0 }"] = "rate: expected a number above 0", ["{ rate = 1, per = 0 }"] = "per: expected more than 0 seconds",
      ["{ rate = 1, burst = 0 }"] = "burst: expected a whole number of 1 or more", ["{ rate = 1, burst = 1.5 }"] = "burst: expected a whole number",
      ["{ rate = 1, status = 200 }"] = "status: expected an integer from 400", ["{ rate = 1, key = 'ip' }"] = "key: expected a function, got string",
      ["{ rate = 1, limit = 2 }"] = "unknown option 'limit'",
    } do
      local err = helper.load_error("\nspate.rate_limit(" .. options .. ")")
      assert.truthy(err:find(why, 1, true), err)
      assert.truthy(err:find ":4: ", err)
    end
  end)
end)
