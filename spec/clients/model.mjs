// SPDX-License-Identifier: MIT
// model.mjs: a language model's server, which prints its port. Each token is the time at which it is sent; who leaves
// before the end is noted.
import { createServer } from 'node:http'

const INTERVAL = 50 // milliseconds between tokens
let closed = null   // when a connection has ended before its answer
let flooded = 0     // bytes that /flood could hand to the kernel

const chunk = delta => `data: ${JSON.stringify({ id: '1', object: 'chat.completion.chunk', created: 1, model: 'clock', choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`

function stream(res, tokens) {
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  const timer = setInterval(() => {
    if (tokens-- > 0) return res.write(chunk({ content: String(Date.now()) }))
    clearInterval(timer)
    res.end('data: [DONE]\n\n')
  }, INTERVAL)
  res.on('close', () => {
    clearInterval(timer)
    if (!res.writableFinished) closed = Date.now()
  })
}

function flood(res) {
  const piece = 'data: ' + 'x'.repeat(1000) + '\n\n'
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  const write = () => {
    while (res.write(piece)) flooded += piece.length
  }
  res.on('drain', write)
  res.on('close', () => { closed = Date.now() })
  write()
}

const json = (res, value, status = 200) => {
  const text = JSON.stringify(value)
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length })
  res.end(text)
}

const server = createServer(async (req, res) => {
  const path = new URL(req.url, 'http://model').pathname
  let body = ''
  for await (const piece of req) body += piece
  if (path === '/flood') flood(res)
  else if (path === '/state') json(res, { closed, flooded })
  else if (path !== '/v1/chat/completions') json(res, { url: req.url, headers: req.headers, method: req.method, length: body.length })
  else if (JSON.parse(body).stream) stream(res, Number(JSON.parse(body).messages[0].content))
  else json(res, { error: { message: 'only streams', type: 'invalid_request_error' } }, 400)
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
