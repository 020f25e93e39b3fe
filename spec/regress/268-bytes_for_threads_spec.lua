-- SPDX-License-Identifier: MIT
-- What waited for a thread was bounded by how many there were, each as large as a file may be: a thousand of them took all memory.
local helper = require "spec.helper"

local APP = [[
local fs = require "spate.fs"
local DIR = %q
local function all(fn)
  local tasks, list = {}, {}
  for i = 1, 4 do tasks[i] = sse.spawn(fn, i) end
  for i, task in ipairs(tasks) do list[i] = task:join() end
  return table.concat(list, ", ")
end
local function told(value, message, code)
  if value == nil then return code .. ": " .. message:gsub("^.*: ", "") end
  return type(value) == "string" and #value or tostring(value)
end
app:get("/write", function() return all(function(i) return told(fs.write(DIR .. "/" .. i, ("x"):rep(400))) end) end)
app:get("/read", function() return all(function(i) return told(fs.read(DIR .. "/" .. i)) end) end)
app:get("/give", function() return all(function() return told(spate.offload("string", "len", ("x"):rep(400))) end) end)
app:get("/get", function()
  return all(function()
    local ok, text = pcall(spate.offload, "string", "rep", "x", 400)
    return ok and #text or text:gsub("^[^ ]* ", "")
  end)
end)
app:get("/large", function() return told(fs.write(DIR .. "/large", ("x"):rep(2000))) end)
]]

describe("what waits for a thread", function()
  local folder, server

  before_each(function()
    folder = os.tmpname()
    os.execute(("rm %s && mkdir %s && cd %s && for i in 1 2 3 4; do printf '%%0400d' 0 > $i; done"):format(folder, folder, folder))
    server = helper.serve(APP:format(folder), { settings = { limits = { work = 1000 } } })
  end)

  after_each(function()
    server:close()
    os.execute("rm -r " .. folder)
  end)

  local BUSY = "busy: too much waits for a thread already"
  for path, expected in pairs {
    ["/write"] = ("true, true, %s, %s"):format(BUSY, BUSY),
    ["/read"] = ("400, 400, %s, %s"):format(BUSY, BUSY),
    ["/give"] = ("400, 400, %s, %s"):format(BUSY, BUSY),
  } do
    it("holds no more bytes than limits.work: " .. path, function()
      for _ = 1, 2 do -- and gives them back
        local res = server:get(path)
        server:wait(function() return res:has_ended() end)
        assert.equal(expected, (res:body()))
      end
      assert.equal("4", server.core:run [[return tostring(require("spate").stats().work_busy_total)]])
    end)
  end

  it("holds what comes of it as well", function()
    local raised = "spate.offload: string.rep: results of 409 bytes: more waits than limits.work allows"
    for _ = 1, 2 do
      assert.equal(("400, 400, %s, %s"):format(raised, raised), (server:get("/get"):body()))
    end
  end)

  it("may be larger where it is the only one", function()
    for _ = 1, 2 do assert.equal("true", (server:get("/large"):body())) end
  end)
end)
