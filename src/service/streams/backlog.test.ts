import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { systemClock } from '../../base/clock.ts'
import { isFault } from '../../base/fault.ts'
import { Backlog } from './backlog.ts'
import { Progress } from './progress.ts'

const bounds = {
  streamBacklogBytesMax: 100,
  streamsBacklogBytesMax: 150,
  streamLettersBytesMax: 50,
  streamFreeBytesMin: 0,
}

function open(change: Partial<typeof bounds> = {}) {
  const letters = { end: 0, position: 0 }
  const parts = {
    clock: systemClock,
    dir: tmpdir(),
    letters: { end: () => letters.end, position: () => letters.position },
  }
  return { backlog: new Backlog(parts, { ...bounds, ...change }), letters }
}

const isFull = (pattern: RegExp) => (error: unknown) =>
  isFault(error, 'unavailable') && typeof error.facts['backlogBytes'] === 'number' && pattern.test(error.message)

test('a stream is refused when it, or all of them, have too much waiting, and taken again when that is committed', async () => {
  const { backlog } = open()
  const [one, other] = [new Progress(), new Progress()]
  backlog.join(one)
  backlog.join(other)
  one.add(1, 100, 0)
  await backlog.requireRoom('one', one)
  one.add(2, 1, 1_000)
  await assert.rejects(backlog.requireRoom('one', one), isFull(/stream one: 101 bytes wait/))
  await backlog.requireRoom('other', other)
  other.add(1, 60, 0)
  await assert.rejects(backlog.requireRoom('other', other), isFull(/all streams: 161 bytes wait/))
  one.reach(2)
  await backlog.requireRoom('other', other)
  other.add(2, 60, 1_000)
  backlog.leave(other)
  assert.equal(backlog.bytes, 0)
})

test('dead letters that their table does not take keep streams waiting too', async () => {
  const { backlog, letters } = open()
  const progress = new Progress()
  letters.end = 3
  backlog.addLetters(51)
  await assert.rejects(backlog.requireRoom('one', progress), isFull(/dead letters: 51 bytes wait/))
  letters.position = 3
  await backlog.requireRoom('one', progress)
})

test('a disk that is nearly full takes no more', async () => {
  const { backlog } = open({ streamFreeBytesMin: Number.MAX_SAFE_INTEGER })
  await assert.rejects(backlog.requireRoom('one', new Progress()), isFull(/the disk has \d+ bytes left/))
})
