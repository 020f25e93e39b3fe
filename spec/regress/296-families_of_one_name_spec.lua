-- SPDX-License-Identifier: MIT
-- OpenMetrics names a counter without its _total: spate_http_requests and spate_processes were there twice, as gauges too, which strict
-- readers refuse. An application's could be so as well.
local helper = require "spec.helper"

describe("a name in OpenMetrics", function()
  it("is one family's", function()
    local server = helper.serve "app:get('/', function() return spate.metrics.text(true) end)"
    local seen = {}
    for name in server:get("/"):body():gmatch "# TYPE (%S+)" do
      assert.is_nil(seen[name], name)
      seen[name] = true
    end
    assert.truthy(seen.spate_http_requests and seen.spate_http_requests_open and seen.spate_processes and seen.spate_processes_running)
    server:close()
  end)

  it("is none of another type of the application's", function()
    helper.refuses {
      ["spate.metrics.counter('jobs_total', { help = 'x' }) spate.metrics.gauge('jobs', { help = 'x' })"]
        = "spate.metrics.gauge: jobs cannot be had: it has another type",
    }
  end)
end)
