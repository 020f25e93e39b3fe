-- SPDX-License-Identifier: MIT
-- A request's body on its way to another server, in a task of its own: the answer may begin, or what was asked fail, while
-- there is nothing to send yet. What sends it returns nothing, or what is wrong with the body.
local at_end = require "spate.at_end"
local core = require "spate.core"

local Upload = {}
Upload.__index = Upload

-- An error of the library's own, "http.post: ...", has found no line of a script in that task; a script's is what it says.
local function raise(err)
  if type(err) == "string" and err:find "^%a+[.:]%a+: " then core.raise(err) end
  error(err, 0)
end

-- Not before who waits for the answer's head has that.
local function break_off(self)
  self.is_broken = true
  if self.is_answered or core.http_awaits_head(self.handle) then core.http_close(self.handle) end
end

local function run(self, send, ...)
  local _ <close> = at_end(function()
    if not self.is_over then break_off(self) end
  end)
  local ok, why = pcall(send, self.handle, ...)
  self.is_over = ok and not why
  if not ok then self.failure = function() return raise(why) end
  elseif why then self.failure = function() return nil, why, "closed" end end
  if not ok and not core.http_awaits_head(self.handle) then error(why, 0) end -- for the log
end

-- Sends pieces while they are wanted, and that they have ended; not where nil comes with what is wrong, such as that a client
-- has left within its body.
function Upload.send(handle, next_piece)
  while true do
    local piece, why = next_piece()
    if why then return why end
    if not piece then return core.http_send_end(handle) end
    if not core.http_send(handle, piece) then return nil end
  end
end

function Upload.begin(handle, send, ...)
  -- with room for all that is noted at its end, so that this takes no memory
  local self = setmetatable({ handle = handle, task = false, failure = false, is_over = false, is_broken = false, is_answered = false }, Upload)
  self.task = core.spawn(run, self, send, ...)
  return self
end

-- Waits for the answer's status; nil, message and code. Raises what the sending has raised before that.
function Upload:head()
  local status, message, code = core.http_head(self.handle)
  if not status and self.failure then return self.failure() end
  return status, message, code
end

-- Ends it where it is; the answer may still come.
function Upload:stop()
  self.is_over = true
  core.cancel(self.task)
  core.http_send_no_more(self.handle)
end

-- There is a response: what is wrong with the rest of the body breaks it off, and an error's answer wants none of that.
function Upload:answered(status)
  self.is_answered = true
  if self.is_broken then core.http_close(self.handle)
  elseif status >= 400 then self:stop() end
end

return Upload
