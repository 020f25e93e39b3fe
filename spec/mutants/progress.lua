-- SPDX-License-Identifier: MIT
-- What takes minutes says how far it is.
local progress = {}

local EVERY = 10 -- seconds

-- Runs a command that writes a line for each of `total` things it has done. Says `what` when it begins, how many of them are done
-- now and then, and how long it took where that is worth saying. What the command wrote and nil where it failed.
function progress.follow(say, what, total, command)
  local began, lines = os.time(), {}
  local said = began
  say(what)
  local pipe = assert(io.popen(command .. " 2>&1"))
  for line in pipe:lines() do
    lines[#lines + 1] = line
    if os.time() - said >= EVERY then
      said = os.time()
      say(("  %d of %d, %d s"):format(math.min(#lines, total), total, said - began))
    end
  end
  if not pipe:close() then return nil, table.concat(lines, "\n") end
  if os.time() - began >= EVERY then say(("  done in %d s"):format(os.time() - began)) end
  return true
end

-- A make of a harness, told by its objects.
function progress.make(say, name, arguments)
  local pipe = assert(io.popen(("make -n --no-print-directory %s 2> /dev/null | grep -c '^echo '"):format(arguments)))
  local total = math.tointeger(pipe:read("n")) or 0
  pipe:close()
  if total == 0 then return progress.follow(function() end, name, 0, "make --no-print-directory " .. arguments) end
  return progress.follow(say, ("building the %s harness, %d steps"):format(name, total), total, "make -j2 --no-print-directory " .. arguments)
end

return progress
