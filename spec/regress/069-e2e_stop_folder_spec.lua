-- SPDX-License-Identifier: MIT
-- Without a name, spate stop and spate reload mean a server of this folder: its script is here, or it was started here.
local process = require "spec.process"

describe("without a name", function()
  local directory
  before_each(function()
    directory = process.enter()
    process.shell("mkdir %s/one %s/two %s/two/src", directory, directory, directory)
    for _, path in ipairs { "one/app.lua", "two/app.lua", "two/src/app.lua" } do
      process.write_file(directory .. "/" .. path, 'local app = require("spate").app()\napp:get("/", function() return "x" end)\nreturn app\n')
    end
  end)
  after_each(process.leave)

  local function run(command, folder)
    local started = process.spawn({ command }, { dir = directory .. "/" .. folder })
    local code = started:wait()
    return code, started:stdout(), started:stderr()
  end

  it("neither stop nor reload reaches a server of another folder, be it the only one", function()
    local server = process.serve("app.lua", { dir = directory .. "/one" })
    for _, command in ipairs { "stop", "reload" } do
      local code, out, err = run(command, "two")
      assert.same({ 2, "" }, { code, out })
      process.contains(err, "no server of this folder is running; name one:\n", directory .. "/one/app.lua", tostring(server.pid))
    end
    assert.equal(200, (server:get "/"))
    assert.equal(0, (run("reload", "one")))
    assert.equal(0, (run("stop", "one")))
    assert.same({ 0 }, { server:wait() })
    assert.equal(1, (run("stop", "one")))
  end)

  it("they reach one that was started here, and ask where there are several", function()
    local inner = process.serve("src/app.lua", { dir = directory .. "/two" })
    local other = process.serve("app.lua", { dir = directory .. "/one" })
    assert.equal(0, (run("stop", "two")))
    assert.same({ 0 }, { inner:wait() })
    local second = process.serve(directory .. "/one/app.lua", { dir = directory .. "/one" })
    local code, _, err = run("stop", "one")
    assert.equal(2, code)
    process.contains(err, "several servers of this folder are running; name one:", tostring(other.pid), tostring(second.pid))
    other:stop()
    second:stop()
  end)
end)
