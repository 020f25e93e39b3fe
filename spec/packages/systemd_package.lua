-- SPDX-License-Identifier: MIT
-- The Debian package under a systemd that is the first process of a Debian: started, reloaded, found hanging, woken by its socket, upgraded.
local booted_root = require "spec.booted_root"
local built = require "spec.packages.built"
local debian_root = require "spec.debian_root"
local process = require "spec.process"

process.SECONDS = 120 -- beside much else

local function wanted(release) return (os.getenv "RELEASE" or "") == "" or os.getenv "RELEASE" == release end

for _, release in ipairs { "12" } do
  local can_be = booted_root.can_be()
  local it = can_be and it or function(name) pending(name .. ": no system can be booted here") end
  if wanted(release) then
    describe("under systemd of Debian " .. release, function()
      local directory, root

      -- What an address of its network answers; nil where nobody does.
      local function ask(port, path)
        local f <close> = assert(io.popen(("nsenter -t %d -n env -u http_proxy -u LD_PRELOAD curl -s -m 20 http://127.0.0.1:%d%s"):format(root.pid, port, path or "/")))
        local text = f:read "a"
        return text ~= "" and text or nil
      end

      local function property(name) return root:run("systemctl show -P %s spate.service", name):match "[^\n]*" end

      local function is_active(but)
        return process.eventually("the service", function()
          local pid = property "MainPID"
          return pid ~= "0" and pid ~= but and property "ActiveState" == "active" and pid
        end)
      end

      lazy_setup(function() -- not where all is skipped
        directory = process.enter()
        built.debs(release, directory)
        local bare = debian_root.new(release, directory)
        bare:run "mkdir /debs && cp /project/build/packages/debian$(. /etc/os-release && echo $VERSION_ID)/spate_*.deb /debs"
        -- An installed package that is older by its number, and the same in all else.
        bare:run [[apt-get update -q && apt-get install -q -y --no-install-recommends systemd systemd-sysv /debs/spate_*.deb && cd /tmp && dpkg-deb -R /debs/spate_*.deb old &&
          sed -i 's/^Version: .*/Version: 0.0.9-1/' old/DEBIAN/control && dpkg-deb -b old old.deb && dpkg -P spate && dpkg -i old.deb]]
        process.shell("mkdir %s/base && tar -C /proc/%d/root --one-file-system -c . | tar -C %s/base -x", directory, bare.pid, directory)
        bare:close()
        root = booted_root.new(directory .. "/base", directory)
      end)

      lazy_teardown(function()
        if root then root:close() end
        process.leave()
      end)

      it("starts with the machine, as a user of its own, and tells when it serves", function()
        is_active()
        assert.equal("spate serves this from /etc/spate/app.lua\n", ask(8080))
        assert.same({ "yes", "0", "enabled" }, { property "DynamicUser", property "NRestarts", property "UnitFileState" })
        assert.is_not.equal("0", (root:run("stat -c %%u /proc/%s", property "MainPID"):match "%d+"))
      end)

      it("reloads, and says what does not load", function()
        local before = is_active()
        root:run "sed -i 's/spate serves this/anew/' /etc/spate/app.lua && systemctl reload spate"
        assert.equal("anew from /etc/spate/app.lua\n", ask(8080))
        root:run "cp /etc/spate/app.lua /root && echo 'return nonsense(' > /etc/spate/app.lua"
        assert.is_false((root:try "systemctl reload spate"))
        process.contains(root:run "journalctl -u spate --no-pager", "app.lua:2:")
        assert.same({ before, "anew from /etc/spate/app.lua\n" }, { is_active(), ask(8080) })
        root:run "cp /root/app.lua /etc/spate/app.lua && systemctl reload spate"
      end)

      it("is started anew where it hangs, and where it is killed", function()
        root:run "mkdir -p /run/systemd/system/spate.service.d && printf '[Service]\\nWatchdogSec=5\\n' > /run/systemd/system/spate.service.d/soon.conf && systemctl daemon-reload && systemctl restart spate"
        local before = is_active()
        root:run("kill -STOP %s", before)
        local after = is_active(before)
        process.contains(root:run "journalctl -u spate --no-pager", "atchdog timeout")
        root:run("kill -KILL %s", after)
        is_active(after)
        assert.truthy(ask(8080))
        root:run "rm -r /run/systemd/system/spate.service.d && systemctl daemon-reload && systemctl restart spate"
      end)

      it("is woken by its socket, at a port that takes privileges", function()
        root:run "systemctl stop spate && systemctl start spate.socket"
        assert.is_nil(ask(8080))
        assert.equal("anew from /etc/spate/app.lua\n", ask(80))
        is_active()
        root:run "systemctl stop spate.socket spate && systemctl start spate"
        assert.truthy(ask(8080))
      end)

      it("goes over to the package's new program, and refuses nobody meanwhile", function()
        local before = is_active()
        local stream = assert(io.popen(("nsenter -t %d -n env -u http_proxy -u LD_PRELOAD curl -sN -m 60 http://127.0.0.1:8080/ticks"):format(root.pid)))
        assert.equal("event: tick", stream:read "l")
        root:run "cp /etc/spate/app.lua /root && dpkg -i /debs/spate_0.1.0-1_*.deb"
        local after = is_active(before)
        assert.truthy(stream:read "a":find "retry: %d+")
        stream:close()
        assert.same({ "0", "active", "running" }, { property "NRestarts", property "ActiveState", property "SubState" })
        process.contains(root:run("cat /proc/%s/cgroup", after), "system.slice/spate.service")
        assert.equal("anew from /etc/spate/app.lua\n", ask(8080))
      end)

      it("ends with the package", function()
        root:run "dpkg -P spate"
        assert.is_nil(ask(8080))
        assert.is_false((root:try "systemctl is-active spate"))
      end)
    end)
  end
end
