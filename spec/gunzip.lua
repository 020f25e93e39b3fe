-- SPDX-License-Identifier: MIT
-- What a response's compressed body holds, as it comes, by zlib's own reader.
local helper = require "spec.helper"

local Body = {}
Body.__index = Body

local function gunzip(res)
  return setmetatable({ res = res, taken = 0, text = "", reader = helper.harness.inflate() }, Body)
end

-- All of it so far. Raises where it is no gzip stream.
function Body:read()
  local bytes = self.res:body()
  local text, why = self.reader:feed(bytes:sub(self.taken + 1))
  if not text then error(("byte %d: %s"):format(self.taken, why), 2) end
  self.taken, self.text = #bytes, self.text .. text
  return self.text
end

-- Whether its end has come, with the right sum and length.
function Body:has_ended()
  self:read()
  return self.reader:ended()
end

return gunzip
