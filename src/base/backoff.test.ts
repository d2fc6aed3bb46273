import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs } from './backoff.ts'

test('pauses double with each failure and end at the bound, however many failures there were', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 100_000].map((failures) => backoffMs(failures, 100, 1_500)),
    [100, 200, 400, 800, 1_500, 1_500, 1_500],
  )
})
