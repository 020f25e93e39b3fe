-- SPDX-License-Identifier: MIT
-- A busted output handler: the usual one, and at the end one plain line for whoever counts.
local term = require "term"
io.stdout:setvbuf "no"
local output = term.isatty(io.stdout) and "utfTerminal" or "plainTerminal"

return function(options)
  local handler = require("busted.outputHandlers." .. output)(options)
  local subscribe = handler.subscribe
  function handler:subscribe(opts)
    subscribe(self, opts)
    require("busted").subscribe({ "exit" }, function()
      print(("%d passed, %d failed, %d skipped"):format(self.successesCount, self.failuresCount + self.errorsCount, self.pendingsCount))
      return nil, true
    end)
  end
  return handler
end
