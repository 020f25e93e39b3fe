// SPDX-License-Identifier: MIT
// ai.mjs URL PROMPT [leave|resume]: a chat's message as useChat reads it; resume: that of an answer which comes already.
import { DefaultChatTransport, readUIMessageStream } from 'ai'
import { describe, left, print } from './print.mjs'

const [url, prompt, how] = process.argv.slice(2)
const leaving = new AbortController()
const transport = new DefaultChatTransport({ api: url })
const messages = [{ id: '1', role: 'user', parts: [{ type: 'text', text: prompt }] }]
try {
  const stream = how === 'resume'
    ? await transport.reconnectToStream({ chatId: 'a' })
    : await transport.sendMessages({ chatId: 'a', trigger: 'submit-message', messages, abortSignal: leaving.signal })
  if (!stream) print({ none: true })
  else {
    let failure
    for await (const message of readUIMessageStream({ stream, onError: error => { failure = error } })) {
      const [{ text, state } = {}] = message.parts
      print({ role: message.role, text, state })
      if (how === 'leave' && text) leaving.abort()
    }
    print(failure ? describe(failure) : { ended: true })
  }
} catch (error) {
  print(describe(error))
}
if (how === 'leave') await left(url)
