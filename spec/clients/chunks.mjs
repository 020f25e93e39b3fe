// SPDX-License-Identifier: MIT
// chunks.mjs URL: what fetch has of the body, as it comes; at its end, that it ended.
import { describe, print } from './print.mjs'

const response = await fetch(process.argv[2])
print({ encoding: response.headers.get('content-encoding') })
const decoder = new TextDecoder()
try {
  for await (const chunk of response.body) print({ text: decoder.decode(chunk, { stream: true }) })
  print({ ended: true })
} catch (error) {
  print(describe(error))
}
