// SPDX-License-Identifier: MIT
// Node between the load client and another server: undici, piped.   node node_proxy.mjs PORT EVENTS_PORT HELLO_PORT
import http from "node:http";
import { Pool } from "undici";

const [port, events, hello] = process.argv.slice(2).map(Number);
const options = { connections: 4096, pipelining: 1, bodyTimeout: 0, headersTimeout: 0 };
const pools = {
  "/events": [new Pool(`http://127.0.0.1:${events}`, options), "/"],
  "/hello": [new Pool(`http://127.0.0.1:${hello}`, { ...options, connections: 64 }), "/text"],
};

const server = http.createServer(async (req, res) => {
  const [pool, path] = pools[req.url.split("?", 1)[0]] ?? [];
  if (!pool) return res.end("yes");
  const leaving = new AbortController();
  res.on("close", () => leaving.abort());
  try {
    const { statusCode, headers, body } = await pool.request({ path, method: "GET", signal: leaving.signal });
    delete headers.connection, delete headers["keep-alive"], delete headers["transfer-encoding"];
    res.writeHead(statusCode, headers);
    res.flushHeaders();
    body.on("error", () => res.destroy()).pipe(res);
  } catch {
    if (!res.headersSent) res.writeHead(502);
    res.end();
  }
});
server.requestTimeout = 0;
server.listen({ port, host: "127.0.0.1", backlog: 4096 });
