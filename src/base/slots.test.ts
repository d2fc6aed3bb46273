import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Slots } from './slots.ts'

test('no more run at once than there are slots, in the order of arrival, and a failure gives its slot back', async () => {
  const slots = new Slots(2)
  const began: number[] = []
  let running = 0
  let most = 0
  const work = (at: number) =>
    slots.run(async () => {
      began.push(at)
      most = Math.max(most, ++running)
      await turn()
      running--
      if (at === 1) throw new Error('failed')
    })
  const results = await Promise.allSettled(Array.from({ length: 6 }, (_, at) => work(at)))
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled'],
  )
  assert.deepEqual(began, [0, 1, 2, 3, 4, 5])
  assert.equal(most, 2)
})
