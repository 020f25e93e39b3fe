-- SPDX-License-Identifier: MIT
-- Types of files by their names, and which types are texts.
local helper = require "spec.helper"
local folder = require "spec.static_folder"
local write, static, get = folder.write, folder.static, folder.get

describe("a file", function()
  before_each(folder.open)
  after_each(folder.close)

  it("has the type that its name tells", function()
    local server = static()
    for name, type in pairs {
      ["x.html"] = "text/html; charset=utf-8", ["x.js"] = "text/javascript; charset=utf-8", ["x.mjs"] = "text/javascript; charset=utf-8",
      ["x.json"] = "application/json; charset=utf-8", ["X.SVG"] = "image/svg+xml; charset=utf-8", ["x.css"] = "text/css; charset=utf-8",
      ["x.png"] = "image/png", ["x.wasm"] = "application/wasm", ["x.woff2"] = "font/woff2", ["x.tar.gz"] = "application/gzip",
      ["x.7z"] = "application/x-7z-compressed", ["x.zst"] = "application/zstd", ["x.md"] = "text/markdown; charset=utf-8",
      ["x.nothing"] = "application/octet-stream", ["x"] = "application/octet-stream", ["x."] = "application/octet-stream",
      ["html"] = "application/octet-stream", ["x.averyverylongextension"] = "application/octet-stream",
      ["x.h"] = "text/x-c; charset=utf-8", ["x.ht"] = "application/octet-stream", ["x.htm"] = "text/html; charset=utf-8", ["x.htmlx"] = "application/octet-stream",
      ["a.html.gz2"] = "application/octet-stream", ["x.WebManifest"] = "application/manifest+json; charset=utf-8",
    } do
      write("public/" .. name, "x")
      assert.equal(type, get(server, "/assets/" .. name):header "Content-Type", name)
    end
  end)
end)

describe("an answer", function()
  it("is a text by its type", function()
    local server = helper.serve([[
      local long = ("a line of a long text\n"):rep(100)
      app:get("/", function(req) return reply.body(long, req.headers["x-type"]) end)
    ]], { settings = { compress = true } })
    for type, wanted in pairs {
      ["text/x"] = true, ["TEXT/HTML; charset=utf-8"] = true, ["application/json"] = true, ["Application/JSON ; a=b"] = true, ["application/xml"] = true, ["application/javascript"] = true,
      ["application/ld+json"] = true, ["application/rss+XML;q=1"] = true, ["application/manifest+json"] = true, ["image/svg+xml"] = true,
      ["textile/x"] = false, ["text"] = false, ["application/jsonx"] = false, ["application/x-json"] = false, ["application/x+jsonp"] = false, ["image/png; a=+xml"] = false, ["application/octet-stream"] = false,
    } do
      assert.equal(wanted and "gzip" or nil, server:get("/", { headers = { ["Accept-Encoding"] = "gzip", ["X-Type"] = type } }):header "Content-Encoding", type)
    end
    server:close()
  end)
end)
