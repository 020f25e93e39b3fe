-- SPDX-License-Identifier: MIT
-- The inspector's page: one answer without a script or a style from elsewhere, which works offline. What it shows comes by
-- an event stream.
local core = require "spate.core"
local reply = require "spate.reply"

local STYLE, SCRIPT = require "spate.panel.page_style", require "spate.panel.page_parts" .. require "spate.panel.page_script"

local PAGE = [[
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>spate inspector</title><link rel="icon" href="data:image/svg+xml,%%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none'
stroke='%%230b63c5' stroke-width='2.5' stroke-linecap='round'%%3E%%3Cpath d='M2 8q5-5 10 0t10 0M2 16q5-5 10 0t10 0'/%%3E%%3C/svg%%3E">
<style>%s</style></head>
<body>
<header>
<div class="bar">
<h1><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M2 8q5-5 10 0t10 0M2 16q5-5 10 0t10 0"/></svg>spate</h1>
<span class="pill" id="state" role="status">connecting</span>
<div class="facts" id="facts"></div>
<button id="pause" aria-pressed="false">Pause</button>
</div>
<nav aria-label="Views" id="views"></nav>
</header>
<main id="main" tabindex="-1"></main>
<footer><kbd>1</kbd>&#8202;&#8211;&#8202;<kbd>6</kbd> views, <kbd>/</kbd> filter, <kbd>p</kbd> pause</footer>
<dialog id="ask" aria-labelledby="ask-title"></dialog>
<div id="toast" role="status"></div>
<noscript>This page shows what /api/live streams, by a script.</noscript>
<script>%s</script>
</body></html>
]]

local function hash(text) return "'sha256-" .. core.base64(core.hash("sha256", text), false, true) .. "'" end

local CSP = ("default-src 'none'; style-src %s; script-src %s; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; " ..
  "frame-ancestors 'none'"):format(hash(STYLE), hash(SCRIPT))

local text = PAGE:format(STYLE, SCRIPT)

return function()
  return reply.html(text):header("Content-Security-Policy", CSP):header("X-Content-Type-Options", "nosniff")
    :header("Referrer-Policy", "no-referrer"):header("Cache-Control", "no-store")
end
