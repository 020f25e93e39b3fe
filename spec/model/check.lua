-- SPDX-License-Identifier: MIT
-- lua5.4 spec/model/check.lua: has spin search every state of channel.pml: none may be wrong; and again without each of
-- its rules, where one has to be: a rule that nothing is proved of is none. About a minute of one processor; needs spin
-- and a C compiler. The last line is the sum; exits 1 where something fails.
local model = assert(arg[0]:match "^(.*/)") .. "channel.pml"
local folder = io.popen("mktemp -d"):read "l"
local passed, failed = 0, 0

local function run(command)
  local pipe = assert(io.popen(("cd %s && { %s; } 2>&1"):format(folder, command)))
  local text = pipe:read "a"
  pipe:close()
  return text
end

-- How many wrong states there are of how many, of the model with the flag; nil where it was not searched to its end.
local function search(flag)
  local absolute = io.popen("realpath " .. model):read "l"
  local text = run(("rm -f *.trail && spin %s -a %s && ${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -n -m100000"):format(flag, absolute))
  local errors, states = tonumber(text:match "errors: (%d+)"), text:match "(%d+) states, stored"
  if not errors or errors == 0 and text:find("Search not completed", 1, true) then print(text) return end
  return errors, states, text:match "assertion violated ([^\n]*)"
end

local function report(ok, ...)
  if ok then passed = passed + 1 else failed = failed + 1 end
  print((ok and "ok   " or "FAIL ") .. string.format(...))
end

local errors, states, what = search ""
report(errors == 0, "%s states, none of them wrong%s", states, what and ": " .. what or "")

local rules = 0
for line in io.lines(model) do
  local rule, text = line:match "^ %*   (NO_%u+)%s+(.*)"
  if rule then
    rules = rules + 1
    errors, states, what = search("-D" .. rule)
    report(errors and errors > 0, "not so without the rule: %s (%s)", text, what or tostring(states) .. " states, none of them wrong")
  end
end
report(rules >= 5, "%d rules", rules)
os.execute("rm -rf " .. folder)
print(("%d passed, %d failed, 0 skipped"):format(passed, failed))
os.exit(failed == 0)
