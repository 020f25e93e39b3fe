// SPDX-License-Identifier: MIT
// fetch-event-source.mjs URL [leave]: as its README has it, where an answer that is no stream ends it.
globalThis.window = globalThis
globalThis.document = { addEventListener() {}, removeEventListener() {}, hidden: false }
const { fetchEventSource } = await import('@microsoft/fetch-event-source')
const { left, print } = await import('./print.mjs')

class Fatal extends Error {}

const [url, leave] = process.argv.slice(2)
const leaving = new AbortController()
try {
  await fetchEventSource(url, {
    signal: leaving.signal,
    async onopen(response) {
      if (response.ok && response.headers.get('content-type') === 'text/event-stream') return
      print({ error: 'refused', status: response.status, is_closed: true })
      throw new Fatal()
    },
    onmessage({ id, event, data, retry }) {
      if (retry) return print({ retry })
      print({ event: event || 'message', id, data })
      if (leave) leaving.abort()
    },
    onclose() { throw new Error('ended') },
    onerror(error) {
      if (error instanceof Fatal) throw error
      print({ error: error.message, is_closed: false })
    },
  })
} catch (error) {
  if (!(error instanceof Fatal)) throw error
}
if (leave) await left(url)
