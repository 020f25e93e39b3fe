// SPDX-License-Identifier: MIT
// mcp.mjs URL TO [leave]: lists the tools and counts, with its progress.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { describe, left, print } from './print.mjs'

const [url, to, leave] = process.argv.slice(2)
const client = new Client({ name: 'spec', version: '1' })
client.onerror = error => print({ on_error: error.message })
try {
  await client.connect(new StreamableHTTPClientTransport(new URL(url)))
  print({ server: client.getServerVersion() })
  print({ tools: (await client.listTools()).tools.map(({ name }) => name) })
  const onprogress = progress => {
    print({ progress })
    if (leave) client.close()
  }
  const { content } = await client.callTool({ name: 'count', arguments: { to: +to } }, undefined, { onprogress, timeout: 3000 })
  print({ content })
} catch (error) {
  print(describe(error))
}
if (leave) await left(url)
else await client.close()
