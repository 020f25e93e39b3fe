-- SPDX-License-Identifier: MIT
-- The page's script, first part: elements, numbers as people read them, plots, tables that change in place, dialogs, and what
-- is asked of the server. Texts of the server become text nodes only.
return [==[
"use strict";
const base = location.pathname.replace(/\/*$/, "/");
const $ = (id) => document.getElementById(id);

// An element of properties, attributes (those with a dash, role, colspan) and children.
function el(name, props, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.includes("-") || key === "role" || key === "for" || key === "colspan") e.setAttribute(key, value === true ? "" : value);
    else e[key] = value;
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}
function svg(name, attributes, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}
function put(e, text) { if (e.textContent !== text) e.textContent = text; }

const whole = new Intl.NumberFormat("en");
function count(n) {
  if (n === undefined || n === null) return "–";
  if (n >= 1e6) return (n / 1e6).toFixed(n < 1e7 ? 2 : 1) + " M";
  return n < 10 && n % 1 ? n.toFixed(1) : whole.format(Math.round(n));
}
function bytes(n) {
  if (n === undefined || n === null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 1000 && i < 4) n /= 1000, i++;
  return (i && n < 10 ? n.toFixed(1) : Math.round(n)) + " " + units[i];
}
function seconds(s) {
  if (s === undefined || s === null) return "–";
  if (s < 0.0005) return "0 s";
  if (s < 1) return Math.round(s * 1e3) + " ms";
  if (s < 60) return s.toFixed(s < 10 ? 1 : 0) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + Math.floor(s % 60) + " s";
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
  return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
}

// A small plot of a list of numbers, of which the newest is at the right.
const PLOTTED = 120;
function plot(label) {
  const area = svg("path", { class: "area" }), line = svg("path", {});
  const e = svg("svg", { viewBox: "0 0 120 40", preserveAspectRatio: "none", role: "img", "aria-label": label }, area, line);
  return { element: e, show(values) {
    const list = values.slice(-PLOTTED), top = Math.max(1e-9, ...list) * 1.12, from = PLOTTED - list.length;
    if (list.length < 2) return;
    const at = list.map((v, i) => `${((from + i) * PLOTTED / (PLOTTED - 1)).toFixed(2)} ${(38 - 36 * Math.max(0, v) / top).toFixed(2)}`);
    line.setAttribute("d", "M" + at.join("L"));
    area.setAttribute("d", `M${at[0].split(" ")[0]} 40L${at.join("L")}L120 40Z`);
  } };
}

// A table whose rows have keys: a row that stays keeps its elements, and with them the focus and what is selected.
// A column: { title, label (on small screens), type ("num", "mono", ...), fill(cell, row) }.
function table(caption, columns, key, empty) {
  const body = el("tbody"), rows = new Map();
  const head = columns.map((c) => el("th", { scope: "col", className: c.type === "num" ? "num" : "" }, c.title || el("span", { className: "unseen" }, c.label)));
  const t = el("table", { className: "wide", role: "table", "aria-label": caption },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head)), body);
  body.setAttribute("role", "rowgroup");
  for (const h of head) h.setAttribute("role", "columnheader");
  const none = el("p", { className: "empty", hidden: true }, empty);
  function make() {
    const cells = columns.map((c) => el("td", { className: `${c.type || ""} ${c.cut ? "cut" : ""} ${c.full ? "full" : ""}`.trim(), role: "cell",
      "data-label": c.full ? null : c.label || c.title }));
    return { tr: el("tr", { role: "row" }, cells), cells };
  }
  function show(list) {
    const focused = document.activeElement, seen = new Set();
    let before = body.firstChild;
    for (const data of list) {
      const id = key(data);
      if (seen.has(id)) continue;
      seen.add(id);
      if (!rows.has(id)) rows.set(id, make());
      const row = rows.get(id);
      columns.forEach((c, i) => c.fill(row.cells[i], data));
      if (row.tr === before) before = before.nextSibling;
      else body.insertBefore(row.tr, before);
    }
    for (const [id, row] of rows) if (!seen.has(id)) row.tr.remove(), rows.delete(id);
    if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
    t.hidden = !list.length;
    none.hidden = !!list.length;
  }
  return { element: el("div", { className: "card", tabIndex: 0, role: "region", "aria-label": caption }, t, none), show };
}
// Columns of a text, a number, and a button.
const text = (title, of, more) => ({ title, ...more, fill(cell, row) {
  const value = of(row) ?? "";
  put(cell, value);
  if (more && more.cut) cell.title = value;
  cell.classList.toggle("none", value === "");
} });
const number = (title, of, more) => text(title, of, { type: "num", ...more });
const action = (label, title, act) => ({ title: "", label, type: "num", full: true, fill(cell, row) {
  cell.row = row;
  if (!cell.firstChild) cell.append(el("button", { className: "small danger", onclick: () => act(cell.row) }, label));
  cell.firstChild.setAttribute("aria-label", title(row));
} });

let toastTimer;
function toast(message) {
  put($("toast"), message);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => put($("toast"), ""), 4000);
}

// Changes something there; true where that was taken.
async function post(path, body) {
  try {
    const res = await fetch(base + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (res.ok) return (await res.text()) || true;
    toast(`Refused: ${(await res.text()).trim() || res.status}`);
  } catch (e) { toast("The server does not answer."); }
  return false;
}

// What a kick has found.
function kicked(told) {
  const late = told.late ? `; workers ${told.late.join(", ")} have not answered yet` : "";
  return `${told.kicked === 1 ? "One stream is" : count(told.kicked) + " streams are"} ended${late}${told.others_told ? "; other servers are told" : ""}.`;
}

// Asks before streams are ended.
function ask(title, explanation, what) {
  const dialog = $("ask"), reason = el("input", { name: "reason", maxLength: 1000, autocomplete: "off" });
  const retry = el("input", { name: "retry", type: "number", min: 0, step: "any", placeholder: "as shutdown.retry says" });
  const go = el("button", { className: "main", type: "submit" }, "Kick");
  dialog.replaceChildren(el("h2", { id: "ask-title" }, title), el("p", {}, explanation),
    el("form", { method: "dialog", async onsubmit(event) {
      event.preventDefault();
      const body = { ...what };
      if (reason.value) body.reason = reason.value;
      if (retry.value) body.retry = Number(retry.value);
      go.disabled = true;
      const answer = await post("api/kick", body);
      if (answer) toast(kicked(JSON.parse(answer))), dialog.close();
      go.disabled = false;
    } }, el("label", {}, "Reason, the data of the event that tells the client", reason), el("label", {}, "Seconds until it comes back, at least", retry),
      el("menu", {}, el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), go)));
  dialog.showModal();
  reason.focus();
}
]==]
