/**
 * Loaded before a test file: the file ends when its tests have ended, also when a failed one has left something open, which would
 * keep it running for ever. Node's own `--test-force-exit` ends before the last results are written: they would be missing, and
 * nobody would know.
 */
import { isMainThread } from 'node:worker_threads'

/** Time for the results to be written. It passes only while something is open. */
const GRACE_MS = 2_000

// Worker threads of a test load this too.
if (isMainThread) {
  const { after } = await import('node:test')
  after(() => {
    setTimeout(() => process.exit(), GRACE_MS).unref()
  })
}
