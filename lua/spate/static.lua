-- SPDX-License-Identifier: MIT
-- app:static(prefix, dir, options): the handler that serves what lies beneath a folder, and nothing outside it.
local core = require "spate.core"
local fields = require "spate.fields"
local file_options = require "spate.file_options"
local reply = require "spate.reply"

local OWN_OPTIONS = { "dotfiles" }
local INDEX = "index.html"

-- The same address with a slash at its end: what the index names relatively is beneath it.
local function with_slash(req)
  return reply.redirect(req.path .. "/" .. (req.url:match("%?.*") or ""), 301)
end

-- The handler, and the folder's path. `not_found` answers a request for which there is no file.
return function(dir, options, not_found)
  if type(dir) ~= "string" then core.raise("app:static: expected the path of a folder, got " .. type(dir)) end
  if dir:find("\0", 1, true) then core.raise(("app:static: a NUL in the folder's path: %q"):format(dir)) end
  local plan = file_options.read("app:static", options, OWN_OPTIONS)
  local dotfiles = options and options.dotfiles
  if dotfiles ~= nil and type(dotfiles) ~= "boolean" then core.raise("app:static: dotfiles: expected true or false, got " .. type(dotfiles)) end
  local folder = file_options.in_folder(dir)
  local root, problem = core.open_root(folder)
  if not root then core.raise(("app:static: %s: %s"):format(folder, problem)) end
  core.watch(folder)
  if not fields.find(plan.fields, "x-content-type-options") then
    table.move({ "X-Content-Type-Options", "nosniff" }, 1, 2, #plan.fields + 1, plan.fields)
  end

  local function open(path) return reply.of_file(file_options.for_path(plan, path), path, root, dotfiles) end

  -- The index of the folder at `path`, where the address ends in a slash.
  local function index(req, path)
    local is_bare = req.path:sub(-1) ~= "/"
    if is_bare and path ~= "" then path = path .. "/" end
    local r, why = open(path .. INDEX)
    return r and is_bare and with_slash(req) or r, why
  end

  local function serve(req)
    local path = req.params.file or ""
    local r, why
    if path == "" or path:sub(-1) == "/" then r, why = index(req, path)
    else
      r, why = open(path)
      if why == "directory" then r, why = index(req, path) end
    end
    if r then return r end
    local status = reply.file_status(why)
    return status == 404 and not_found(req) or reply.error(status)
  end

  return serve, folder
end
