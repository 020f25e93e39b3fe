-- SPDX-License-Identifier: MIT
-- The packages and archives, made where they are missing or older than what they are made of.
local debian_root = require "spec.debian_root"
local process = require "spec.process"

local built = { FOLDER = process.ROOT .. "/build/packages" }

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read "a"
  if not pipe:close() then error(command .. "\n" .. output:sub(-3000), 3) end
  return output
end
built.run = run

local function is_fresh(file)
  if (os.getenv "KEPT" or "") ~= "" then return os.execute(("ls %s >/dev/null 2>&1"):format(file)) == true end
  return os.execute(("[ -e %s ] && [ -z \"$(find Makefile server lua examples -newer %s -type f -print -quit)\" ]"):format(file, file)) == true
end

-- This machine's own release, such as "12".
function built.host() return run(". /etc/os-release && printf %s \"$VERSION_ID\"") end

-- The folder of the packages of this release: built here where it is this machine's, else in a root of its own.
function built.debs(release, directory)
  local folder = ("%s/debian%s"):format(built.FOLDER, release)
  if is_fresh(folder .. "/spate_0.1.0-1_*.deb") then return folder end
  if release == built.host() then
    run "make deb"
    return folder
  end
  local root = debian_root.new(release, directory)
  root:run([[mkdir /tmp/spate && cd /project && tar -c --exclude=./build --exclude=./.git --exclude=node_modules . | tar -x -C /tmp/spate
    cd /tmp/spate && apt-get update -q && sh .ci/install make && make deb-deps && make deb COMMIT=%s &&
    mkdir -p /project/build/packages && rm -rf /project/build/packages/debian%s && cp -r build/packages/* /project/build/packages/]],
    run("git -c safe.directory='*' rev-parse --short=12 HEAD"):gsub("%s", ""), release)
  root:close()
  return folder
end

-- The archive of the program and its libraries, made on Debian 12 whatever this machine is: that runs on both.
function built.archive(directory)
  local name = ("spate-0.1.0-linux-%s.tar.gz"):format(run "uname -m":gsub("%s", ""))
  local file = ("%s/%s"):format(built.FOLDER, name)
  if is_fresh(file) then return file end
  if built.host() == "12" then
    run "make dist-program"
    return file
  end
  local root = debian_root.new("12", directory)
  root:run([[mkdir /tmp/spate && cd /project && tar -c --exclude=./build --exclude=./.git --exclude=node_modules . | tar -x -C /tmp/spate
    cd /tmp/spate && apt-get update -q && sh .ci/install make && make deb-deps && make dist-program &&
    mkdir -p /project/build/packages && cp build/packages/*.tar.gz /project/build/packages/]])
  root:close()
  return file
end

return built
