import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Progress } from './progress.ts'

test('what waits is what was added behind the position, whatever the order of appends and commits', () => {
  const step = fc.record({ entries: fc.nat(5), bytes: fc.nat(2_000_000), laterMs: fc.nat(300), commit: fc.nat(8) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const progress = new Progress()
      const appends: { end: number; bytes: number; atMs: number }[] = []
      let end = 0
      let nowMs = 0
      let position = 0
      for (const { entries, bytes, laterMs, commit } of steps) {
        nowMs += laterMs
        if (entries > 0) {
          end += entries
          progress.add(end, bytes, nowMs)
          appends.push({ end, bytes, atMs: nowMs })
        }
        position = Math.min(end, position + commit)
        progress.reach(position)
        const waiting = appends.filter((append) => append.end > position)
        const exact = waiting.reduce((sum, append) => sum + append.bytes, 0)
        assert.ok(progress.bytes >= exact, 'never less than what waits')
        const [oldest] = waiting
        if (oldest === undefined) assert.equal(progress.oldestAtMs, null)
        else assert.ok(progress.oldestAtMs !== null && oldest.atMs - progress.oldestAtMs <= 100)
      }
      progress.reach(end)
      assert.equal(progress.bytes, 0)
    }),
  )
})

test('those who wait are woken when their offset is committed, and let go when they give up', async () => {
  const progress = new Progress()
  progress.add(5, 10, 0)
  const woken: number[] = []
  const waits = [3, 5].map((offset) => progress.wait(offset).then(() => woken.push(offset)))
  const gone = new AbortController()
  const left = progress.wait(9, gone.signal)
  progress.reach(3)
  await waits[0]
  assert.deepEqual(woken, [3])
  progress.reach(5)
  await Promise.all(waits)
  await progress.wait(4)
  gone.abort(new Error('enough'))
  await assert.rejects(left, /enough/)
  await assert.rejects(progress.wait(9, gone.signal), /enough/)
})
