// SPDX-License-Identifier: MIT
// What gzip_app.lua sends, compressed for each client by zlib with what Node has by default.   node gzip_node.mjs PORT
import http from 'node:http'
import zlib from 'node:zlib'

const NAMES = ['api', 'web', 'queue', 'mail', 'search', 'billing', 'login', 'images']
const STATES = ['ok', 'ok', 'ok', 'ok', 'slow', 'down']
let state = 12345n
let sent = 0
const open = new Set()

const random = n => {
  state = (state * 1103515245n + 12345n) % 2147483648n
  return Number(state / 65536n) % n
}

const fragment = () => {
  let rows = ''
  for (let i = 0; i < 5; i++) {
    const name = NAMES[random(NAMES.length)]
    const condition = STATES[random(STATES.length)]
    rows += `<tr id="${name}-${random(40)}" class="row ${condition}"><td>${name}</td><td>${random(2000)} ms</td>` +
      `<td>${random(5000)}/s</td><td>${random(100)}.${String(random(100)).padStart(2, '0')} %</td></tr>`
  }
  return `<tbody hx-swap-oob="true" id="board-${random(4)}">${rows}</tbody>`
}

setInterval(() => {
  const event = `event: rows\nid: 66140a1b2c3d4-${++sent}\ndata: ${fragment()}\n\n`
  for (const stream of open) {
    stream.write(event)
    stream.flush?.(zlib.constants.Z_SYNC_FLUSH) // by itself it is a full one, which forgets the window
  }
}, 50)

http.createServer((req, res) => {
  if (req.url === '/ready') return res.end('yes')
  const packs = req.headers['accept-encoding'] === 'gzip'
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', ...packs && { 'Content-Encoding': 'gzip' } })
  res.flushHeaders()
  let stream = res
  if (packs) {
    stream = zlib.createGzip()
    stream.pipe(res)
  }
  open.add(stream)
  res.on('close', () => open.delete(stream))
}).listen(process.argv[2], '127.0.0.1', 4096)
