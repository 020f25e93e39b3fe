-- SPDX-License-Identifier: MIT
-- The archives: the program with its libraries in bare Debian 12 and 13, where nothing is installed, and the source.
local built = require "spec.packages.built"
local debian_root = require "spec.debian_root"
local process = require "spec.process"
local servers = require "spec.servers"
local socket = require "socket"

process.SECONDS = 60 -- beside much else

local function wanted(release) return (os.getenv "RELEASE" or "") == "" or os.getenv "RELEASE" == release end

describe("the archive of the program", function()
  local directory, archive

  setup(function()
    directory = process.enter()
    archive = built.archive(directory)
  end)
  teardown(process.leave)

  for release in pairs(debian_root.RELEASES) do
    if wanted(release) then
      it("comes to its first event without apt on Debian " .. release, function()
        local root, port = debian_root.new(release, directory), servers.free_port()
        local began = socket.gettime()
        root:run("cd /root && tar -xzf %s && mv spate-0.1.0-linux-* /opt/spate", (archive:gsub("^" .. process.ROOT:gsub("%p", "%%%0"), "/project")))
        root:run("cd /root && export PATH=/opt/spate/bin:$PATH && spate new hello && cd hello && (spate dev -l 127.0.0.1:%d >/tmp/dev.log 2>&1 </dev/null &)", port)
        process.eventually("the server", function() return root:read "/tmp/dev.log":find "serving" end)
        local curl = built.run(("curl -sN -m 20 http://127.0.0.1:%d/ticks | head -4"):format(port))
        print(("\nDebian %s: from the archive to the first event %.1f s"):format(release, socket.gettime() - began))
        process.contains(curl, "event: tick\nid: 1\ndata: 1\n")
        process.contains(root:run("PATH=/opt/spate/bin:$PATH; spate tail --json localhost:%d/ticks | head -1", port), '"event":"tick"')
        root:run("cd /root/hello && PATH=/opt/spate/bin:$PATH && sed -i 's/\"tick\"/\"tock\"/' app.lua && spate check")
        process.eventually("the edit", function()
          local stream = process.ask(port, "/ticks")
          local whole, bytes = pcall(process.read_until, stream, "data: 1\n") -- one of the old code ends when the new comes
          stream:close()
          return whole and bytes:find("event: tock\n", 1, true)
        end)
        root:run "cd /root/hello && /opt/spate/bin/spate stop"
        -- glibc alone is the system's.
        for library in root:run("ldd /opt/spate/bin/spate"):gmatch "=> (/%S+)" do
          local is_ours = library:find "^/opt/spate/" -- also "bin/../lib"
          local is_of_glibc = library:find "/lib[cm]%.so%.6$" or library:find "/libresolv%.so%.2$" or library:find "/lib%a+%.so%.[0-9]+$" and
            root:run("dpkg -S %s 2>/dev/null || dpkg -S /usr%s 2>/dev/null || true", library, library):find "^libc6:"
          assert.truthy(is_ours or is_of_glibc, library)
        end
        assert.is_nil(root:run("ls /opt/spate/lib"):find "libc%.so")
        root:run [[for l in /opt/spate/lib/*; do test -s "$l"; done; cd /opt/spate/share/doc/licences && test -s libssl3 && test -s libcurl4 && test -s libgmp10 && test -s liblua5.4-dev && test -s ../LICENSE]]
        root:close()
      end)
    end
  end

  it("of the source has the same bytes each time, and builds", function()
    local function make() return built.run "make dist-source >/dev/null && sha256sum build/packages/spate-0.1.0.tar.gz" end
    local first = make()
    assert.equal(first, make())
    built.run(("tar -xzf build/packages/spate-0.1.0.tar.gz -C %s"):format(directory))
    if built.run "git -c safe.directory='*' status --porcelain":gsub("%s", "") == "" then -- it has what is committed
      built.run(("cd %s/spate-0.1.0 && { [ ! -e %s/build/deps ] || { mkdir build && cp -r %s/build/deps build/; }; } && make -j2 all CFLAGS=-O0 && ./build/spate version")
        :format(directory, process.ROOT, process.ROOT))
    end
  end)
end)
