// SPDX-License-Identifier: MIT
// The conformance suite of Durable Streams, for the server at CONFORMANCE_TEST_URL.
import { runConformanceTests } from '@durable-streams/server-conformance-tests'

runConformanceTests({ baseUrl: process.env.CONFORMANCE_TEST_URL, longPollTimeoutMs: 3000 })
