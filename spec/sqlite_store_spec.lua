-- SPDX-License-Identifier: MIT
-- The store in a file: what holds of any, and what is this one's own. The file is real, the thread is the spec.
local helper = require "spec.helper"
local sqlite_files = require "spec.sqlite_files"

local function backend(name, settings)
  local folder, count
  return {
    name = name,
    serve = function(app)
      folder, count = sqlite_files.folder(), 1
      return sqlite_files.serve(app, folder .. "/1.db", { settings = settings() })
    end,
    settle = sqlite_files.settle,
    restart = function(server, app)
      local path = ("%s/%d.db"):format(folder, count)
      count = count + 1
      sqlite_files.copy(path, ("%s/%d.db"):format(folder, count))
      server:close()
      return sqlite_files.serve(app, ("%s/%d.db"):format(folder, count), { settings = settings() })
    end,
    close = function(server)
      server:close()
      sqlite_files.remove(folder)
    end,
  }
end

local memory = { name = "memory", serve = function(app) return helper.serve(app, { epoch = 1700000000 }) end, settle = function() end, close = function(server) server:close() end }
require "spec.store_shared"(memory, _ENV)
require "spec.store_shared"(backend("a file", function() return {} end), _ENV)
