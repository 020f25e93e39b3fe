-- SPDX-License-Identifier: MIT
-- spate password: the hash of a password, typed twice at a terminal, else the first line of stdin.
local OK, FAILED, USAGE = 0, 1, 2

local function asked(native)
  local password = native.ask_password "Password: "
  if native.ask_password "Again: " ~= password then return nil, "the two are not the same" end
  return password
end

return function(arguments, native)
  local cost = arguments.cost
  if cost and (cost < 1 or cost > 11) then return USAGE, ("--cost: expected 1 to 11, got %d"):format(cost) end
  local password, err
  if native.is_terminal(0) then password, err = asked(native) else password = io.read() end
  if not password or password == "" then return FAILED, err or "no password" end
  local hash = native.password_hash(password, cost)
  if not hash then return FAILED, "a password has at most 511 bytes, and no NUL" end
  print(hash)
  return OK
end
