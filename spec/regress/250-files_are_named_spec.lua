-- SPDX-License-Identifier: MIT
-- What went wrong with a file was told without saying with which: "No such file or directory" in a log helps nobody, and what was
-- too large to be written was larger than "was asked for".
local helper = require "spec.helper"

local function told(call, limits)
  local server = helper.serve(([[
    local fs = require "spate.fs"
    app:get("/", function()
      local _, message, code = %s
      return message .. "|" .. code
    end)]]):format(call), { settings = { limits = limits } })
  local res = server:get "/"
  server:wait(function() return res:has_ended() end)
  server:close()
  return (res:body())
end

describe("what goes wrong with a file names it, as the script does:", function()
  for call, message in pairs {
    ["fs.read '/no/such'"] = "fs.read: '/no/such': No such file or directory|missing",
    ["fs.read 'no-such'"] = "fs.read: 'no-such': No such file or directory|missing",
    ["fs.read('/etc/passwd', 1)"] = "fs.read: '/etc/passwd': more than 1 bytes|too large",
    ["fs.write('/no/such', 'x')"] = "fs.write: '/no/such': No such file or directory|missing",
    ["fs.list '/no/such'"] = "fs.list: '/no/such': No such file or directory|missing",
    ["fs.tail '/no/such'"] = "fs.tail: '/no/such': No such file or directory|missing",
    ["fs.tail('/etc/passwd', { from = 'x' })"] = "fs.tail: from: not an offset: x|offset",
  } do
    it(call, function() assert.equal(message, told(call)) end)
  end

  it("with the limit that is meant", function()
    assert.equal("fs.write: '/tmp/large': more than 10 bytes (limits.file)|too large", told("fs.write('/tmp/large', ('x'):rep(11))", { file = 10 }))
    assert.equal("fs.read: '/etc/passwd': more than 10 bytes (limits.file)|too large", told("fs.read '/etc/passwd'", { file = 10 }))
    assert.equal("fs.watch: '/etc': more than 1 files are followed (limits.files)|busy",
      told("(function() local first = fs.watch '/tmp' local none, message, code = fs.watch '/etc' first:close() return none, message, code end)()", { files = 1 }))
  end)
end)
