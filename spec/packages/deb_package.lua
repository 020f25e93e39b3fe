-- SPDX-License-Identifier: MIT
-- The Debian packages in bare Debian 12 and 13: installed, serving as their unit has it, upgraded, removed and purged.
-- There is no systemd in these roots: what it would run is run, as the user and with the environment that it would give.
local built = require "spec.packages.built"
local debian_root = require "spec.debian_root"
local process = require "spec.process"
local servers = require "spec.servers"
local socket = require "socket"
local unix = require "socket.unix"

process.SECONDS = 60 -- beside much else

local UNIT = "server/packaging/debian/spate.service"
local USER = 61184 -- the first of those that DynamicUser= takes

-- The first value of a setting of the unit.
local function setting(name) return assert(process.read_file(UNIT):match("\n" .. name .. "=([^\n]*)"), name) end

local function wanted(release) return (os.getenv "RELEASE" or "") == "" or os.getenv "RELEASE" == release end

for release in pairs(debian_root.RELEASES) do
  if wanted(release) then
    describe("on Debian " .. release, function()
      local directory, folder, root, port
      local told, notes -- the socket that the unit's Type=notify is about, and what has come there so far

      setup(function()
        directory = process.enter()
        folder = built.debs(release, directory)
        port = servers.free_port()
        root = debian_root.new(release, directory)
        root:run "mkdir /debs && cp /project/build/packages/debian$(. /etc/os-release && echo $VERSION_ID)/spate*.deb /debs && rm -f /debs/*-dbgsym_*"
      end)
      teardown(function()
        root:close()
        process.leave()
      end)

      -- As the unit runs a command of its.
      local function as_unit(command)
        return ("cd /var/lib/spate && setpriv --reuid %d --regid %d --clear-groups --no-new-privs --bounding-set -all env -i PATH=/usr/bin %s %s"):format(
          USER, USER, setting "Environment", command)
      end

      -- Waits until the service has told this, and returns what is behind it in its line.
      local function is_told(what)
        return process.eventually(what, function()
          for message in function() return (told:receive()) end do notes = notes .. message .. "\n" end
          return notes:match("%f[^\n%z]" .. what .. "([^\n]*)")
        end)
      end

      local function start_service()
        root:run("mkdir -p /run/spate /var/lib/private/spate && ln -sfn private/spate /var/lib/spate && chown -R %d:%d /run/spate /var/lib/private/spate && chmod 755 /run/spate",
          USER, USER)
        root:run "rm -f /run/notify"
        told, notes = assert(unix.dgram()), ""
        assert(told:bind(root:path "/run/notify"))
        told:settimeout(0)
        root:run "chmod 666 /run/notify"
        root:run("setsid sh -c %s >/tmp/service.log 2>&1 </dev/null &", process.quote(as_unit(
          ("NOTIFY_SOCKET=/run/notify WATCHDOG_USEC=%d000000 sh -c 'exec %s'"):format(setting "WatchdogSec", setting "ExecStart"))))
        is_told "READY=1"
        process.contains(root:read "/tmp/service.log", "serving /etc/spate/app.lua on")
      end

      local function service() return (root:run(as_unit "spate status --json /etc/spate/app.lua"):match '"pid":%s*(%d+)') end

      -- An installed package that is older by its number, and the same in all else; its settings are edited.
      local function install_older()
        root:run [[cd /tmp && { test -e spate_0.0.9-1.deb || { dpkg-deb -R /debs/spate_*.deb old && sed -i 's/^Version: .*/Version: 0.0.9-1/' old/DEBIAN/control &&
          dpkg-deb -b old spate_0.0.9-1.deb; }; } && { dpkg -P spate-dev spate >&2 || true; } && dpkg -i spate_0.0.9-1.deb]]
        root:run([[sed -i 's/-- listen = .*/listen = { "127.0.0.1:%d" },/' /etc/spate/spate.conf.lua]], port)
      end

      local function stop_service() root:run(as_unit "spate stop /etc/spate/app.lua") end

      it("lintian finds no error", function()
        local output = built.run(("lintian --allow-root --fail-on error %s/*.changes || exit 1"):format(folder))
        assert.is_nil(output:find "\nE: ", output)
        print(output)
      end)

      it("comes to its first event in two commands", function()
        local began = socket.gettime()
        root:run "apt-get update -q && apt-get install -q -y --no-install-recommends /debs/spate_*.deb"
        local installed = socket.gettime()
        root:run("cd /root && spate new hello && cd hello && (spate dev -l 127.0.0.1:%d >/tmp/dev.log 2>&1 </dev/null &)", port)
        process.eventually("the server", function() return root:read "/tmp/dev.log":find "serving" end)
        local stream = process.ask(port, "/ticks")
        process.contains(process.read_until(stream, "data: 1\n"), "event: tick\n")
        stream:close()
        root:run "cd /root/hello && spate stop"
        print(("\nDebian %s: apt update and install %.1f s, the first event %.1f s later"):format(release, installed - began, socket.gettime() - installed))
        root:run "test -L /etc/systemd/system/multi-user.target.wants/spate.service && ! test -e /etc/systemd/system/sockets.target.wants/spate.socket"
        process.contains(root:run "spate version", "spate 0.1.0", "liburing", "nghttp2")
      end)

      it("serves as its unit has it, reloads, and says what does not load", function()
        install_older()
        start_service()
        assert.equal("spate serves this from /etc/spate/app.lua\n", select(2, process.get(port, "/")))
        root:run "sed -i 's/spate serves this/anew/' /etc/spate/app.lua"
        root:run(as_unit(setting "ExecReload"))
        is_told "RELOADING=1"
        is_told "WATCHDOG=1"
        assert.equal("anew from /etc/spate/app.lua\n", select(2, process.get(port, "/")))
        root:run "echo 'return nonsense(' > /etc/spate/app.lua"
        local ok, output = root:try(as_unit(setting "ExecReload"))
        assert.is_false(ok)
        process.contains(output, "app.lua:2:")
        assert.equal("anew from /etc/spate/app.lua\n", select(2, process.get(port, "/")))
        stop_service()
      end)

      it("upgrades a server that runs without refusing anybody", function()
        install_older()
        start_service()
        local before, stream = service(), process.ask(port, "/ticks")
        process.read_until(stream, "data: 1\n")
        root:run "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && dpkg -i /debs/spate_0.1.0-1_*.deb && rm /usr/sbin/policy-rc.d"
        assert.equal(before, service()) -- where the machine's policy is that services are left alone
        root:run "dpkg -i /debs/spate_0.1.0-1_*.deb"
        local rest = stream:receive "*a" or ""
        process.eventually("the new process alone", function() return service() ~= before end)
        assert.equal(service(), is_told "MAINPID=") -- so it is still the service's main process, and not its end
        assert.truthy(rest:find "retry: %d+\n\n\r\n0\r\n\r\n$", rest)
        assert.equal(200, (process.get(port, "/"))) -- the settings that were edited are still there
        local again = process.ask(port, "/ticks")
        process.read_until(again, "data: 1\n")
        again:close()
        process.contains(root:run "cat /etc/spate/spate.conf.lua; dpkg -s spate", tostring(port), "Version: 0.1.0-1")
        stop_service()
      end)

      it("has what plain busted runs specs by in spate-dev", function()
        root:run "apt-get install -q -y --no-install-recommends /debs/spate_*.deb /debs/spate-dev_*.deb"
        root:run "cd /root && rm -rf hello && spate new hello && cd hello && spate test && lua5.4 /usr/bin/busted"
        process.contains(root:read "/usr/share/spate/types/types.lua", "---@class spate.App")
      end)

      it("goes without a trace", function()
        install_older()
        start_service()
        stop_service()
        root:run "touch /var/lib/private/spate/kept && dpkg -r spate-dev spate && test -e /etc/spate/app.lua && test -e /var/lib/private/spate/kept && ! test -e /usr/bin/spate"
        root:run "dpkg -P spate"
        root:run "! find / -xdev -path /proc -prune -o -path /project -prune -o -path /debs -prune -o -path /tmp -prune -o -path /run -prune -o -path /root -prune -o -name '*spate*' -print | grep -v '^/var/lib/dpkg/.*-old$' | grep ."
        assert.is_false((root:try "dpkg -s spate"))
      end)
    end)
  end
end
