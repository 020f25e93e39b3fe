-- SPDX-License-Identifier: MIT
local gunzip = require "spec.gunzip"
local helper = require "spec.helper"

local GZIP = { ["Accept-Encoding"] = "gzip" }
local LONG = ("a line of a long text\n"):rep(100)

local APP = [[
local long = ("a line of a long text\n"):rep(100)
app:get("/text", function() return reply.text(long) end)
app:get("/html", function() return reply.html(long) end)
app:get("/json", function() return { text = long } end)
app:get("/image", function() return reply.body(long, "image/png") end)
app:get("/svg", function() return reply.body(long, "image/svg+xml") end)
app:get("/short", function() return reply.text(long:sub(1, 1023)) end)
app:get("/least", function() return reply.text(long:sub(1, 1024)) end)
app:get("/huge", function() return reply.text(long:rep(500)) end)
app:get("/no", function() return reply.text(long):compress(false) end)
app:get("/yes", function() return reply.text(long):compress(true) end)
app:get("/fixed", function() return reply.text(long):header("Cache-Control", "private, no-transform") end)
app:get("/coded", function() return reply.text(long):header("Content-Encoding", "br") end)
app:get("/tag", function() return reply.text(long):header("ETag", '"v1"') end)
app:get("/weak", function() return reply.text(long):header("ETag", 'W/"v1"') end)
app:get("/noise", function()
  local bytes = {}
  for i = 1, 2000 do bytes[i] = string.char(math.random(0, 255)) end
  return reply.body(table.concat(bytes), "text/plain")
end)
app:get("/bad", function() return reply.text("x"):compress "gzip" end)
app:get("/error", function() return reply.text(long, 500) end)
]]

describe("a reply", function()
  local server

  after_each(function() server:close() end)

  it("is compressed where it is a text of 1 KiB or more and the settings or the reply want it", function()
    for _, on in ipairs { true, false } do
      server = helper.serve(APP, { settings = { compress = on } })
      for target, wanted in pairs {
        ["/text"] = on, ["/html"] = on, ["/json"] = on, ["/svg"] = on, ["/least"] = on, ["/yes"] = true, ["/error"] = on, ["/image"] = false,
        ["/short"] = false, ["/huge"] = false, ["/no"] = false, ["/fixed"] = false,
      } do
        local res, plain = server:get(target, { headers = GZIP }), server:get(target)
        assert.equal(wanted and "gzip" or nil, res:header "Content-Encoding", target)
        assert.equal(wanted and "Accept-Encoding" or nil, res:header "Vary", target)
        assert.equal(wanted and "Accept-Encoding" or nil, plain:header "Vary", target)
        assert.is_nil(plain:header "Content-Encoding")
        assert.is_true(res:has_ended())
        if wanted then
          local body = gunzip(res)
          assert.equal((plain:body()), body:read())
          assert.is_true(body:has_ended())
          assert.is_true(tonumber(res:header "Content-Length") * 4 < tonumber(plain:header "Content-Length"))
        else assert.equal((plain:body()), (res:body())) end
      end
      if on then server:close() end
    end
  end)

  it("has the head of its GET where HEAD is asked", function()
    server = helper.serve(APP, { settings = { compress = true } })
    local get, head = server:get("/text", { headers = GZIP }), server:request("HEAD", "/text", { headers = GZIP })
    assert.equal(get:header "Content-Length", head:header "Content-Length")
    assert.equal("gzip", head:header "Content-Encoding")
    assert.is_truthy(head:raw():find "\r\n\r\n$")
  end)

  it("has a weak tag in place of a strong one", function()
    server = helper.serve(APP, { settings = { compress = true } })
    assert.equal('W/"v1"', server:get("/tag", { headers = GZIP }):header "ETag")
    assert.equal('"v1"', server:get("/tag"):header "ETag")
    assert.equal('W/"v1"', server:get("/weak", { headers = GZIP }):header "ETag")
  end)

  it("is left as it is where that is shorter, or the script has coded it", function()
    server = helper.serve(APP, { settings = { compress = true } })
    local res = server:get("/noise", { headers = GZIP })
    assert.is_nil(res:header "Content-Encoding")
    assert.equal("Accept-Encoding", res:header "Vary")
    assert.equal(2000, #res:body())
    res = server:get("/coded", { headers = GZIP })
    assert.equal("br", res:header "Content-Encoding")
    assert.is_nil(res:header "Vary")
    assert.equal(LONG, (res:body()))
  end)

  it("says what compress takes", function()
    server = helper.serve(APP)
    assert.equal(500, server:get("/bad"):status())
    assert.is_truthy(server:log():find("r:compress: expected true or false, got gzip", 1, true))
  end)
end)
