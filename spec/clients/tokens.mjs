// SPDX-License-Identifier: MIT
// tokens.mjs URL COUNT [leave]: asks model.mjs for so many tokens, by way of URL; how long each has taken, and when
// this has left.
import OpenAI from 'openai'
import { describe, print } from './print.mjs'

const [url, count, leave] = process.argv.slice(2)
const client = new OpenAI({ baseURL: url, maxRetries: 0, apiKey: 'key' })
try {
  const stream = await client.chat.completions.create({ model: 'clock', stream: true, messages: [{ role: 'user', content: count }] })
  let seen = 0
  for await (const { choices: [{ delta }] } of stream) {
    print({ delay: Date.now() - Number(delta.content) })
    if (leave && ++seen === 3) {
      stream.controller.abort()
      print({ left: Date.now() })
    }
  }
  print({ ended: true })
} catch (error) {
  print(describe(error))
}
