// SPDX-License-Identifier: MIT
// better-sse on plain node:http: the channels of app.lua. Runs where node_modules is.   node better_sse.mjs PORT
import http from "node:http";
import { createChannel, createSession } from "better-sse";

const channels = new Map();
const raw = { serializer: (data) => data };

function channel(name) {
  if (!channels.has(name)) channels.set(name, createChannel());
  return channels.get(name);
}

async function subscribe(req, res, name) {
  channel(name).register(await createSession(req, res, raw));
}

async function publish(req, res) {
  let body = "";
  for await (const part of req) body += part;
  channel("news").broadcast(body);
  res.writeHead(204).end();
}

const server = http.createServer((req, res) => {
  if (req.url === "/sub") subscribe(req, res, "news");
  else if (req.url === "/pub") publish(req, res);
  else if (req.url.startsWith("/pair/")) subscribe(req, res, req.url.slice(6));
  else if (req.url === "/hello") res.end("hello");
  else res.writeHead(404).end();
});
server.requestTimeout = 0;
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
