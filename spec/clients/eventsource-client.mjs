// SPDX-License-Identifier: MIT
// eventsource-client.mjs URL [leave]: until the server says that there is no more, or until the first event.
import { createEventSource } from 'eventsource-client'
import { left, print } from './print.mjs'

const [url, leave] = process.argv.slice(2)
const source = createEventSource({
  url,
  // It reads any answer as a stream: what is none is told by the page's own fetch.
  fetch: async (...request) => {
    const response = await fetch(...request)
    if (response.status < 400) return response
    print({ error: 'refused', status: response.status, is_closed: true })
    source.close()
    throw new Error('refused')
  },
  onScheduleReconnect: ({ delay }) => print({ error: 'ended', is_closed: false, delay }),
  onDisconnect: () => {},
})
for await (const { id, event, data } of source) {
  print({ event: event ?? 'message', id, data })
  if (leave) break
}
if (leave) {
  source.close()
  await left(url)
}
