-- SPDX-License-Identifier: MIT
std = "lua54"
max_line_length = 160
ignore = { "211/_.*" } -- <close> variables
include_files = { "**/*.lua", ".luacheckrc" }
files["server/client/redis_library.lua"] = { std = "lua51", read_globals = { "redis", "cmsgpack" } }
local documentation = { ignore = { "121", "142", "211", "212", "241" } }
files["lua/spate/types.lua"], files["lua/spate/types"] = documentation, documentation
-- Style and script of a page.
files["lua/spate/panel/page_*.lua"] = { max_string_line_length = false }
files["lua/templates"] = { std = "lua54+busted" }
files["lua/templates/luacheckrc.lua"] = { ignore = { "111", "112" } }
files["spec/vectors/datastar.lua"] = { ignore = { "613" } } -- a case has a blank at the end of a line
files["spec"] = { std = "lua54+busted", max_line_length = false } -- tables of cases
-- The first two lines are the same in each, whatever the example uses of them.
files["examples"] = { ignore = { "211/json", "211/reply", "211/sse", "212/req" } }
