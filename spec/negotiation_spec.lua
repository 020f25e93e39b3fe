-- SPDX-License-Identifier: MIT
-- What a client would rather have: by Accept an error as JSON or as text, by Accept-Encoding a coding or none.
local helper = require "spec.helper"
local folder = require "spec.static_folder"

describe("the type of an error", function()
  local server

  before_each(function() server = helper.serve [[ app:get("/", function() return "x" end) ]] end)
  after_each(function() server:close() end)

  local function is_json(accept)
    local type = server:get("/none", { headers = { Accept = accept } }):header "Content-Type"
    return assert(type == "application/json" or type == "text/plain; charset=utf-8", type) and type == "application/json"
  end

  it("is the one that Accept likes better", function()
    for accept, wants_json in pairs {
      ["*/*"] = false, ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"] = false,
      ["text/event-stream"] = false, ["application/json, text/plain, */*"] = true, ["text/plain, application/json"] = false,
      ["application/json, */*"] = true, ["application/*"] = true, ["text/*, application/*"] = false,
      ["application/json;q=0.5, text/plain;q=0.4"] = true, ["application/json;q=0.4, text/plain;q=0.5"] = false,
      ["application/json;q=0"] = false, ["*/*;q=0.5, application/json;q=0.4"] = false, ["*/*;q=0.1, application/json"] = true,
      ["APPLICATION/JSON;Q=1.000"] = true, [" application/json ; charset=utf-8 ; q=0.3 ,text/plain;q=0.2"] = true,
      ["application/json, text/plain, application/json"] = true, ["application/json;q=0.9, text/plain;q=0.5, application/json;q=0.1"] = true,
      ["application/json;q=x"] = true, ["text/event-stream, application/json"] = true, [""] = false, [",,;,;q=1,"] = false,
      ["*/*;q=0.9, application/*;q=0.1, text/plain;q=0.5"] = false, ["text/*;q=0.1, */*;q=0.9"] = true, ["application/*;q=0.1, */*;q=0.9"] = false,
      ["*/*;q=0.9, text/*;q=0.1"] = true, ["image/png"] = false, ["application/*;q=0.001"] = true, ["text/plain;q=0, */*;q=0.001"] = true,
      ["text/plain;q=0.5, application/json;q=0.499"] = false, ["application/json;q=0.5, text/plain;q=0.499"] = true, ["text/plain;q=0.4999, application/json;q=0.5"] = true,
      ["application/json;q=0.4999, text/plain;q=0.5"] = false, ["application/json;x=q=1;q=0.1, text/plain;q=0.2"] = false, ["application/json;q=0.2/, text/plain;q=0.9"] = true,
      ["application/json;q=0.2:, text/plain;q=0.9"] = true, ["application/json;q=1.5, text/plain;q=1"] = true, ["text/plain;q=1.5, application/json;q=1.9"] = false,
      ["text/plain;q=0.1;q=1, application/json;q=0.2"] = true, ["application/json;r=0.1, text/plain;q=0.9"] = true, ["application/json;q:0.1, text/plain;q=0.9"] = true,
      ["application/json;q=0x1, text/plain;q=0.4"] = true, ["application/json;q=0.1, text/plain;q=0.4"] = false, ["application/jsonx"] = false, ["text/*;q=0.5, text/plain;q=0.9, application/json;q=0.8"] = false,
    } do
      assert.equal(wants_json, is_json(accept), accept)
    end
  end)

  it("is that of all Accept fields together", function()
    local function of(...)
      local lines = {}
      for i, accept in ipairs { ... } do lines[i] = "Accept: " .. accept .. "\r\n" end
      return server:send("GET /none HTTP/1.1\r\nHost: a\r\n" .. table.concat(lines) .. "\r\n"):header "Content-Type"
    end
    assert.equal("application/json", of("text/html", "application/json"))
    assert.equal("application/json", of("text/plain;q=0.5", "application/json"))
    assert.equal("text/plain; charset=utf-8", of("text/plain", "application/json"))
    assert.equal("application/json", of("application/json", "text/plain"))
  end)

  it("has qualities of three digits, between 0 and 1", function()
    for quality = 0, 1000, 37 do
      local text, more, less = ("%d.%03d"):format(quality // 1000, quality % 1000), quality + 1, quality - 1
      local function json_at(n) return is_json(("text/plain;q=%s, application/json;q=%d.%03d"):format(text, n // 1000, n % 1000)) end
      if quality < 1000 then assert.is_true(json_at(more), text) end
      if quality > 0 then assert.is_false(json_at(less), text) end
      assert.is_false(json_at(quality), text)
    end
    for one in ("1 1. 1.0 1.00 1.000 1.0009 1.9 2 9.5"):gmatch "%S+" do
      assert.is_false(is_json(("text/plain, application/json;q=%s"):format(one)), one)
      assert.is_true(is_json(("text/plain;q=0.999, application/json;q=%s"):format(one)), one)
    end
  end)
end)

describe("the coding of a text", function()
  local server

  before_each(function() server = helper.serve([[ app:get("/text", function() return ("a line of a long text\n"):rep(100) end) ]], { settings = { compress = true } }) end)
  after_each(function() server:close() end)

  it("is gzip where the client asks for that, and likes it no less than none", function()
    for accepted, wanted in pairs {
      ["gzip"] = true, ["GZIP;Q=1"] = true, ["x-gzip"] = true, ["br, *"] = true, ["gzip;q=0.001"] = true, ["gzip;q=0.0001"] = false, ["gzip;q=0"] = false, ["gzip;q=x"] = false, ["gzip;q="] = false,
      ["identity, gzip;q=0.999"] = false, ["identity;q=0.5, gzip;q=0.5"] = true, ["*;q=0"] = false, ["deflate, br"] = false, ["identity"] = false, [""] = false, ["gzip;q=0, *"] = false, ["br;q=1, gzip;q=0.1"] = true,
    } do
      assert.equal(wanted and "gzip" or nil, server:get("/text", { headers = { ["Accept-Encoding"] = accepted } }):header "Content-Encoding", accepted)
    end
    local several = server:send "GET /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\nAccept-Encoding: gzip\r\n\r\n"
    assert.equal("gzip", several:header "Content-Encoding")
  end)
end)

describe("the coding of a file", function()
  local server

  before_each(function()
    folder.open()
    for suffix, text in pairs { [""] = "plain", [".br"] = "brotli", [".gz"] = "zipped" } do folder.write("public/app.js" .. suffix, text) end
    server = folder.static()
  end)
  after_each(folder.close)

  local function body(accepted) return (folder.get(server, "/assets/app.js", { ["Accept-Encoding"] = accepted }):body()) end

  it("is the one that the client prefers, of those that lie beside it", function()
    for accepted, expected in pairs {
      ["gzip, deflate, br"] = "brotli", ["gzip"] = "zipped", ["x-gzip"] = "zipped", ["br;q=0.5, gzip;q=0.8"] = "zipped",
      ["GZIP"] = "zipped", ["*"] = "brotli", ["*;q=0.5, br;q=0"] = "zipped", ["gzip;q=0"] = "plain", ["deflate"] = "plain", [""] = "plain",
      ["identity"] = "plain", ["gzip;q=0.5, identity"] = "plain", ["br ; q=0.001"] = "brotli", ["br;q=x"] = "plain", ["br;q=0.000"] = "plain",
      ["gzip;q=1.000, br;q=1"] = "brotli", ["gzip;q=0.002, br;q=0.001"] = "zipped", ["gzip;q=0.5, br;q=0"] = "zipped", ["br;q=0.5, identity;q=0.6"] = "plain", ["br;q=0.6, gzip;q=0.5, identity;q=0.6"] = "brotli",
      ["br;q=0.5, gzip;q=0.6, identity;q=0.6"] = "zipped", ["*;q=0.5, identity;q=0.6"] = "plain", ["*;q=0.6, gzip;q=0.7"] = "zipped", ["*, identity;q=0"] = "brotli", ["br;q=0, *"] = "zipped", ["deflate, identity;q=0"] = "plain",
      ["gzip;q=0.5, br;q=0.5"] = "brotli", ["BR"] = "brotli", ["bro, gzi, x-br"] = "plain", ["br, *;q=0"] = "brotli", ["X-GZIP;q=0.3"] = "zipped", ["Identity;q=0.5, gzip;q=0.4"] = "plain",
    } do
      assert.equal(expected, body(accepted), accepted)
    end
    assert.equal("plain", body())
  end)

  it("is the next best where the best does not lie there", function()
    os.remove(folder.path .. "/public/app.js.br")
    for accepted, expected in pairs { ["gzip, br"] = "zipped", ["br, gzip;q=0.5"] = "zipped", ["*"] = "zipped", ["br"] = "plain", ["br, gzip;q=0"] = "plain" } do assert.equal(expected, body(accepted), accepted) end
    os.remove(folder.path .. "/public/app.js.gz")
    folder.write("public/app.js.br", "brotli")
    for accepted, expected in pairs { ["gzip, br"] = "brotli", ["gzip, br;q=0.5"] = "brotli", ["gzip"] = "plain", ["gzip, br;q=0"] = "plain" } do assert.equal(expected, body(accepted), accepted) end
  end)
end)
