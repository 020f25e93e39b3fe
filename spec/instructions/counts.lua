-- SPDX-License-Identifier: MIT
-- Instructions of the hot paths, and bytes of waiting streams, as `make instructions` prints them. Whoever lowers one puts the new count here; what makes
-- one grow on purpose does so too, and says why in its commit.
return {
  compiler = "gcc 12", -- that they were made with; other compilers and libraries are given more room
  ["an event of interval:map"] = 3635,
  ["an event of a loop of send and sleep"] = 2560,
  ["a delivery of a channel's event"] = 871,
  ["a short answer"] = 13130,
  ["a short answer and its line of the log"] = 17090,
  ["bytes of a stream of interval:map"] = 2300,
  ["bytes of a stream of a loop of send and sleep"] = 2790,
  ["bytes of a stream that never sends"] = 1240,
  ["bytes of a subscriber of a channel"] = 1500,
}
