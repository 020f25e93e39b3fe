-- SPDX-License-Identifier: MIT
-- A metric with the same label twice was taken, and Prometheus refused all that the server counts.
local helper = require "spec.helper"

it("a metric with the same label twice is refused", function()
  helper.refuses {
    ["spate.metrics.counter('a_total', { help = 'x', labels = { 'kind', 'of', 'kind' } })"]
      = "spate.metrics.counter: labels[3]: \"kind\" is there twice",
  }
end)
