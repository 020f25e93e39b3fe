-- SPDX-License-Identifier: MIT
-- spate version
return function(_, native)
  print("spate " .. native.version)
  return 0
end
