/** A bucket that changes while it is listed: nothing newer is undone, and in the end everything is mended. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HABITS } from './object-bucket.ts'
import { runReconcile } from './reconcile-run.ts'

const SEEDS = Number(process.env['TIDEWATER_RECONCILE_SEEDS'] ?? 100)
const FIRST = Number(process.env['TIDEWATER_RECONCILE_FIRST'] ?? 1)

describe('comparing a bucket with its listing while it changes', () => {
  for (const habit of HABITS) {
    it(`undoes nothing newer and mends what was lost (${habit}; seeds ${FIRST} to ${FIRST + SEEDS - 1})`, async () => {
      const sum = { changes: 0, lost: 0, drifts: 0, mendedLive: 0 }
      for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
        const counts = await runReconcile(seed, habit, 60)
        for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name]
      }
      assert.ok(sum.lost > 0 && sum.drifts > 0 && sum.mendedLive > 0, JSON.stringify(sum))
    })
  }
})
