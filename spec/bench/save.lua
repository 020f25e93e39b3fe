-- SPDX-License-Identifier: MIT
-- How long it takes from a save to the first answer of the new code, in spate dev: lua5.4 spec/bench/save.lua PORT FILE ROUNDS
-- FILE holds the text SAVED once, in what `GET /` answers.
local socket = require "socket"
local port, path, rounds = tonumber(arg[1]), arg[2], tonumber(arg[3] or 20)
local f <close> = assert(io.open(path, "rb"))
local template = f:read("a")

local function answer()
  local c = assert(socket.connect("127.0.0.1", port))
  c:send "GET / HTTP/1.0\r\n\r\n"
  local all = c:receive "*a"
  c:close()
  return all:match "\r\n\r\n(.*)$"
end

local times = {}
for i = 1, rounds do
  local version = "version " .. i
  local out <close> = assert(io.open(path, "wb"))
  out:write((template:gsub("SAVED", version)))
  out:close()
  local began = socket.gettime()
  while answer() ~= version do socket.sleep(0.001) end
  times[i] = (socket.gettime() - began) * 1e3
  socket.sleep(0.1)
end
local out <close> = assert(io.open(path, "wb"))
out:write(template)
table.sort(times)
print(("median %.0f ms, worst %.0f ms of %d saves"):format(times[(rounds + 1) // 2], times[rounds], rounds))
