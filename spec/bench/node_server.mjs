// SPDX-License-Identifier: MIT
// Plain node:http, answering the paths of app.lua.   node node_server.mjs PORT
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

function startStream(res) {
  res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  res.flushHeaders();
}

function interval(req, res) {
  let n = 0;
  startStream(res);
  const timer = setInterval(() => res.write(`data: ${++n}\n\n`), 100);
  res.on("close", () => clearInterval(timer));
}

async function sleepLoop(req, res) {
  startStream(res);
  for (let n = 1; !res.destroyed; n++) {
    res.write(`data: ${n}\n\n`);
    await sleep(100);
  }
}

function idle(req, res) {
  startStream(res);
  res.write("data: hi\n\n");
  const timer = setInterval(() => {}, 3600 * 1000);
  res.on("close", () => clearInterval(timer));
}

function hello(req, res, query) {
  const text = `hello ${new URLSearchParams(query).get("name") ?? "world"}`;
  res.writeHead(200, { "Content-Type": "text/plain", "Content-Length": Buffer.byteLength(text) });
  res.end(text);
}

const routes = { "/interval": interval, "/sleep": sleepLoop, "/never": (req, res) => startStream(res), "/idle": idle, "/hello": hello };

const server = http.createServer((req, res) => {
  const [path, query] = req.url.split("?", 2);
  const route = routes[path];
  if (route) route(req, res, query);
  else res.writeHead(404).end();
});
server.requestTimeout = 0;
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
