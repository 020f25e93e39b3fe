// SPDX-License-Identifier: MIT
// What a client has seen, as a line of JSON.
export const print = seen => console.log(JSON.stringify(seen))

export const describe = error => ({ error: error.constructor.name, status: error.status ?? error.code, message: error.message })

// Stays, without the stream, until the server has noticed that its client has left.
export async function left(url) {
  const closed = new URL('/closed', url)
  closed.searchParams.set('path', new URL(url).pathname)
  const began = performance.now()
  let reason
  while (!(reason = await (await fetch(closed)).text())) await new Promise(resolve => setTimeout(resolve, 5))
  print({ closed: reason, after: performance.now() - began })
}
