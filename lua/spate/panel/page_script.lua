-- SPDX-License-Identifier: MIT
-- The page's script, second part: the views, and the event stream that feeds the one that is open. Nothing is asked for while
-- the page is hidden or paused.
return [==[
const PAGE_ROWS = 50, LINES = 500;

const TILES = [
  ["streams", "Event streams", count], ["events", "Events", count, "/s"], ["bytes", "Sent", bytes, "/s"], ["requests", "Requests", count, "/s"],
  ["connections", "Connections", count], ["published", "Published", count, "/s"], ["cpu", "Processor", (n) => n.toFixed(n < 1 ? 2 : 1), " cores"],
  ["resident", "Memory", bytes],
];
const samples = [];

const REASONS = [["finished", "finished"], ["client_closed", "the client has closed"], ["slow_consumer", "too slow"], ["timeout", "timeout"], ["error", "error"],
  ["kicked", "kicked"], ["shutdown", "shutdown"], ["reload", "reload"]];

function busy(cell, row) {
  if (!cell.firstChild) cell.append(el("span", { className: "meter", "aria-hidden": "true" }, el("i")), el("span"));
  const share = Math.min(1, row.busy || 0);
  cell.firstChild.firstChild.style.width = (share * 100).toFixed(1) + "%";
  put(cell.lastChild, row.is_late ? "does not answer" : row.busy === undefined ? "–" : (row.busy * 100).toFixed(row.busy < 0.1 ? 1 : 0) + " %");
}

function generations(workers) {
  const list = new Map();
  for (const w of workers) for (const g of w.generations || []) {
    const sum = list.get(g.number) || { number: g.number, is_served: false, streams: 0, tasks: 0, requests: 0, lua_bytes: 0 };
    for (const key of ["streams", "tasks", "requests", "lua_bytes"]) sum[key] += g[key];
    sum.is_served ||= g.is_served;
    list.set(g.number, sum);
  }
  return [...list.values()].sort((a, b) => b.number - a.number);
}

const views = {};

views.overview = { title: "Overview", live: [], open(root) {
  const tiles = TILES.map(([name, title, show, unit]) => {
    const big = el("span", {}, "–"), p = plot(title + " over the last two minutes");
    return { name, show, big, p, element: el("div", { className: "tile" }, el("h2", {}, title), el("div", { className: "big" }, big, unit ? el("small", {}, unit) : ""), p.element) };
  });
  const workers = table("Workers", [text("Worker", (w) => String(w.worker)), { title: "Busy", fill: busy }, number("Connections", (w) => count(w.connections)),
    number("Streams", (w) => count(w.streams)), number("Requests", (w) => count(w.requests)), number("Events", (w) => count(w.events)), number("Bytes", (w) => bytes(w.bytes)),
    number("Slow clients", (w) => count(w.slow)), number("Long turns", (w) => count(w.long_turns))], (w) => w.worker, "No workers");
  const code = table("Generations", [text("Generation", (g) => g.number + (g.is_served ? " (served)" : " (retired)")), number("Streams", (g) => count(g.streams)),
    number("Requests", (g) => count(g.requests)), number("Tasks", (g) => count(g.tasks)), number("Lua memory", (g) => bytes(g.lua_bytes))], (g) => g.number, "None yet");
  const ends = table("Ends of streams", [text("Why", (r) => r.why), number("Streams", (r) => count(r.n))], (r) => r.why, "No stream has ended");
  root.append(el("div", { className: "tiles" }, tiles.map((t) => t.element)), el("h2", {}, "Workers"), workers.element,
    el("div", { className: "columns" }, el("div", {}, el("h2", {}, "Generations"), code.element), el("div", {}, el("h2", {}, "Streams that have ended"), ends.element)));
  return { overview(o) {
    const newest = samples[samples.length - 1];
    for (const t of tiles) {
      if (newest) put(t.big, t.show(newest[t.name] || 0));
      t.p.show(samples.map((s) => s[t.name] || 0));
    }
    workers.show(o.workers);
    code.show(generations(o.workers));
    ends.show(REASONS.map(([name, why]) => ({ why, n: o.stats[`closed_${name}_total`] })).filter((r) => r.n));
  } };
} };

function input(label, name, state, more) {
  const e = el("input", { type: "search", value: state[name] || "", autocomplete: "off", spellcheck: false, ...more });
  let timer;
  e.oninput = () => { clearTimeout(timer); timer = setTimeout(() => {
    if (new TextEncoder().encode(e.value).length > 200) return toast(`${label}: 200 bytes at most`);
    state[name] = e.value; state.offset = 0; reconnect();
  }, 250); };
  return el("label", {}, label, e);
}
function choice(label, name, state, options) {
  const e = el("select", { onchange: () => { state[name] = e.value; state.offset = 0; reconnect(); } }, options.map(([value, t]) => el("option", { value, selected: state[name] === value }, t)));
  return el("label", {}, label, e);
}
function pager(state) {
  let total = 0;
  const at = el("span", { role: "status" }), last = () => Math.max(0, Math.ceil(total / PAGE_ROWS) - 1) * PAGE_ROWS;
  const go = (label, to) => el("button", { onclick: () => { state.offset = Math.min(Math.max(0, to()), last()); reconnect(); } }, label);
  const back = [go("First", () => 0), go("Previous", () => state.offset - PAGE_ROWS)];
  const on = [go("Next", () => state.offset + PAGE_ROWS), go("Last", last)];
  return { element: el("div", { className: "pager" }, at, back, on), show(all, shown) {
    total = all;
    put(at, total ? `${count(state.offset + 1)} – ${count(state.offset + shown)} of ${count(total)}` : "");
    for (const b of back) b.disabled = state.offset === 0;
    for (const b of on) b.disabled = state.offset >= last();
    if (total && !shown) state.offset = last(), reconnect(); // fewer than there were
  } };
}

const streamState = { order: "age", ascending: "0", text: "", tag: "", offset: 0 };
views.streams = { title: "Streams", live: ["streams"], every: 2, query: () => ({ ...streamState, limit: PAGE_ROWS }), open(root) {
  const byTag = el("button", { className: "danger", onclick: () => ask("Kick this tag", `Every stream with the tag ${streamState.tag} is ended, on all workers.`, { tag: streamState.tag }) });
  const chips = { title: "Tags", fill(cell, row) {
    if (cell.dataset.tags === row.tags.join("\n")) return;
    cell.dataset.tags = row.tags.join("\n");
    cell.classList.toggle("none", !row.tags.length);
    cell.replaceChildren(...row.tags.map((tag) => el("button", { className: "chip", title: "Only this tag", onclick: () => { streamState.tag = tag; streamState.offset = 0; show("streams"); } }, tag)));
  } };
  const what = { title: "Route", type: "cut", full: true, fill(cell, row) {
    if (!cell.firstChild) cell.append(el("span", { className: "stack mono" }), el("span", { className: "stack mono" }));
    put(cell.firstChild, row.target);
    put(cell.lastChild, row.route.replace(/^\S+ /, "") === row.target ? "" : row.route);
    cell.title = `${row.method} ${row.target}`;
  } };
  const rows = table("Streams", [what, text("Remote", (s) => s.remote, { type: "mono" }), number("Age", (s) => seconds(s.age)), chips, text("Last id", (s) => s.last_id, { type: "mono cut", cut: true }),
    number("Events", (s) => count(s.events)), number("Sent", (s) => bytes(s.bytes)), number("Queue", (s) => s.queued ? `${count(s.queued)} · ${bytes(s.queued_bytes)}` : "0"),
    number("Lag", (s) => seconds(s.lag)), text("HTTP", (s) => s.http + (s.is_compressed ? " gzip" : "") + (s.is_events ? "" : " bytes")), number("Worker", (s) => String(s.worker)),
    number("Code", (s) => String(s.generation)),
    action("Kick", (s) => `Kick the stream of ${s.remote} at ${s.target}`, (s) => ask("Kick this stream", `${s.target} of ${s.remote}, open for ${seconds(s.age)}`, { stream: s.id }))], (s) => s.id,
    "No stream matches");
  const pages = pager(streamState);
  root.append(el("div", { className: "tools" }, input("Target, address or route", "text", streamState, { id: "filter" }), input("Tag", "tag", streamState),
    choice("Sorted by", "order", streamState, [["age", "Age"], ["lag", "Lag"], ["queued", "Queue"], ["bytes", "Bytes sent"], ["events", "Events"]]),
    choice("Order", "ascending", streamState, [["0", "Largest first"], ["1", "Smallest first"]]), el("span", { className: "space" }), byTag), rows.element, pages.element);
  return { streams(data) {
    if (data.error) return toast(data.error);
    byTag.hidden = !streamState.tag;
    put(byTag, `Kick all of ${streamState.tag}`);
    rows.show(data.streams);
    pages.show(data.count, data.streams.length);
  } };
} };

const channelState = { order: "subscribers", text: "", offset: 0 };
const readers = (c) => count(c.subscribers) + (c.elsewhere ? ` + ${count(c.elsewhere)}` : "");
views.channels = { title: "Channels", live: ["channels"], every: 2, query: () => ({ ...channelState, limit: PAGE_ROWS }), open(root) {
  const name = { title: "Channel", full: true, fill(cell, row) {
    if (!cell.firstChild) cell.append(el("a", { className: "mono" }));
    put(cell.firstChild, row.name);
    cell.firstChild.href = "#channel/" + encodeURIComponent(row.name);
  } };
  const rows = table("Channels", [name, number("Subscribers", readers), number("Members", (c) => count(c.members)), number("Events/s", (c) => count(c.rate)), number("History", (c) => `${count(c.events)} · ${bytes(c.bytes)}`),
    text("Position", (c) => c.position, { type: "mono" }), text("State", (c) => c.state), text("Kept", (c) => c.is_stored ? "in the store" : c.history ? "in memory" : "not")], (c) => c.name, "No channel matches");
  const pages = pager(channelState);
  root.append(el("div", { className: "tools" }, input("Name", "text", channelState, { id: "filter" }),
    choice("Sorted by", "order", channelState, [["subscribers", "Subscribers"], ["events", "Events kept"], ["bytes", "Bytes kept"], ["name", "Name"]])), rows.element, pages.element);
  return { channels(data) {
    if (data.error) return toast(data.error);
    rows.show(data.channels);
    pages.show(data.count, data.channels.length);
  } };
} };

// Lines that are added at the end, and read there unless somebody has scrolled up.
function lines(label) {
  const list = el("div", { className: "lines", tabIndex: 0, role: "log", "aria-label": label, "aria-live": "off" });
  return { element: el("div", { className: "card" }, list), add(items) {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(...items);
    while (list.childElementCount > LINES) list.firstChild.remove();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }, list };
}

views.channel = { live: ["channel"], every: 1, query: (name) => ({ name }), open(root, name) {
  const facts = el("dl"), members = el("p", { className: "pad dim" }), log = lines("Events of " + name);
  const event = el("input", { autocomplete: "off", placeholder: "none" }), data = el("textarea", { required: true, spellcheck: false });
  const form = el("form", { className: "card", "aria-label": "Publish", async onsubmit(e) {
    e.preventDefault();
    const answer = await post("api/publish", { channel: name, event: event.value, data: data.value });
    if (answer) toast("Published as " + JSON.parse(answer).id), data.value = "";
  } }, el("label", {}, "Event's name", event), el("label", {}, "Data", data), el("button", { className: "main" }, "Publish"));
  root.append(el("p", { className: "crumb" }, el("a", { href: "#channels" }, "Channels"), " / ", el("b", { className: "mono" }, name)),
    el("div", { className: "split" }, el("section", { "aria-label": "Live tail" }, log.element), el("aside", {},
      el("div", { className: "card" }, facts), form, el("div", { className: "card" }, members),
      el("button", { className: "danger", onclick: () => ask("Kick this channel", `Every subscriber of ${name} is ended, on all workers and servers.`, { channel: name }) }, "Kick its subscribers"))));
  const tail = new EventSource(base + "api/tail?" + new URLSearchParams({ name, replay: 20 }));
  tail.addEventListener("events", (e) => {
    const told = JSON.parse(e.data), items = [];
    if (told.skipped) items.push(el("div", { className: "line note" }, `${count(told.skipped)} events of this quarter of a second are left out`));
    for (const each of told.events) {
      const head = el("span", { className: "head" }, each.event ? el("b", {}, each.event) : "", each.event ? "  " : "", each.id || "", each.is_cut ? `  the first 16 kB of ${bytes(each.bytes)}` : "");
      items.push(el("div", { className: "line" }, head, each.data));
    }
    log.add(items);
  });
  return { close: () => tail.close(), channel(told) {
    if (told.error) return put(members, told.error);
    const c = told.channel;
    const rows = [["State", c.state], ["Subscribers", readers(c)], ["Events a second", count(c.rate)], ["Position", c.position], ["History", `${count(c.events)} of ${count(c.history)} events, ${bytes(c.bytes)}`],
      ["Kept", c.ttl ? `for ${seconds(c.ttl)}` : "for ever"], ["Where", c.is_stored ? "in the store" : "in memory"], ["Queue", `${count(c.queue)} events, then ${c.on_full}`]];
    if (facts.childElementCount !== rows.length * 2) facts.replaceChildren(...rows.flatMap(([k]) => [el("dt", {}, k), el("dd")]));
    rows.forEach(([, v], i) => put(facts.children[i * 2 + 1], v));
    put(members, told.members.length ? `${count(c.members)} present: ${told.members.map((m) => m.id).join(", ")}` : "Nobody has joined.");
  } };
} };

views.tasks = { title: "Tasks", live: ["tasks"], every: 3, open(root) {
  const note = el("p", { className: "dim" });
  const rows = table("Places at which tasks wait", [text("Where", (p) => p.where || "in the library", { type: "mono", full: true }), text("Of", (p) => p.route || p.kind, { type: "mono" }), text("State", (p) => p.state), number("Tasks", (p) => count(p.count)),
    number("Code", (p) => String(p.generation)), number("Worker", (p) => String(p.worker))], (p) => [p.where, p.route, p.kind, p.state, p.generation, p.worker].join(" "), "No task runs");
  root.append(note, rows.element);
  return { tasks(data) {
    put(note, data.looked < data.tasks ? `${count(data.tasks)} tasks; places are those of the first ${count(data.looked)}.` : `${count(data.tasks)} tasks.`);
    rows.show(data.places);
  } };
} };

views.upstreams = { title: "Upstreams", live: ["upstreams"], every: 2, open(root) {
  const facts = el("p", { className: "dim" });
  const origins = table("Servers", [text("Server", (o) => o.origin, { type: "mono", full: true }), number("Open", (o) => count(o.open)), number("Answering", (o) => count(o.answering)), number("Oldest", (o) => seconds(o.oldest)),
    number("Silent for", (o) => seconds(o.silent))], (o) => o.origin, "No request to another server is open");
  const requests = table("Requests", [text("Request", (r) => `${r.method} ${r.host}:${r.port}`, { type: "mono", full: true }), text("State", (r) => r.state), number("Status", (r) => r.status ? String(r.status) : ""), number("Age", (r) => seconds(r.age)),
    number("Silent for", (r) => seconds(r.silent)), number("Worker", (r) => String(r.worker))], (r) => [r.worker, r.host, r.port, r.age - r.silent].join(" "), "None");
  const pools = table("Pools", [text("Pool", (p) => p.name, { type: "mono", full: true }), number("In use", (p) => count(p.in_use)), number("Idle", (p) => count(p.idle)),
    number("Waiting", (p) => count(p.waiting)), number("Limit", (p) => count(p.limit))], (p) => p.name, "None");
  root.append(facts, origins.element, el("h2", {}, "Oldest requests"), requests.element, el("h2", {}, "Pools of threads and connections"), pools.element);
  return { overview(o) {
    const s = o.stats;
    put(facts, `${count(s.http_requests_total)} requests so far, ${count(s.http_errors_total)} failed; ${bytes(s.http_bytes_in_total)} received. Databases: ${count(s.databases)} connections, ` +
      `${count(s.database_calls_total)} statements, ${count(s.database_errors_total)} failed. Redis: ${count(s.redis_commands_total)} commands. Store: ${o.store || "none"}.`);
  }, upstreams(data) {
    origins.show(data.origins);
    requests.show(data.requests);
    pools.show(data.pools);
  } };
} };

const logState = { text: "", level: "" };
const LEVELS = /\b(debug|info|warn|error)\b/;
views.log = { title: "Log", live: ["log"], every: 0.5, open(root) {
  const log = lines("The log");
  const isShown = (li) => (!logState.text || li.textContent.toLowerCase().includes(logState.text.toLowerCase())) && (!logState.level || li.level >= Number(logState.level));
  const again = () => { for (const li of log.list.children) li.hidden = !isShown(li); };
  const filter = el("input", { type: "search", id: "filter", value: logState.text, oninput: () => { logState.text = filter.value; again(); } });
  const level = el("select", { onchange: () => { logState.level = level.value; again(); } }, [["", "All"], ["1", "info and above"], ["2", "warn and above"], ["3", "error"]].map(([value, t]) => el("option", { value, selected: logState.level === value }, t)));
  root.append(el("div", { className: "tools" }, el("label", {}, "Text", filter), el("label", {}, "Level", level)), log.element);
  return { log(data) {
    log.add(data.lines.map((line) => {
      const name = (line.slice(0, 80).match(LEVELS) || ["", "info"])[1], li = el("div", { className: "line " + name }, line);
      li.level = ["debug", "info", "warn", "error"].indexOf(name);
      li.hidden = !isShown(li);
      return li;
    }));
  } };
} };

const ORDER = ["overview", "streams", "channels", "tasks", "upstreams", "log"];
let source, current, view, argument = "", isPaused = false;

const counts = {};
$("views").append(...ORDER.map((name) => el("a", { href: "#" + name, id: "to-" + name }, views[name].title, counts[name] = el("span", { className: "n" }))));

function told(o) {
  const p = o.process;
  $("state").className = "pill " + (o.state === "serving" ? "good" : "warn");
  put($("state"), o.state);
  const late = o.workers.filter((w) => w.is_late).length;
  const facts = [["", o.version], ["up ", seconds(o.time - p.started_at)], ["process ", String(p.pid)], ["generation ", String(o.stats.generation)], ["descriptors ", count(p.descriptors)]];
  if (late) facts.push(["workers that do not answer ", String(late)]);
  const box = $("facts");
  if (box.childElementCount !== facts.length) box.replaceChildren(...facts.map(([name]) => el("span", {}, name, el("b"))));
  facts.forEach(([, value], i) => put(box.children[i].lastChild, value));
  put(counts.streams, count(o.stats.streams));
  put(counts.channels, count(o.stats.channels));
  put(counts.tasks, count(o.stats.tasks));
  put(counts.upstreams, count(o.stats.http_requests));
  const last = samples[samples.length - 1];
  if (o.rates && !(last && o.rates.at <= last.at)) samples.push(o.rates);
  if (samples.length > 300) samples.shift();
}

function disconnect() { if (source) source.close(); source = null; }

// The stream that feeds the open view; its filters are in its address.
function reconnect() {
  disconnect();
  if (isPaused || document.hidden) return;
  const wanted = views[current], every = wanted.every || 1;
  const names = ["overview", ...wanted.live];
  if (!samples.length) names.unshift("history");
  source = new EventSource(base + "api/live?" + new URLSearchParams({ views: names, every, ...(wanted.query ? wanted.query(argument) : {}) }));
  source.addEventListener("history", (e) => { if (!samples.length) samples.push(...JSON.parse(e.data).samples); });
  source.addEventListener("overview", (e) => { const o = JSON.parse(e.data); told(o); if (view.overview) view.overview(o); });
  for (const name of wanted.live) source.addEventListener(name, (e) => view[name](JSON.parse(e.data)));
  source.onerror = () => { $("state").className = "pill bad"; put($("state"), "not connected"); };
}

function show(name, arg) {
  if (view && view.close) view.close();
  current = Object.hasOwn(views, name) ? name : "overview";
  argument = arg || "";
  for (const each of ORDER) {
    const isOpen = each === current || (current === "channel" && each === "channels");
    if (isOpen) $("to-" + each).setAttribute("aria-current", "page");
    else $("to-" + each).removeAttribute("aria-current");
  }
  document.title = `${views[current].title || argument} · spate`;
  const root = el("div", { className: "view" });
  $("main").replaceChildren(root);
  view = views[current].open(root, argument);
  reconnect();
}

function pause(on) {
  isPaused = on;
  $("pause").setAttribute("aria-pressed", String(on));
  put($("pause"), on ? "Go on" : "Pause");
  if (on) disconnect(), $("state").className = "pill warn", put($("state"), "paused");
  else reconnect();
}

function decoded(text) { try { return decodeURIComponent(text); } catch { return text; } }
function follow() {
  const [name, arg] = location.hash.slice(1).split("/");
  show(name || "overview", arg && decoded(arg));
}
addEventListener("hashchange", () => { follow(); $("main").focus({ preventScroll: true }); });
document.addEventListener("visibilitychange", () => document.hidden ? disconnect() : reconnect());
$("pause").onclick = () => pause(!isPaused);
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || $("ask").open || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)) return;
  if (ORDER[Number(e.key) - 1]) location.hash = ORDER[Number(e.key) - 1];
  else if (e.key === "p") pause(!isPaused);
  else if (e.key === "/" && $("filter")) e.preventDefault(), $("filter").focus();
});
follow();
]==]
