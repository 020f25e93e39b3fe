-- luacheck . (Debian: lua-check)
std = "lua54"
max_line_length = 140
exclude_files = { ".spate" }
ignore = { "211/_.*", "212/req" } -- <close> variables; handlers that do not look at their request
files["spec"] = { std = "lua54+busted" }
