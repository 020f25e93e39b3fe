-- SPDX-License-Identifier: MIT
-- spate dev: pages that reload themselves. HTML gets a script that listens to a route of the library's own, which
-- tells the generation of the code that answers; a page that another one has made loads itself again. Where newer code
-- does not load, the page shows why.
local core = require "spate.core"
local fields = require "spate.fields"
local sse = require "spate.sse"

local PAGE_MAX = 4 << 20 -- bytes of a file that is a page
local PATH, CHANNEL = "/.spate/live", ".spate/live"

local live = { path = PATH }

-- Numbers begin anew with each process, so what tells processes apart goes before.
local function generation_id()
  local run = core.shared "spate.live"
  run:add("id", core.hex(core.random(8)))
  return ("%s-%d"):format(run:get "id", core.generation)
end

live.generation = generation_id()

-- Reconnects by itself: an EventSource gives up where the answer is an error. A page that reloads without a change,
-- from some cache, does so once.
local SCRIPT = [[
<script>(function () {
  var made_by = "%s", key = "spate " + location.pathname;
  function reload(id) {
    try { if (sessionStorage.getItem(key) === id) return; sessionStorage.setItem(key, id); } catch (e) {}
    location.reload();
  }
  function show(text) {
    var box = document.getElementById("spate-failed");
    if (!box) {
      box = document.createElement("pre");
      box.id = "spate-failed";
      box.style.cssText = "position:fixed;inset:0 0 auto 0;z-index:2147483647;max-height:60vh;overflow:auto;margin:0;padding:1em;" +
        "background:#5a2323;color:#fff;font:14px/1.5 ui-monospace,monospace;white-space:pre-wrap;text-align:left";
      document.body.appendChild(box);
    }
    box.textContent = text;
  }
  function connect() {
    var source = new EventSource("%s");
    source.addEventListener("failed", function (e) {
      var told = JSON.parse(e.data);
      if (told.made_by !== made_by) reload(told.made_by); else show(told.report);
    });
    source.addEventListener("generation", function (e) { if (e.data !== made_by) reload(e.data); });
    source.addEventListener("reload", function () { location.reload(); });
    source.onerror = function () { source.close(); setTimeout(connect, 300); };
  }
  connect();
})();</script>
]]

local script = SCRIPT:format(live.generation, PATH)

-- Reloads every page that listens.
function live.reload()
  local channel = sse.channel(CHANNEL)
  return channel and channel:publish { event = "reload", data = "" }
end

local failures = core.shared "spate.live" -- of all workers, and of the code before this

-- What a page is told first.
local function state()
  local report = failures:get "generation" == live.generation and failures:get "report"
  if report then return { event = "failed", json = { made_by = live.generation, report = report } } end
  return { event = "generation", data = live.generation }
end

-- Has every page of this code that listens, or will, show why newer code is not served.
function live.failed(report)
  failures:set("report", report)
  failures:set("generation", live.generation)
  local channel = sse.channel(CHANNEL)
  if channel then channel:publish(state()) end
end

local function answer(req)
  if not core.shows_errors(req) then return require("spate.reply").error(404) end
  local channel = sse.channel(CHANNEL)
  if not channel then return require("spate.reply").error(503) end
  return sse.reply(channel:snapshot(state))
end

-- The route is not behind the app's hooks, which may ask for a login.
function live.add_route(root)
  local id = #root.routes + 1
  if root.router:add("GET", PATH, id) then return end
  root.routes[id] = { method = "GET", path = PATH, where = "spate", is_own = true, handler = answer }
end

local function field_of(answered, wanted)
  local value = fields.find(answered._fields, wanted)
  return value and value:lower()
end

local function directive(policy, ...)
  for _, name in ipairs { ... } do
    for part in policy:gmatch("[^;]+") do
      local found, sources = part:match("^%s*(%S+)%s*(.-)%s*$")
      if found == name then return sources end
    end
  end
end

-- True where the policy (CSP3) lets no script of the page's own run, or not connect to its server.
local function forbids(policy)
  local scripts = directive(policy, "script-src-elem", "script-src", "default-src")
  local connections = directive(policy, "connect-src", "default-src")
  local sandbox = directive(policy, "sandbox")
  return sandbox and not sandbox:find("allow-scripts", 1, true)
    or scripts and (not scripts:find("'unsafe-inline'", 1, true) or scripts:find("'nonce-", 1, true) or scripts:find("'sha%d+-"))
    or connections and not (connections:find("'self'", 1, true) or connections:find("*", 1, true))
end

local has_said = false

local function is_forbidden(req, answered)
  local policy = field_of(answered, "content-security-policy")
  if not policy or not forbids(policy) then return false end
  if not has_said then
    core.log.info(("%s: pages are not reloaded: their Content-Security-Policy allows no script in them"):format(req))
  end
  has_said = true
  return true
end

-- A part of a page, that a script has asked for.
local function is_fragment(req)
  local dest = req.headers["sec-fetch-dest"]
  return req.headers["hx-request"] or dest and dest ~= "document" and dest ~= "iframe" and dest ~= "frame"
end

local function is_html(answered)
  if answered._type then return answered._type:lower():match("^[^;%s]*") == "text/html" end
  return answered._file and answered._path:lower():find("%.html?$") ~= nil
end

local function is_page(req, answered)
  return is_html(answered) and core.shows_errors(req) and not is_fragment(req) and not field_of(answered, "content-encoding")
    and not is_forbidden(req, answered)
end

local function text_of(answered)
  return answered._body or answered._file and core.file_text(answered._file, PAGE_MAX)
end

-- The same reply, with the script in it where it is a page. A copy: the handler may return its reply again.
function live.injected(req, answered)
  local body = is_page(req, answered) and text_of(answered)
  if not body then return answered end
  local copy = setmetatable({}, getmetatable(answered))
  for name, value in pairs(answered) do copy[name] = value end
  copy._file, copy._type = nil, copy._type or "text/html; charset=utf-8"
  local at = body:lower():match(".*()</body") or #body + 1
  copy._body = body:sub(1, at - 1) .. script .. body:sub(at)
  return copy
end

return live
