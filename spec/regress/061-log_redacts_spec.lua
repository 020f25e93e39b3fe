-- SPDX-License-Identifier: MIT
-- Secrets in a query stay out of the log: in whatever case their names are written, and in the line about a file that
-- has become shorter.
local helper = require "spec.helper"

local function logged(server, target)
  server:get(target)
  return (server:log():match "target=(%S+)")
end

it("names of secrets are known in any case", function()
  local server = helper.serve [[ app:get("/", function() return "" end) ]]
  assert.equal("/?Token=***&ACCESS_TOKEN=***&a=b", logged(server, "/?Token=x&ACCESS_TOKEN=y&a=b"))
  assert.equal("/?%54oken=***", logged(server, "/?%54oken=x"))
  server:close()
end)

it("names that are longer than any secret's are none, and what has no value keeps that", function()
  local server = helper.serve [[ app:get("/", function() return "" end) ]]
  for _, len in ipairs { 50, 90, 150, 200, 500 } do
    local target = "/?" .. ("n"):rep(len) .. "=v&token&token=&a"
    assert.equal(target, logged(server, target))
  end
  server:close()
end)

it("a target is written as it came, but for the secrets in it", function()
  local server = helper.serve [[ app:get("/", function() return "" end) ]]
  for target, as in pairs {
    ["/?"] = "/?", ["/?&"] = "/?&", ["/?a&&b=&"] = "/?a&&b=&", ["/?token"] = "/?token", ["/?token=x&"] = "/?token=***&", ["/?token=a=b&c"] = "/?token=***&c",
    ["/?token=?token=x"] = "/?token=***", ["/?a=1?token=x"] = "/?a=1?token=x", ["/token=x"] = "/token=x", ["/?=x"] = "/?=x", ["/?%zz=x&%zztoken=y"] = "/?%zz=x&%zztoken=y",
    ["/?&token=x&token=yy"] = "/?&token=***&token=***", ["/?t%6Fke%6e=x&to+ken=y"] = "/?t%6Fke%6e=***&to+ken=y",
  } do assert.equal(as, logged(server, target)) end
  server:close()
end)

it("names in the settings are of any case, too", function()
  local server = helper.serve([[ app:get("/", function() return "" end) ]], { settings = { log = { redact = { "SessionKey" } } } })
  assert.equal("/?sessionkey=***&token=x", logged(server, "/?sessionkey=1&token=x"))
  server:close()
end)

it("a file that has become shorter is named without secrets", function()
  local path = os.tmpname()
  local function write(n) local f <close> = assert(io.open(path, "wb")) f:write(("x"):rep(n)) end
  write(4 << 20)
  local server = helper.serve(([[ app:get("/f", function() return reply.file(%q) end) ]]):format(path))
  local client = server:connect()
  client:window(100000)
  server:get("/f?token=secret&a=b", { client = client })
  write(10)
  client:window()
  server:turn()
  local log = server:log()
  os.remove(path)
  assert.truthy(log:find("a file has become shorter while it was sent: /f?token=***&a=b", 1, true), log)
  assert.is_nil(log:find("secret", 1, true))
  server:close()
end)
