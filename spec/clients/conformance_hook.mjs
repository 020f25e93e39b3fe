// SPDX-License-Identifier: MIT
// Lets the conformance suite be loaded by Node 20: what it imports of Node 22 it uses elsewhere only.
import { register } from 'node:module'

register('data:text/javascript,' + encodeURIComponent(`
export async function load (url, context, next) {
  const loaded = await next(url, context)
  if (!url.endsWith('/conformance/dist/index.js')) return loaded
  return { ...loaded, source: String(loaded.source).replace('globSync as', 'readdirSync as') }
}`))
