-- SPDX-License-Identifier: MIT
-- The page's style. Its colours have 4.5:1 against what they stand on, in the light and in the dark.
return [==[
:root {
  color-scheme: light dark;
  --bg: #f6f7f9; --card: #ffffff; --ink: #1a2230; --dim: #566072; --line: #dfe3ea; --soft: #eef1f5;
  --accent: #0b63c5; --accent-ink: #ffffff; --fill: #0b63c522; --good: #0a6e3d; --good-bg: #dcf3e6; --warn: #8a4b00; --warn-bg: #fdeecf;
  --bad: #b3261e; --bad-bg: #fbe3e1; --shadow: 0 1px 2px #1018280f;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
}
@media (prefers-color-scheme: dark) { :root {
  --bg: #0f141b; --card: #171e27; --ink: #e6ebf2; --dim: #9aa6b6; --line: #2a3441; --soft: #1e2732;
  --accent: #6db3ff; --accent-ink: #06182b; --fill: #6db3ff26; --good: #62d39a; --good-bg: #123524; --warn: #f0bf63; --warn-bg: #3a2c10;
  --bad: #ff9d95; --bad-bg: #43201d; --shadow: none;
} }
* { box-sizing: border-box }
body { margin: 0; font: 14px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; background: var(--bg); color: var(--ink) }
a { color: var(--accent) }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px }
header { background: var(--card); border-bottom: 1px solid var(--line); position: sticky; top: 0; z-index: 5 }
.bar, nav, main { max-width: 1440px; margin: 0 auto; padding: 0 20px }
.bar { display: flex; align-items: center; gap: 12px; padding-top: 12px; padding-bottom: 8px; flex-wrap: wrap }
h1 { font-size: 17px; margin: 0; letter-spacing: -.01em; display: flex; align-items: center; gap: 8px }
h1 svg { width: 20px; height: 20px; stroke: var(--accent); fill: none; stroke-width: 2.2; stroke-linecap: round }
.pill { font-size: 12px; font-weight: 600; padding: 2px 9px; border-radius: 99px; background: var(--soft); color: var(--dim); white-space: nowrap }
.pill.good { background: var(--good-bg); color: var(--good) }
.pill.warn { background: var(--warn-bg); color: var(--warn) }
.pill.bad { background: var(--bad-bg); color: var(--bad) }
.facts { color: var(--dim); font-size: 13px; display: flex; gap: 4px 14px; flex-wrap: wrap; margin-right: auto }
.facts b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums }
nav { display: flex; gap: 2px; flex-wrap: wrap }
nav a { color: var(--dim); text-decoration: none; padding: 8px 12px 9px; border-bottom: 2px solid transparent; white-space: nowrap; font-weight: 500 }
nav a:hover { color: var(--ink) }
nav a[aria-current] { color: var(--ink); border-color: var(--accent) }
nav .n { font-size: 12px; color: var(--dim); margin-left: 5px; font-variant-numeric: tabular-nums }
main { padding-top: 18px; padding-bottom: 40px }
main:focus { outline: none }
h2 { font-size: 15px; margin: 22px 0 8px }
.view > h2:first-child { margin-top: 0 }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px 0; box-shadow: var(--shadow); overflow: hidden; min-width: 0 }
.tile h2 { font-size: 12px; font-weight: 500; color: var(--dim); margin: 0 }
.tile .big { font-size: 24px; font-weight: 650; letter-spacing: -.02em; font-variant-numeric: tabular-nums; white-space: nowrap }
.tile .big small { font-size: 13px; font-weight: 500; color: var(--dim); letter-spacing: 0; margin-left: 3px }
.tile svg { display: block; width: calc(100% + 28px); height: 44px; margin: 4px -14px 0 }
.tile path { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; stroke-linejoin: round }
.tile path.area { fill: var(--fill); stroke: none }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; box-shadow: var(--shadow); overflow-x: auto }
.columns { display: grid; grid-template-columns: 1fr 1fr; gap: 0 18px }
.columns > div { min-width: 0 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 500; font-size: 12px; color: var(--dim); background: var(--soft); white-space: nowrap }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--line); vertical-align: baseline }
tr:last-child td { border-bottom: 0 }
tbody tr:hover { background: var(--soft) }
.num { text-align: right; white-space: nowrap }
.mono { font-family: var(--mono); font-size: 12.5px }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
.dim { color: var(--dim) }
.cut { max-width: 300px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.stack { display: block } .stack + .stack { font-size: 12px; color: var(--dim) }
.empty { padding: 28px; text-align: center; color: var(--dim); margin: 0 }
.tools { display: flex; gap: 8px; align-items: end; flex-wrap: wrap; margin: 0 0 12px }
.tools .space { flex: 1 }
label { font-size: 12px; color: var(--dim); display: grid; gap: 3px }
input, select, textarea, button { font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 7px; padding: 6px 10px }
input, select, textarea { border-color: color-mix(in srgb, var(--dim) 55%, var(--line)) }
textarea { width: 100%; min-height: 84px; resize: vertical; font-family: var(--mono); font-size: 12.5px }
button { cursor: pointer; font-weight: 500; white-space: nowrap }
button:hover:not(:disabled) { border-color: var(--dim) }
button:disabled { color: var(--dim); cursor: default }
button.main { background: var(--accent); border-color: var(--accent); color: var(--accent-ink) }
button.danger { color: var(--bad) }
button.small { padding: 1px 8px; font-size: 12.5px }
button.chip { border-radius: 99px; padding: 0 8px; font-size: 12px; background: var(--soft); margin: 0 4px 2px 0; max-width: 220px; overflow: hidden; text-overflow: ellipsis }
button.link { border: 0; background: none; padding: 0; color: var(--accent); text-align: left; overflow-wrap: anywhere; white-space: normal }
.pager { flex-wrap: wrap; display: flex; gap: 8px; align-items: center; justify-content: flex-end; padding: 10px 2px; color: var(--dim) } .pager span { white-space: nowrap }
.meter { display: inline-block; width: 64px; height: 7px; border-radius: 9px; background: var(--soft); border: 1px solid var(--line); overflow: hidden; vertical-align: 1px; margin-right: 7px }
.meter i { display: block; height: 100%; background: var(--accent) }
.split { display: grid; grid-template-columns: minmax(0, 1fr) 340px; gap: 18px; align-items: start }
.split > aside { display: grid; gap: 14px }
.split form, .pad { padding: 14px; display: grid; gap: 10px }
dl { display: grid; grid-template-columns: auto 1fr; gap: 5px 14px; margin: 0; padding: 14px } dt { color: var(--dim) } dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
.lines { height: 62vh; overflow: auto; font-family: var(--mono); font-size: 12.5px }
.lines .line { padding: 3px 12px; white-space: pre-wrap; overflow-wrap: anywhere; border-bottom: 1px solid var(--soft) }
.lines .head { color: var(--dim); font-size: 12px; display: block }
.lines .head b { color: var(--accent); font-weight: 600 }
.lines .warn { color: var(--warn) } .lines .error { color: var(--bad) } .lines .note { color: var(--dim); font-style: italic }
dialog { border: 1px solid var(--line); border-radius: 12px; background: var(--card); color: var(--ink); padding: 20px; width: min(440px, calc(100vw - 32px)) }
dialog::backdrop { background: #0006 }
dialog h2 { margin: 0 0 6px } dialog p { margin: 0 0 14px; color: var(--dim); overflow-wrap: anywhere }
dialog form { display: grid; gap: 12px } dialog menu { display: flex; gap: 8px; justify-content: flex-end; margin: 0; padding: 0 }
#toast { position: fixed; bottom: 18px; left: 50%; transform: translateX(-50%); background: var(--ink); color: var(--bg); padding: 8px 16px; border-radius: 8px; max-width: 90vw }
#toast:empty { display: none }
.crumb { margin: 0 0 12px }
kbd { font: 600 11px var(--mono); border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 4px; padding: 0 5px; background: var(--soft); color: var(--ink) }
footer { color: var(--dim); font-size: 12px; max-width: 1440px; margin: 0 auto; padding: 0 20px 24px }
@media (max-width: 1000px) { .tiles { grid-template-columns: repeat(2, 1fr) } .split, .columns { grid-template-columns: minmax(0, 1fr) } }
@media (max-width: 760px) {
  .bar, nav, main, footer { padding-left: 12px; padding-right: 12px }
  header { position: static }
  nav a { padding: 6px 9px 7px }
  .facts { order: 3; width: 100%; margin: 0 } #pause { margin-left: auto; padding: 3px 10px }
  .tile .big { font-size: 20px }
  .tools label { flex: 1 1 40% } .tools input, .tools select { width: 100% } .tools .space { display: none }
  table.wide, .wide tbody, .wide tr { display: block } .wide thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
  .wide tr { padding: 8px 12px; border-bottom: 1px solid var(--line); display: grid; grid-template-columns: 1fr 1fr; gap: 2px 12px }
  .wide tr:last-child { border-bottom: 0 }
  .wide td { border: 0; padding: 1px 0; text-align: left; white-space: normal; display: block; min-width: 0 }
  .wide td.full { grid-column: 1 / -1; max-width: none }
  .wide td[data-label]::before { content: attr(data-label) " "; color: var(--dim); font: 12px system-ui, sans-serif }
  .wide td.none { display: none }
  .lines { height: 55vh }
}
@media (prefers-reduced-motion: no-preference) { .meter i { transition: width .3s } }
]==]
