-- SPDX-License-Identifier: MIT
-- An upload that had to go to the disk while no descriptor was left was a 500, as if something were broken for good. It is
-- a 503, as everything else is that lacks one.
local helper = require "spec.helper"

local BODY = '--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' .. ("x"):rep(1000) .. "\r\n--B--\r\n"

describe("an upload that goes to the disk", function()
  it("is a 503 while there are no descriptors, and is taken again then", function()
    local server = helper.serve([[
      app:post("/", function(req)
        local fields, files, status = req:form()
        if not fields then return reply.error(status, files) end
        return tostring(files.f.size)
      end)]], { settings = { limits = { spool = 100 } } })
    local function post()
      local res = server:post("/", { body = BODY, headers = { ["Content-Type"] = "multipart/form-data; boundary=B" } })
      local text = res:body()
      return { res:status(), text }
    end
    helper.harness.limit_descriptors(0)
    local refused = post()
    helper.harness.limit_descriptors()
    assert.same({ 503, "cannot store the upload: Too many open files\n" }, refused)
    assert.same({ 200, "1000" }, post())
    server:close()
  end)
end)
