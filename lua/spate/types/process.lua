---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: programs. types.lua says how they are used.

---@class spate.process
local process = {}

---@class spate.SpawnOptions
---@field stdin? string|true|spate.Stream|fun(): string? what it reads; true: what p:write writes; else nothing
---@field cwd? string relative: beside the script; the server's unless given
---@field env? table<string, string|number|false> beside the server's; false leaves one out
---@field stderr? "log"|"merge"|"separate" to the log unless given; among its output; for p:errors

---@class spate.RunOptions: spate.SpawnOptions
---@field timeout? number seconds; 30
---@field max? integer bytes of its output, and of its errors; 1 MiB

---Starts a program, without a shell, in a process group of its own. nil, a message, and "missing", "directory", "denied",
---"format", "too long", "limit" or "failed".
---@param argv (string|number)[] program and arguments
---@param options? spate.SpawnOptions
---@return spate.Process?
---@return string? message
---@return string? code
function process.spawn(argv, options) end

---Runs a program to its end. nil, a message, and a code of `spawn`, "timeout" or "too large".
---@param argv (string|number)[]
---@param options? spate.RunOptions
---@return { code?: integer, signal?: string, out: string, err: string }?
---@return string? message
---@return string? code
function process.run(argv, options) end

---Ends with its `<close>` variable, and with the task that reads it or waits for it, where that is cancelled or fails.
---@class spate.Process
---@field pid integer
local Process = {}

---Its output line by line, also for `for line in p:lines() do`.
---@param max? integer bytes; what is longer comes in pieces (64 KiB)
---@return spate.Stream
function Process:lines(max) end

---Its output as it comes.
---@return spate.Stream
function Process:chunks() end

---What it writes to its standard error, line by line: with `stderr = "separate"`.
---@param max? integer
---@return spate.Stream
function Process:errors(max) end

---Waits until its input takes the text: with `stdin = true`.
---@param text string|number
---@return true?
---@return "closed"?
function Process:write(text) end

---The end of its input, behind what was written.
function Process:close_stdin() end

---Waits for its end: the exit code; or nil and the name of a signal, such as "TERM".
---@return integer? code
---@return string? signal
function Process:wait() end

---Sends a signal to its group: true; nil and "ended", or why not.
---@param signal? string|integer "TERM" unless given
---@return true?
---@return string? err
function Process:kill(signal) end

---Ends it and its group: SIGTERM, and after `timeouts.kill` SIGKILL.
function Process:close() end
