-- SPDX-License-Identifier: MIT
-- Connections as fast as a server takes them, one short answer on each, all kept open; and whether streams that were there
-- before go on at their pace meanwhile. `tools` are functions of measure.lua.
local report, servers = require "report", require "servers"

local STREAMS, INTERVAL = 100, 0.1

local rows = {
  { label = "spate", server = "spate", target_ms = 1000 * INTERVAL + 50 },
  { label = "nginx-lua", server = "nginx-lua" },
  { label = "node", server = "node", once = true },
}

return function(tools)
  local function connect(run, row)
    local p <close> = servers.start(row.server, run.server_core)
    local figures = tools.run_client(run, ("build/bench/connects -p %d -g /hello -c %d -S %d -G /interval -s %d -i %g"):format(
      p.port, run.settings.connections, p.pid, STREAMS, INTERVAL), tools.read_figures)
    if figures.answered ~= figures.conns then error(("%d of %d answered"):format(figures.answered, figures.conns), 0) end
    tools.say("  %-20s %7.2f us of time, %7.2f us of CPU, worst gap of a stream %.1f ms", row.label,
      figures.us_per_connection, figures.cpu_us_per_connection, figures.worst_gap_ms)
    return figures
  end

  local function sum_up(row)
    for _, name in ipairs { "us_per_connection", "cpu_us_per_connection", "worst_gap_ms" } do
      row[name] = report.median(report.column(row.runs, name))
    end
    if row.target_ms and row.worst_gap_ms then row.reached = row.worst_gap_ms <= row.target_ms end
  end

  return function(run)
    local kept = tools.available(run, rows)
    for _, row in ipairs(kept) do row.runs = {} end
    for round = 1, run.settings.rounds do
      if #kept > 0 then tools.say("connects, round %d of %d", round, run.settings.rounds) end
      for _, row in ipairs(kept) do
        local wanted = not row.error and not (row.once and round > 1)
        local figures = wanted and tools.attempt(row, connect, run, row)
        if figures then table.insert(row.runs, figures) end
      end
    end
    for _, row in ipairs(kept) do sum_up(row) end
    return kept
  end
end
