// SPDX-License-Identifier: MIT
// datastar.mjs FILE: the events that Datastar's SDK makes of a list of inputs of its suite's cases, each a text.
import { readFileSync } from 'node:fs'
import { ServerSentEventGenerator } from '@starfederation/datastar-sdk/node'
import { print } from './print.mjs'

class Written extends ServerSentEventGenerator {
  constructor () { super({}, { writeHead () {}, flushHeaders () {}, write () {} }) }
  patchElements (e) { return super.patchElements(e.elements ?? '', pick(e, 'selector', 'mode', 'useViewTransition', 'namespace')) }
  patchSignals (e) { return super.patchSignals(e['signals-raw'] ?? JSON.stringify(e.signals), pick(e, 'onlyIfMissing')) }
  executeScript (e) { return super.executeScript(e.script, pick(e, 'autoRemove', 'attributes')) }
}

function pick (event, ...names) {
  const options = {}
  for (const name of [...names, 'eventId', 'retryDuration']) if (event[name] !== undefined) options[name] = event[name]
  return options
}

for (const input of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
  const events = JSON.parse(input).events.map(event => new Written()[event.type](event).join(''))
  print({ text: events.join('') })
}
