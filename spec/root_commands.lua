-- SPDX-License-Identifier: MIT
-- Commands in a root of its own, as spec.debian_root and spec.booted_root make them, by the process `pid` that is in it.
local process = require "spec.process"

local COMMAND = "timeout %d nsenter -t %d %s -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive sh -c %s 2>&1 </dev/null"

-- Gives a class of roots `try` and `run`: in these namespaces (options of nsenter), for so many seconds at most. An error calls the
-- root what name(root) says.
return function(Root, namespaces, seconds, name)
  -- Whether the command succeeds, and what it says. The project's folder is /project there.
  function Root:try(command)
    local pipe = assert(io.popen(COMMAND:format(seconds, self.pid, namespaces, process.quote(command))))
    local output = pipe:read "a"
    return pipe:close() == true, output
  end

  -- What a command says that has to succeed.
  function Root:run(command, ...)
    if select("#", ...) > 0 then command = command:format(...) end
    local ok, output = self:try(command)
    if not ok then error(("in %s: %s\n%s"):format(name(self), command, output:sub(-3000)), 2) end
    return output
  end
end
