// SPDX-License-Identifier: MIT
// parse.mjs FILE SEED: what eventsource-parser makes of the bytes, fed in pieces: as bytes, then as UTF-8.
// parse.mjs FILE cuts: what it makes of each beginning of them, and of each beginning and then the rest.
// Binary, for Lua's string.unpack "s4": event ("\0" for none), id (so too) and data of each, "\0\0" behind each list.
import { readFileSync, writeSync } from 'node:fs'
import { createParser } from 'eventsource-parser'

const [file, how] = process.argv.slice(2)
const bytes = readFileSync(file)
const parts = []

function write(text, encoding) {
  const value = Buffer.from(text ?? '\0', encoding)
  const size = Buffer.alloc(4)
  size.writeUInt32LE(value.length)
  parts.push(size, value)
}

function parserInto(encoding) {
  return createParser({
    onEvent({ event, id, data }) { for (const text of [event, id, data]) write(text, encoding) },
    onError(error) { throw error },
  })
}

if (how === 'cuts') {
  const all = bytes.toString('latin1')
  for (let n = 0; n <= all.length; n++) {
    parserInto('latin1').feed(all.slice(0, n))
    write('\0\0')
    const parser = parserInto('latin1')
    parser.feed(all.slice(0, n))
    parser.feed(all.slice(n))
    write('\0\0')
  }
} else {
  let state = +how
  const size = () => (state = (state * 48271) % 2147483647) % (state % 7 ? 100 : 100000)
  const decoder = new TextDecoder()
  for (const encoding of ['latin1', 'utf8']) {
    const parser = parserInto(encoding)
    for (let at = 0, next; at < bytes.length; at = next) {
      next = at + 1 + size()
      const piece = bytes.subarray(at, next)
      parser.feed(encoding === 'latin1' ? piece.toString('latin1') : decoder.decode(piece, { stream: true }))
    }
    write('\0\0')
  }
}
const output = Buffer.concat(parts)
for (let at = 0; at < output.length;) at += writeSync(1, output, at)
