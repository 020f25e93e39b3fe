-- SPDX-License-Identifier: MIT
-- An answer that began while the body's iterator waited came when that went on, and was dropped for what it gave next, where
-- that was more than the body's length. Of an error's answer no more of the body is sent: silence in it was no timeout, since
-- it was the body that was waited for, and libcurl did not end it.
local http_app = require "spec.http_app"
local process = require "spec.process"
local servers = require "spec.servers"

describe("an answer that begins while the body's iterator waits", function()
  local bad, plain, proxied

  setup(function()
    local dir = process.enter()
    process.write_file(dir .. "/log", "")
    bad = servers.run(("lua5.4 %s/spec/misbehaving_server.lua %s/log"):format(process.ROOT, dir))
    plain = process.serve(http_app.SOURCE, { environment = http_app.SANITIZER })
    proxied = process.serve(http_app.SOURCE, { environment = ("http_proxy=http://127.0.0.1:%d"):format(bad.port) .. http_app.SANITIZER })
  end)

  teardown(function()
    plain:stop()
    proxied:stop()
    servers.stop()
    process.leave()
  end)

  -- Status, body and code; the second piece comes once the answer has begun.
  local function post(server, path, length)
    local answer = http_app.run(server, [[
      local came = spate.stats().http_bytes_in_total
      local n = 0
      local function body()
        n = n + 1
        while n > 1 and spate.stats().http_bytes_in_total == came do sse.sleep(0.01) end
        return "ab"
      end
      local res, _, failed = http.post("http://127.0.0.1:%d%s", { body = body, length = %d, timeout = { idle = 1, total = 8 } })
      if not res then return nil, nil, failed end
      local text, message, code = res:body()
      return res.status, text, code or "", message or ""
    ]], bad.port, path, length)
    assert.same({ 0 }, http_app.run(server, "return spate.stats().http_requests"))
    return answer
  end

  for name, server in pairs { ["by a connection of ours"] = function() return plain end, ["by libcurl"] = function() return proxied end } do
    describe(name, function()
      it("is broken off where the body is longer than its length", function()
        assert.same({ 200, "nil", "closed", "the response is closed" }, post(server(), "/silent-body", 3))
      end)

      it("is there before the iterator goes on", function()
        local answer = http_app.run(server(), [[
          local goes_on, is_late, n = false, false, 0
          local function body()
            n = n + 1
            local late = sse.now() + 5
            while n > 1 and not goes_on and not is_late do
              sse.sleep(0.01)
              is_late = sse.now() > late
            end
            return n < 3 and ("x"):rep(1000) or nil
          end
          local res = http.post("http://127.0.0.1:%d/early", { body = body, length = 2000 })
          goes_on = true
          return res.status, is_late, res:body()
        ]], bad.port)
        assert.same({ 200, false, "2000" }, answer)
      end)

      it("is complete where it is an error", function()
        for _, length in ipairs { 3, 4, 100 } do assert.same({ 413, "first", "", "" }, post(server(), "/refused", length)) end
      end)

      it("is waited for no longer than any other", function()
        for _, length in ipairs { 3, 100 } do
          local answer = post(server(), "/refused-in-part", length)
          assert.same({ 413, "nil", "timeout" }, { answer[1], answer[2], answer[3] })
          process.contains(answer[4], "nothing came or went for too long")
        end
      end)
    end)
  end
end)
