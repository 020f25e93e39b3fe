-- SPDX-License-Identifier: MIT
-- spate.metrics: what an application counts, beside what the server does. A metric is of the whole process, and outlives
-- reloads.
local check = require "spate.check"
local core = require "spate.core"

local metrics = {}

local Metric = { __name = "metric" }
Metric.__index = Metric

local BUCKETS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }
local LABEL_MAX = 100 -- bytes of a value
local LABELS_MAX = 8

local escapes = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n", ["\0"] = "?" }

local function check_name(what, name, kind)
  if type(name) ~= "string" then core.raise(("%s: expected a name as a string, got %s"):format(what, type(name))) end
  if not name:find "^[%a_:][%w_:]*$" then core.raise(("%s: a name has letters, digits and '_', got %q"):format(what, name)) end
  if name:find "^spate_" or name:find "^process_" then core.raise(("%s: names that begin with spate_ and process_ are the server's"):format(what)) end
  if kind == "counter" and not name:find "_total$" then core.raise(("%s: a counter's name ends in _total, as %s_total"):format(what, name)) end
  if kind ~= "counter" and name:find "_total$" then core.raise(("%s: only a counter's name ends in _total"):format(what)) end
  for _, suffix in ipairs { "_bucket", "_sum", "_count" } do
    if name:sub(-#suffix) == suffix then core.raise(("%s: names that end in %s are those of histograms' series"):format(what, suffix)) end
  end
end

local function check_help(what, help)
  if type(help) ~= "string" or help == "" then core.raise(what .. ': help: expected a text that says what is counted') end
  return (help:gsub("[\\\n\0]", escapes))
end

local function check_labels(what, labels)
  if labels == nil then return {} end
  check.strings(labels, what .. ": labels")
  if #labels > LABELS_MAX then core.raise(("%s: labels: expected %d at most, got %d"):format(what, LABELS_MAX, #labels)) end
  local seen = {}
  for i, name in ipairs(labels) do
    if seen[name] then core.raise(("%s: labels[%d]: %q is there twice"):format(what, i, name)) end
    seen[name] = true
    if not name:find "^[%a_][%w_]*$" or name:find "^__" or name == "le" then
      core.raise(("%s: labels[%d]: %q cannot be a label's name"):format(what, i, name))
    end
  end
  return labels
end

local function check_buckets(what, buckets)
  if type(buckets) ~= "table" or #buckets == 0 or #buckets > 32 then core.raise(what .. ": buckets: expected a list of 1 to 32 numbers") end
  for i, bound in ipairs(buckets) do
    if type(bound) ~= "number" or bound ~= bound or math.abs(bound) == math.huge or (i > 1 and bound <= buckets[i - 1]) then
      core.raise(("%s: buckets[%d]: expected numbers that rise, got %s"):format(what, i, check.shown(bound)))
    end
  end
  return buckets
end

local function define(kind, name, options, known)
  local what = "spate.metrics." .. kind
  check_name(what, name, kind)
  options = check.options(options == nil and {} or options, what, known)
  local help, labels = check_help(what, options.help), check_labels(what, options.labels)
  local buckets = kind == "histogram" and check_buckets(what, options.buckets or BUCKETS) or nil
  local family, why = core.metric(kind, name, help, table.concat(labels, ","), buckets)
  if not family then core.raise(("%s: %s cannot be had: %s"):format(what, name, why)) end
  return setmetatable({ family = family, labels = labels, kind = kind, name = name }, Metric)
end

local OPTIONS, OF_HISTOGRAM = { "help", "labels" }, { "help", "labels", "buckets" }

-- What only grows: metric:inc([n], [labels]).
function metrics.counter(name, options) return define("counter", name, options, OPTIONS) end

-- What goes up and down: metric:set(n, [labels]), :inc, :dec.
function metrics.gauge(name, options) return define("gauge", name, options, OPTIONS) end

-- How values are spread: metric:observe(value, [labels]). `buckets` are bounds, seconds' unless given.
function metrics.histogram(name, options) return define("histogram", name, options, OF_HISTOGRAM) end

-- The first bytes, without a part of a character at the end.
local function cut(value)
  local at = utf8.offset(value, 0, LABEL_MAX + 1)
  return value:sub(1, (at > LABEL_MAX - 3 and at or LABEL_MAX + 1) - 1)
end

local function label_text(self, what, labels)
  if #self.labels == 0 and labels == nil then return "" end
  if type(labels) ~= "table" then
    core.raise(("%s: expected the labels { %s = ... }, got %s"):format(what, table.concat(self.labels, " = ..., "), check.shown(labels)))
  end
  check.options(labels, what, self.labels)
  local parts = {}
  for i, name in ipairs(self.labels) do
    local value = labels[name]
    if type(value) ~= "string" and type(value) ~= "number" then
      core.raise(("%s: label '%s': expected a string, got %s"):format(what, name, type(value)))
    end
    value = tostring(value)
    if #value > LABEL_MAX then value = cut(value) end
    if not utf8.len(value) then value = value:gsub("[\128-\255]", "?") end
    parts[i] = ('%s="%s"'):format(name, value:gsub('[\\"\n\0]', escapes))
  end
  return table.concat(parts, ",")
end

local function check_self(self, name, kinds)
  if getmetatable(self) ~= Metric then core.raise(("metric:%s(...): write it with a colon"):format(name)) end
  if not kinds:find(self.kind, 1, true) then core.raise(("metric:%s: %s is a %s"):format(name, self.name, self.kind)) end
end

local function check_number(what, value)
  if type(value) ~= "number" or value ~= value then core.raise(("%s: expected a number, got %s"):format(what, check.shown(value))) end
  return value
end

-- False where the metric has 1,000 series already, which is told once.
local function kept(self, ok)
  if not ok and not self.is_told then
    self.is_told = true
    core.log.warn(("spate.metrics: %s has 1000 series; others are not counted. Labels are for few values: no ids, no addresses"):format(self.name))
  end
  return ok
end

local function add(self, what, n, labels, sign)
  if type(n) == "table" then n, labels = 1, n end
  n = check_number(what, n == nil and 1 or n)
  if n < 0 then core.raise(("%s: expected 0 or more, got %s"):format(what, n)) end
  return kept(self, core.metric_add(self.family, label_text(self, what, labels), sign * n))
end

function Metric:inc(n, labels)
  check_self(self, "inc", "counter gauge")
  return add(self, "metric:inc", n, labels, 1)
end

function Metric:dec(n, labels)
  check_self(self, "dec", "gauge")
  return add(self, "metric:dec", n, labels, -1)
end

function Metric:set(value, labels)
  check_self(self, "set", "gauge")
  return kept(self, core.metric_set(self.family, label_text(self, "metric:set", labels), check_number("metric:set", value)))
end

function Metric:observe(value, labels)
  check_self(self, "observe", "histogram")
  return kept(self, core.metric_add(self.family, label_text(self, "metric:observe", labels), check_number("metric:observe", value)))
end

-- All that is counted, as text for Prometheus, or as OpenMetrics.
function metrics.text(as_openmetrics) return core.metrics_text(as_openmetrics or false) end

core.public(metrics, "counter", "gauge", "histogram")
core.public(Metric, "inc", "dec", "set", "observe")

return metrics
