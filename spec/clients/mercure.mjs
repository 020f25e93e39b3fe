// SPDX-License-Identifier: MIT
// A subscriber and a publisher of a Mercure hub, as its documents have them in JavaScript:
//   mercure.mjs HUB eventsource|fetch-event-source CLAIMS TOPICS   reads until an update whose data is "bye"
//   mercure.mjs HUB publish CLAIMS UPDATES                         UPDATES: a list of lists of [name, value]
//   mercure.mjs HUB subscriptions CLAIMS [PATH]
// CLAIMS: what the token's claim `mercure` has, or null without a token.
import { SignJWT } from 'jose'
import { print } from './print.mjs'

const [hub, what, claims, argument] = process.argv.slice(2)

async function token() {
  const mercure = JSON.parse(claims)
  return mercure && new SignJWT({ mercure }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(process.env.MERCURE_KEY))
}

const jwt = await token()
const authorization = jwt ? { Authorization: `Bearer ${jwt}` } : {}

function url() {
  const url = new URL(hub)
  for (const topic of JSON.parse(argument)) url.searchParams.append('topic', topic)
  return url
}

const shown = ({ type, event, lastEventId, id, data }) => print({ event: type ?? (event || 'message'), id: lastEventId ?? id, data })

const run = {
  // The token in Authorization.
  async eventsource() {
    const { EventSource } = await import('eventsource')
    const source = new EventSource(url(), { fetch: (at, init) => fetch(at, { ...init, headers: { ...init.headers, ...authorization } }) })
    source.addEventListener('open', () => print({ open: true }))
    source.addEventListener('error', e => {
      print({ error: e.message ?? 'ended', status: e.code })
      if (e.code) source.close()
    })
    for (const name of ['message', 'changed', 'mercure']) {
      source.addEventListener(name, e => {
        shown(e)
        if (e.data === 'bye') source.close()
      })
    }
  },

  // The token in the cookie.
  async 'fetch-event-source'() {
    globalThis.window = globalThis
    globalThis.document = { addEventListener() {}, removeEventListener() {}, hidden: false }
    const { fetchEventSource } = await import('@microsoft/fetch-event-source')
    const leaving = new AbortController()
    await fetchEventSource(url().href, {
      signal: leaving.signal,
      headers: jwt ? { Cookie: `mercureAuthorization=${jwt}` } : {},
      async onopen(response) {
        print(response.ok ? { open: true } : { status: response.status })
        if (!response.ok) leaving.abort()
      },
      onmessage(event) {
        if (!event.data) return
        shown(event)
        if (event.data === 'bye') leaving.abort()
      },
      onclose() { throw new Error('ended') },
      onerror(error) { print({ error: error.message }) },
    })
  },

  async publish() {
    for (const fields of JSON.parse(argument)) {
      const answer = await fetch(hub, { method: 'POST', headers: authorization, body: new URLSearchParams(fields) })
      print({ status: answer.status, id: await answer.text() })
    }
  },

  async subscriptions() {
    const answer = await fetch(new URL(argument ?? `${hub}/subscriptions`, hub), { headers: authorization })
    print({ status: answer.status, type: answer.headers.get('content-type'), found: answer.ok ? await answer.json() : undefined })
  },
}
await run[what]()
