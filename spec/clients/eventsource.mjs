// SPDX-License-Identifier: MIT
// eventsource.mjs URL [leave]: until it is closed, or closes itself at the first event.
import { EventSource } from 'eventsource'
import { left, print } from './print.mjs'

const [url, leave] = process.argv.slice(2)
const source = new EventSource(url)
source.addEventListener('error', e => print({ error: e.message ?? 'ended', status: e.code, is_closed: source.readyState === 2 }))
for (const name of ['message', 'note', 'größe']) {
  source.addEventListener(name, e => {
    print({ event: e.type, id: e.lastEventId, data: e.data })
    if (!leave) return
    source.close()
    left(url)
  })
}
