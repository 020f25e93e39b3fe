// SPDX-License-Identifier: MIT
// anthropic.mjs URL PROMPT [leave]: a message that is streamed, with the key in ANTHROPIC_API_KEY.
import Anthropic from '@anthropic-ai/sdk'
import { describe, left, print } from './print.mjs'

const [url, prompt, leave] = process.argv.slice(2)
const client = new Anthropic({ baseURL: url, maxRetries: 0 })
const stream = client.messages.stream({ model: 'echo', max_tokens: 99, messages: [{ role: 'user', content: prompt }] })
stream.on('streamEvent', ({ type }) => print({ type }))
stream.on('text', text => {
  print({ text })
  if (leave) stream.abort()
})
try {
  const { content, stop_reason } = await stream.finalMessage()
  print({ content, stop_reason })
} catch (error) {
  print(describe(error))
}
if (leave) await left(url + '/v1/messages')
