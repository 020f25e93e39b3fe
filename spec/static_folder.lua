-- SPDX-License-Identifier: MIT
-- A folder with files of a known age, and servers of what is in it: for each spec its own.
local helper = require "spec.helper"
local lfs = require "lfs"

local folder = {
  NOW = 1700000000,     -- the wall clock's
  MODIFIED = 784111777, -- of every file
  DATE = "Sun, 06 Nov 1994 08:49:37 GMT",
  TEXT = "0123456789abcdefghij", -- of public/a.txt
}

local servers = {}

function folder.write(name, text, modified)
  local path = folder.path .. "/" .. name
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  lfs.touch(path, modified or folder.MODIFIED, modified or folder.MODIFIED)
  return path
end

function folder.serve(source, options)
  options = options or {}
  options.epoch = options.epoch or folder.NOW
  local path = folder.write("app.lua", [[
    local spate, sse = require "spate", require "spate.sse"
    local app, reply = spate.app(), spate.reply
    ]] .. source .. "\nreturn app\n")
  local server = helper.serve(path, options)
  servers[#servers + 1] = server
  return server
end

function folder.static(options) return folder.serve(('app:static("/assets", "public", %s)'):format(options or "nil")) end

function folder.get(server, target, headers) return server:get(target, { headers = headers }) end

-- Descriptors of this process.
function folder.descriptors()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end

local opened

function folder.open()
  folder.path = os.tmpname()
  os.remove(folder.path)
  for _, name in ipairs { "", "/public", "/public/sub", "/public/empty", "/public/.git" } do lfs.mkdir(folder.path .. name) end
  folder.write("secret.txt", "secret")
  folder.write("public/a.txt", folder.TEXT)
  folder.write("public/empty.txt", "")
  folder.write("public/index.html", "<h1>root</h1>")
  folder.write("public/sub/index.html", "<h1>sub</h1>")
  folder.write("public/.hidden", "hidden")
  folder.write("public/.git/config", "config")
  collectgarbage()
  opened = folder.descriptors()
end

-- Ends its servers, which have left no descriptor open.
function folder.close()
  os.execute("rm -rf " .. folder.path)
  while servers[1] do table.remove(servers):close() end
  collectgarbage()
  assert(folder.descriptors() == opened, "descriptors are left open")
end

return folder
