-- SPDX-License-Identifier: MIT
-- A Debian in which systemd is the first process: a root of spec/debian_root.lua, started as an init in namespaces of its own, with cgroups and a
-- network of its own. What is written and what runs there is gone with it. As root only, where the kernel has cgroups of version 2.
local process = require "spec.process"
local root_commands = require "spec.root_commands"

local booted_root = {}

-- The machine's settings in /proc/sys are not to be written, and its devices are those that a container has. The cgroup is
-- entered before the namespace is made, so that systemd sees no other.
local BOOT = [[
set -e
base=$1 work=$2 project=$3
mount --make-rprivate /
mkdir -p "$work"
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/project" "$root/old"
mount --bind "$project" "$root/project"
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || :
ip link set lo up
cd "$root"
pivot_root . old
umount -l /old
exec env -i container=spec PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system systemd.unit=multi-user.target
]]

local function cgroups()
  for _, path in ipairs { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" } do
    local f <close> = io.open(path .. "/cgroup.procs")
    if f and io.open(path .. "/cgroup.controllers") then return path end
  end
end

-- Whether one can be started here: who may not make a cgroup, or namespaces, cannot.
function booted_root.can_be()
  local path = cgroups()
  if not path or os.execute "[ $(id -u) = 0 ]" ~= true then return false end
  local trial = ("%s/spate-trial-%d"):format(path, math.random(1 << 30))
  return os.execute(([[mkdir %s && rmdir %s && unshare --mount --pid --fork --uts --ipc --net --cgroup sh -c 'mount --make-rprivate / && mount -t cgroup2 cgroup2 /mnt']]):format(trial, trial)
    .. " >/dev/null 2>&1") == true
end

local Root = {}
Root.__index = Root
root_commands(Root, "-m -p -u -i -n -C", 120, function() return "the booted Debian" end)

-- Boots what is in `base`, a folder, which stays as it is.
function booted_root.new(base, directory)
  local self = setmetatable({ work = directory .. "/booted", cgroup = ("%s/spate-spec-%d"):format(cgroups(), math.random(1 << 30)) }, Root)
  process.write_file(directory .. "/boot.sh", BOOT)
  process.shell("mkdir %s", self.cgroup)
  self.holder = assert(io.popen(([[echo $$; echo $$ > %s/cgroup.procs
    exec env -u LD_PRELOAD unshare --mount --pid --fork --kill-child --uts --ipc --net --cgroup sh %s/boot.sh %s %s %s >%s/boot.log 2>&1 </dev/null]]):format(
    self.cgroup, directory, base, self.work, process.ROOT, directory)))
  self.unshare = assert(tonumber(self.holder:read "l"))
  self.pid = process.eventually("the init", function()
    local f <close> = assert(io.popen(("cat /proc/%d/task/%d/children 2>/dev/null"):format(self.unshare, self.unshare)))
    local pid = f:read "n"
    local comm = pid and io.open(("/proc/%d/comm"):format(pid))
    local name = comm and comm:read "l"
    if comm then comm:close() end
    return name == "systemd" and math.tointeger(pid)
  end)
  process.eventually("a system that runs", function()
    local _, said = self:try "systemctl is-system-running"
    return said:find "running" or said:find "degraded"
  end)
  return self
end

function Root:close()
  os.execute(("kill -KILL %d 2>/dev/null"):format(self.unshare))
  self.holder:close()
  process.eventually("an end of all in it", function()
    os.execute(("find %s -depth -mindepth 1 -type d -exec rmdir {} + 2>/dev/null; rmdir %s 2>/dev/null"):format(self.cgroup, self.cgroup))
    return not io.open(self.cgroup .. "/cgroup.procs")
  end)
end

return booted_root
