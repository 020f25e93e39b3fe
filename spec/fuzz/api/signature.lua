-- SPDX-License-Identifier: MIT
-- What tells one failure from another, out of the output of a process that failed.
return function(output)
  return output:find "bytes are lost" and "bytes are lost"
    or output:match "SUMMARY: (%w+: %S+ .- in [%w_]+)" or output:match "SUMMARY: ([^\n]*)"
    or output:match "(spate: [^\n]*)" or output:match "(FAIL: [^\n]*)" and output:match("(FAIL: [^\n]*)"):gsub("[%d.]+", "N")
    or output:match "([^\n]*Assertion[^\n]*)" or output:match "(%S*lua5.4: [^\n]*)" or "no word"
end
