-- SPDX-License-Identifier: MIT
-- A bare Debian to try things in: what debootstrap makes (once, in build/roots) with a folder in memory laid over it, in
-- namespaces of its own. What is written and what runs there is gone with it, also where the spec fails. As root only.
local process = require "spec.process"
local root_commands = require "spec.root_commands"

local debian_root = { RELEASES = { ["12"] = "bookworm", ["13"] = "trixie" } }

local FOLDER = process.ROOT .. "/build/roots"

-- The first process of the namespaces waits until its standard input ends, which it does with this process.
local HOLD = [[
set -e
base=$1 work=$2 cache=$3 project=$4
read -r pid rest < /proc/self/stat
mount --make-rprivate /
mkdir -p "$work" "$cache/partial"
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/work" "$work/root"
mount -t proc proc "$work/root/proc"
mount --rbind /dev "$work/root/dev"
mkdir -p "$work/root/project"
mount --bind "$project" "$work/root/project"
mount --bind "$cache" "$work/root/var/cache/apt/archives"
cp /etc/resolv.conf "$work/root/etc/resolv.conf"
echo "$pid" > "$work.pid.new" && mv "$work.pid.new" "$work.pid"
exec chroot "$work/root" cat
]]

local function make_base(release)
  local base = ("%s/%s"):format(FOLDER, release)
  process.shell([[mkdir -p %s && flock %s/lock sh -ec '
    [ ! -d %s ] || exit 0
    debootstrap --variant=minbase %s %s.new >%s.log 2>&1 || { tail -3 %s.log; rm -rf %s.new; exit 1; }
    mv %s.new %s']], FOLDER, FOLDER, base, debian_root.RELEASES[release], base, base, base, base, base, base)
  return base
end

local Root = {}
Root.__index = Root
root_commands(Root, "-m -p", 900, function(self) return "Debian " .. self.release end)

local roots = 0

function debian_root.new(release, directory)
  local base = make_base(release)
  roots = roots + 1
  local self = setmetatable({ release = release, work = ("%s/root%d"):format(directory, roots) }, Root)
  self.holder = assert(io.popen(("exec unshare --mount --pid --fork --kill-child sh -c %s sh %s %s %s/archives-%s %s"):format(
    process.quote(HOLD), base, self.work, FOLDER, release, process.ROOT), "w"))
  self.pid = process.eventually("a root", function()
    local f <close> = io.open(self.work .. ".pid")
    local pid = f and tonumber(f:read "l")
    -- Before it has changed its root, whatever is run there would be run in this machine's own.
    return pid and os.execute(('[ "$(readlink /proc/%d/root)" = %s/root ]'):format(pid, self.work)) and pid
  end)
  return self
end

-- Starts a command that goes on; what it says is in `log` there.
function Root:start(command, log)
  self:run("setsid sh -c %s >%s 2>&1 </dev/null &", process.quote("exec " .. command), log)
end

-- Where a path of the root is to be found from outside.
function Root:path(path) return ("/proc/%d/root%s"):format(self.pid, path) end

function Root:read(path) return process.read_file(self:path(path)) end

function Root:write(path, text) process.write_file(self:path(path), text) end

function Root:exists(path) return self:try("test -e " .. path) end

function Root:close()
  self.holder:close()
  os.execute(("rmdir %s 2>/dev/null"):format(self.work))
end

return debian_root
