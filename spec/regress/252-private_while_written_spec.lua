-- SPDX-License-Identifier: MIT
-- fs.write of a file that only its owner may read made the new one as the umask says and took the rights away before it wrote:
-- who had opened it in between read what came. What it is made with is seen by strace.
local process = require "spec.process"

local it = os.execute "strace -o /dev/null true 2>/dev/null" and it or pending
if it == pending then io.stderr:write "spec/regress/252: skipped, as strace is not installed\n" end
-- The leak checker traces as well, and two cannot.
local ENVIRONMENT = os.getenv "ASAN_OPTIONS" and " ASAN_OPTIONS=detect_leaks=0" or ""

describe("fs.write", function()
  after_each(process.leave)

  it("of a private file never has one that others may open", function()
    local directory = process.enter()
    process.shell("cd %s && touch secret && chmod 600 secret", directory)
    local server = process.serve([[
      local fs = require "spate.fs"
      app:get("/", function()
        assert(fs.write("secret", "x"))
        assert(fs.write("fresh", "x"))
        return "ok"
      end)]], { environment = ENVIRONMENT, wrapper = ("strace -D -f -e trace=openat -o %s/calls"):format(directory) })
    assert.equal("ok", (select(2, process.get(server.port, "/"))))
    server:stop()
    local modes = {}
    process.eventually("the calls", function()
      modes = {}
      for mode in process.read_file(directory .. "/calls"):gmatch "%.tmp\", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, (%d+)" do modes[#modes + 1] = mode end
      return #modes == 2
    end)
    assert.same({ "0600", "0666" }, modes)
  end)
end)
