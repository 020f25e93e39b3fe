-- SPDX-License-Identifier: MIT
-- spate completion bash|zsh|fish: the shell's script, as argparse writes it.
return function(arguments)
  io.write(arguments.parser["get_" .. arguments.shell .. "_complete"](arguments.parser))
  return 0
end
