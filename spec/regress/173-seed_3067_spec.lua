-- SPDX-License-Identifier: MIT
-- Seed 3067 of the simulator: a client that had left while a derived channel was loading kept its connection for ever,
-- since the reload had ended the channel's task before it ran (172 has it by hand).
local run = require "spec.simulate.checked"

describe("simulation", function()
  it("holds in the schedule of seed 3067", function()
    run {
      seed = 3067, workers = 1, mode = "incremental",
      apps = {
        {
          channels = { { history = 3, history_bytes = 200, on_full = "drop_oldest", queue = 256, ttl = 3600 } },
          every = { { channel = 1, period = 3 } },
          routes = { { channel = 1, kind = "derived", leaves_out = false, method = "GET", path = "/r3", prefix = "d:", replay = 5 } },
          version = 1,
        },
      },
      settings = { reload = { generations = 3, max_age = 10 }, shutdown = { grace = 2, window = 1 } },
      steps = {
        { "store", mode = "hold", order = 531290511 },
        { "request", { method = "GET", number = 0, path = "/r3" }, client = 3, order = 370764381, worker = 1 },
        { "leave", client = 3, order = 1073723994 },
        { "reload", app = 1, order = 924955422 },
        { "advance", 5, order = 411756321 },
      },
      store = true,
    }
  end)
end)
