---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: files. types.lua says how they are used.

---What the outside world does wrong with files.
---@alias spate.FileFailure "missing"|"forbidden"|"directory"|"not a file"|"too large"|"name"|"full"|"busy"|"offset"|"failed"

---@class spate.FileEntry
---@field name string
---@field type "file"|"directory"|"link"|"other"

---@class spate.TailLine
---@field text string without its line break
---@field offset integer where the next line begins
---@field part? true more of this line follows

---@class spate.FileChange
---@field what "created"|"changed"|"removed"|"unknown" unknown: word was lost, and anything may have changed
---@field path string
---@field name? string in the folder that is watched

---@class spate.fs
local fs = {}

---A file's bytes.
---@param path string
---@param max? integer bytes; limits.file unless given
---@return string? bytes
---@return string? message
---@return spate.FileFailure? code
function fs.read(path, max) end

---Replaces a file as a whole, or makes it.
---@param path string
---@param data string
---@return true? ok
---@return string? message
---@return spate.FileFailure? code
function fs.write(path, data) end

---What a folder has, by name.
---@param path string
---@return spate.FileEntry[]? entries
---@return string? message
---@return spate.FileFailure? code
function fs.list(path) end

---The lines of a file that grows, as a stream of `spate.TailLine`.
---@param path string
---@param options? { from?: integer|string, wait?: boolean } from: an offset, or minus a number of lines; wait: it may not be there yet
---@return spate.Stream? lines
---@return string? message
---@return spate.FileFailure? code
function fs.tail(path, options) end

---What happens to a file, or to those in a folder, as a stream of `spate.FileChange`.
---@param path string
---@return spate.Stream? changes
---@return string? message
---@return spate.FileFailure? code
function fs.watch(path) end
