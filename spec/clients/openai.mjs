// SPDX-License-Identifier: MIT
// openai.mjs URL PROMPT [leave]: a chat that is streamed, with the key in OPENAI_API_KEY.
import OpenAI from 'openai'
import { describe, left, print } from './print.mjs'

const [url, prompt, leave] = process.argv.slice(2)
const client = new OpenAI({ baseURL: url, maxRetries: 0 })
try {
  const stream = await client.chat.completions.create({
    model: 'echo', stream: true, messages: [{ role: 'user', content: prompt }],
  })
  for await (const { choices: [{ delta, finish_reason }] } of stream) {
    print({ delta, finish_reason })
    if (leave && delta.content) stream.controller.abort()
  }
  print({ ended: true })
} catch (error) {
  print(describe(error))
}
if (leave) await left(url + '/chat/completions')
