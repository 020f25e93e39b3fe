-- SPDX-License-Identifier: MIT
-- For specs in which the kernel has no inotify watch left: a user namespace has a limit of its own.
local few_watches = {}

-- What a command of the shell stands behind to have `count` watches at most.
function few_watches.wrapper(count)
  return ("unshare -Ur sh -c 'echo %d > /proc/sys/user/max_inotify_watches && exec \"$@\"' sh"):format(count)
end

-- it, or pending where there are no such namespaces, which is said.
function few_watches.it(name, it, pending)
  if os.execute(few_watches.wrapper(9) .. " true 2>/dev/null") then return it end
  io.stderr:write(name, ": skipped, as there are no user namespaces here\n")
  return pending
end

return few_watches
