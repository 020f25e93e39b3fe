-- SPDX-License-Identifier: MIT
-- The program said "too many arguments" and no more: neither how many a command takes, nor how what was meant is written.
local process = require "spec.process"

describe("the command line", function()
  before_each(process.enter)
  after_each(process.leave)

  for written, message in pairs {
    ["new y hub"] = "too many arguments: spate new takes <directory>; a template is an option: spate new -t hub y",
    ["new hub y"] = "too many arguments: spate new takes <directory>; a template is an option: spate new -t hub y",
    ["new hub chat"] = "too many arguments: spate new takes <directory>; a template is an option: spate new -t chat hub",
    ["new y z"] = "too many arguments: spate new takes <directory>",
    ["new -t hub"] = "missing argument 'directory': spate new takes <directory>",
    ["serve app.lua 8080"] = "too many arguments: spate serve takes [<app>]; an address is an option: -l HOST:PORT",
    ["dev app.lua localhost:8080"] = "too many arguments: spate dev takes [<app>]; an address is an option: -l HOST:PORT",
    ["check a.lua b.lua"] = "too many arguments: spate check takes [<app>]",
    ["tail http://a http://b"] = "too many arguments: spate tail takes <url>",
    ["doctor https://a nginx"] = "too many arguments: spate doctor takes <url>; a proxy is an option: --proxy nginx",
    ["store tail a b c"] = "too many arguments: spate store takes <action> <file> [<channel>]",
    ["store info"] = "missing argument 'file': spate store takes <action> <file> [<channel>]",
    ["password secret"] = "too many arguments: spate password takes none; it asks for the password, or reads it from stdin",
    ["version 1"] = "too many arguments: spate version takes none",
    ["-l :8080 app.lua"] = "unknown option '-l'; did you mean 'serve -l'?",
    ["init x"] = "unknown command 'init'; did you mean 'new'?",
    ["start"] = "unknown command 'start'; did you mean 'serve'?",
    ["restart"] = "unknown command 'restart'; did you mean 'reload'?",
  } do
    it("says how it is used: spate " .. written, function()
      local arguments = {}
      for word in written:gmatch "%S+" do arguments[#arguments + 1] = word end
      local command = process.spawn(arguments)
      assert.equal(2, command:wait())
      assert.equal("spate: " .. message, command:stderr():match "^[^\n]*")
    end)
  end

  it("says which template an application is of where its directory has the name of another", function()
    local command = process.spawn { "new", "hub" }
    assert.equal(0, command:wait())
    process.contains(command:stdout(), "It is of the template ticks; of the other: spate new -t hub DIRECTORY")
    command = process.spawn { "new", "-t", "chat", "ticks" }
    assert.equal(0, command:wait())
    assert.falsy(command:stdout():find("It is of", 1, true))
  end)
end)
