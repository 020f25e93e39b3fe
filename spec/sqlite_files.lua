-- SPDX-License-Identifier: MIT
-- Servers whose channels are kept in a file, each in a folder of its own; no thread: what is asked is carried out by
-- sqlite_files.settle.
local helper = require "spec.helper"

local sqlite_files = {}

-- In memory where that can be: what is on a disk is another spec's matter.
function sqlite_files.folder()
  local path = os.tmpname()
  os.remove(path)
  if os.execute "test -w /dev/shm" then path = "/dev/shm/" .. path:match "[^/]+$" end
  assert(os.execute("mkdir " .. path))
  return path
end

function sqlite_files.remove(folder) os.execute("chmod -R u+w " .. folder .. " && rm -r " .. folder) end

-- A server for the file; `settings` beside those of the store.
function sqlite_files.serve(app, path, options)
  options = options or {}
  options.settings = options.settings or {}
  options.settings.store = "sqlite:" .. path
  options.epoch = options.epoch or 1700000000
  return helper.serve(app, options)
end

function sqlite_files.settle(server)
  local store = server.core:store()
  for _ = 1, 10000 do
    local steps = store:settle()
    server:turn()
    if steps == 0 then return end
  end
  error("it never comes to rest", 2)
end

-- A copy of the file and its log as they are now: what a process that is killed leaves behind.
function sqlite_files.copy(path, to)
  assert(os.execute(("cp %s %s; test ! -e %s-wal || cp %s-wal %s-wal"):format(path, to, path, path, to)))
end

return sqlite_files
