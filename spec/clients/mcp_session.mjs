// SPDX-License-Identifier: MIT
// mcp_session.mjs URL: what the official client does in one session with mcp_everything.lua.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema, ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { describe, print } from './print.mjs'

const client = new Client({ name: 'spec', version: '1' }, { capabilities: { elicitation: {} } })
client.onerror = error => print({ on_error: error.message })
client.setRequestHandler(ElicitRequestSchema, async ({ params }) => ({ action: 'accept', content: { username: params.message, email: 'a@b' } }))
const updated = new Promise(resolve => client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => resolve(params.uri)))

const transport = new StreamableHTTPClientTransport(new URL(process.argv[2]))
const opened = new Promise(resolve => { transport.onopened = resolve })
const plain = globalThis.fetch
globalThis.fetch = async (url, init) => {
  const response = await plain(url, init)
  if (init?.method === 'GET') transport.onopened()
  return response
}
const call = (name, args = {}, options) => client.callTool({ name, arguments: args }, undefined, options)

try {
  await client.connect(transport)
  await opened
  print({ server: client.getServerVersion(), session: transport.sessionId.length })
  const seen = []
  print({ counted: (await call('count', { to: 3 }, { onprogress: ({ progress }) => seen.push(progress) })).structuredContent, seen })
  print({ asked: (await call('test_elicitation', { message: 'who?' })).content[0].text })
  print({ resumed: (await call('test_reconnection')).content[0].text })
  print({ wrong: (await call('count', { to: 'many' })).content[0].text })
  await client.subscribeResource({ uri: 'test://watched-resource' })
  await call('touch')
  print({ updated: await updated })
  const controller = new AbortController()
  await call('count', { to: 1000 }, { signal: controller.signal, onprogress: () => controller.abort('enough') }).catch(error => print({ cancelled: error.message }))
  while ((await call('over')).content[0].text !== '2') await new Promise(resolve => setTimeout(resolve, 20))
  const headers = { 'mcp-session-id': transport.sessionId, accept: 'text/event-stream' }
  await transport.terminateSession()
  print({ ended: (await plain(process.argv[2], { headers })).status })
} catch (error) {
  print(describe(error))
}
await client.close()
process.exit(0)
