-- SPDX-License-Identifier: MIT
-- What `spate test --help` prints, and the manual has.
return [=[
Usage: spate test [--watch] [--coverage[=FILE]] [busted options] [SPEC...]

Runs specs of an application by busted, in memory and in virtual time: require "spate.test" in them loads it.

   SPEC                  Files, or folders whose files are named *_spec.lua (default: spec).

   --watch               Stay, and run again the specs that a save touches.
   --coverage[=FILE]     Write which lines of the application have run, as LCOV (default: lcov.info).
   -h, --help            This text.

What else busted has passes through, such as
   --filter=PATTERN      Only specs whose names match this Lua pattern.
   -t, --tags=TAGS       Only those with these #tags in their names.
   -o, --output=NAME     How results are shown: utfTerminal, TAP, junit ...
   --no-keep-going       End at the first failure.
   --shuffle             In random order; --seed=SEED for the same one again.
All of them: busted --help. Exit codes: 0 all passed, 1 something failed, 2 bad usage.
]=]
