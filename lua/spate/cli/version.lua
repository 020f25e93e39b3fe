-- SPDX-License-Identifier: MIT
-- spate version: its own, the commit that it was built from ("none" where that was not in git), the libraries'.
local json = require "spate.json"

return function(arguments, native)
  local texts, versions = {}, {}
  for i, library in ipairs(native.libraries) do
    texts[i] = library.name .. " " .. library.version
    versions[library.name] = library.version
  end
  local commit = native.commit ~= "none" and native.commit or json.null
  if arguments.json then print(json.encode { version = native.version, commit = commit, libraries = versions })
  else print(("spate %s (commit %s)\n%s"):format(native.version, native.commit, table.concat(texts, ", "))) end
  return 0
end
