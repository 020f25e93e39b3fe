-- SPDX-License-Identifier: MIT
-- Counts of the inspector's JSON were printed as floats: "descriptors": 18.0, which who reads JSON into integers refuses.
local helper = require "spec.helper"

local SECONDS = { cpu = true, time = true, started_at = true, at = true, age = true, lag = true, silent = true, oldest = true, busy = true, ttl = true }
local RATES = { rates = true } -- events a second and the like

local function look_for_floats(value, path, found)
  for key, each in pairs(value) do
    local name = ("%s.%s"):format(path, key)
    if type(each) == "table" and not RATES[key] then look_for_floats(each, name, found) end
    if math.type(each) == "float" and not SECONDS[key] then found[#found + 1] = name end
  end
  return found
end

describe("the inspector's JSON", function()
  it("has its counts as integers", function()
    local server = helper.serve [[
app:mount("/-", spate.admin { hosts = "any", authorize = function() return true end })
local news = sse.channel("news", { history = 10 })
app:get("/news", function() return sse.reply(news:subscribe()) end)]]
    local stream = server:get "/news"
    server:turn()
    for _, view in ipairs { "stats", "overview", "streams", "channels", "tasks", "upstreams", "log" } do
      local res = server:get("/-/api/" .. view)
      server:turn()
      assert.equal(200, res:status(), view)
      local found = look_for_floats(res:json(), view, {})
      assert.same({}, found)
    end
    stream:close()
    server:close()
  end)
end)
