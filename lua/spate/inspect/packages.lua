-- SPDX-License-Identifier: MIT
-- Where a module that is missing may come from: the Debian packages of modules that are not called after them.
local PACKAGES = {
  lfs = "lua-filesystem", re = "lua-lpeg", ltn12 = "lua-socket", mime = "lua-socket", ssl = "lua-sec", lxp = "lua-expat",
  pl = "lua-penlight", luasql = "lua-sql-sqlite3", lsqlite3 = "lua-sql-sqlite3", rex_pcre2 = "lua-rex-pcre2", rex_posix = "lua-rex-posix",
  zlib = "lua-zlib", posix = "lua-posix", luv = "lua-luv", resty = "lua-resty-core", http = "lua-http",
}
local BY_NAME = { ["luasql.mysql"] = "lua-sql-mysql", ["luasql.postgres"] = "lua-sql-postgres", ["luasql.odbc"] = "lua-sql-odbc" }
local SURE = {} -- whose package is lua-NAME
for name in ("cjson socket lpeg argparse inspect term cqueues luaossl basexx say luassert busted dkjson yaml md5 redis mpack bitop"):gmatch "%S+" do
  SURE[name] = true
end

-- A sentence for the user.
return function(module)
  local first = module:match("^[^.]+") or module
  local package = BY_NAME[module] or PACKAGES[first] or SURE[first] and "lua-" .. first
  if package and first:find "json$" then return ("spate.json needs no package; Debian has this one: apt install %s"):format(package) end
  if package then return ("Debian has it: apt install %s"):format(package) end
  local guess = first:lower():gsub("^lua[-_]?", ""):gsub("[^%w]+", "-")
  return ("is it a file beside the script? Debian's packages are named like lua-%s: apt search lua-%s"):format(guess, guess)
end
