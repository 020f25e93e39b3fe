-- SPDX-License-Identifier: MIT
-- For a local <close>: calls fn however its block is left.
return function(fn) return setmetatable({}, { __close = fn }) end
