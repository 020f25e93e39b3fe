-- spate test
local t = require "spate.test"

describe("the jobs", function()
  local app = t.load "app.lua"
  before_each(function() app:reset() end) -- a new state, its clock at 0

  local function lines(res)
    local list = {}
    for _, event in ipairs(res:events()) do
      if event.event == "line" then list[#list + 1] = event.json.name .. ": " .. event.json.text end
    end
    return list
  end

  it("run by a click, and everybody sees their lines, also who comes later", function()
    local res = app:get "/events"
    assert.has_event(res, { event = "job", json = { name = "night", running = false, at = "30 3 * * *" } })
    assert.status(202, app:post "/jobs/night")
    assert.status(409, app:post "/jobs/night") -- it runs already
    t.wait(function() return #lines(res) == 2 end) -- programs are real, and take their time
    assert.same({ "night: good night", "night: done" }, lines(res))
    local late = app:get "/events"
    assert.same(lines(res), lines(late))
    res:close()
    late:close()
  end)

  it("run by the clock", function()
    local res = app:get "/events"
    t.advance(5 * 60) -- seconds, in no time
    t.wait(function() return lines(res)[#lines(res)] == "disk: done" end)
    res:close()
  end)

  it("are stopped by a click", function()
    local res = app:get "/events"
    app:post "/jobs/count"
    t.wait(function() return #lines(res) > 0 end)
    assert.status(204, app:delete "/jobs/count")
    t.wait(function() return lines(res)[#lines(res)] == "count: ended: TERM" end)
    assert.status(409, app:delete "/jobs/count")
    res:close()
  end)

  it("are those that the script names", function()
    assert.status(404, app:post "/jobs/rm")
    assert.status(200, app:get "/")
  end)
end)
