import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import type { ObjectEvent } from '../../../change/object-event.ts'
import { type DeadLetter, letterId } from '../../deadletter/deadletter.ts'
import { NotificationTaker } from './taker.ts'

const record = (key: string) => ({
  eventVersion: '2.1',
  eventSource: 'aws:s3',
  eventTime: '2026-11-20T15:00:00Z',
  eventName: 'ObjectCreated:Put',
  s3: { bucket: { name: 'b' }, object: { key, size: 1 } },
})
const notification = (...keys: string[]) => JSON.stringify({ Records: keys.map(record) })

function rig(accept: (events: readonly ObjectEvent[]) => void = () => undefined) {
  const events: string[] = []
  const letters: DeadLetter[] = []
  const taker = new NotificationTaker({
    objects: {
      accept: async (some) => {
        accept(some)
        return events.push(...some.map(({ key }) => key))
      },
    },
    deadLetters: { add: async (some) => void letters.push(...some) },
    room: { full: async () => null },
  })
  return { taker, events, letters }
}

test('what is understood becomes events, what is not a letter each, and the rest is counted by its reason', async () => {
  const { taker, events, letters } = rig()
  const subject = 'queue q, message 1'
  const taken = await taker.take([
    { text: notification('a', 'b%2Fc+d'), subject },
    { text: JSON.stringify({ Records: [record('e'), { ...record('f'), eventVersion: '3.0' }] }), subject },
    { text: 'none', subject },
    { text: '{"Event":"s3:TestEvent"}', subject },
    { text: '{"Records":[]}', subject },
  ])
  assert.deepEqual(events, ['a', 'b/c d', 'e'])
  assert.deepEqual(
    letters.map(({ code, stage }) => `${stage} ${code}`),
    ['source event-version', 'source not-json'],
  )
  assert.equal(Buffer.from(letters[1]?.payload ?? []).toString(), 'none')
  assert.deepEqual(taken, { accepted: 3, problems: 2, ignored: { 'test-event': 1, 'no-records': 1 } })
  assert.deepEqual(taker.counts, taken)
})

test('an event that no log takes becomes a letter, and the events beside it are taken', async () => {
  const { taker, events, letters } = rig((some) => {
    if (some.some(({ key }) => key === 'b')) throw new Fault('limit', 'the entry is too large')
  })
  const taken = await taker.take([{ text: notification('a', 'b', 'c'), subject: 's' }])
  assert.deepEqual(events, ['a', 'c'])
  assert.deepEqual(
    letters.map(({ code, reason }) => [code, reason]),
    [['limit', 'the entry is too large']],
  )
  assert.match(Buffer.from(letters[0]?.payload ?? []).toString(), /"key":"b"/)
  assert.equal(taken.problems, 1)
})

test('a failure that may pass is passed on, whether it is of the events or of the letters', async () => {
  const full = rig(() => {
    throw new Fault('unavailable', 'the disk is full')
  })
  await assert.rejects(full.taker.take([{ text: notification('a'), subject: 's' }]), /the disk is full/)
  assert.deepEqual(full.taker.counts, { accepted: 0, problems: 0, ignored: {} })
  const taker = new NotificationTaker({
    objects: { accept: async () => 0 },
    deadLetters: { add: () => Promise.reject(new Fault('unavailable', 'the disk is full')) },
    room: { full: async () => null },
  })
  await assert.rejects(taker.take([{ text: 'none', subject: 's' }]), /the disk is full/)
})

test('two documents that are cut and begin alike are two letters, and the same one told again is one', async () => {
  const { taker, letters } = rig()
  const begin = `{"Records":[${' '.repeat(limits.deadLetterPayloadBytesMax)}`
  const subject = 'webhook hook'
  for (const end of ['one', 'two', 'one']) await taker.take([{ text: `${begin}${end}`, subject }])
  const [one, two, again] = letters.map(letterId)
  assert.deepEqual(letters[0]?.payload, letters[1]?.payload, 'what is kept of both is the same')
  assert.notEqual(one, two)
  assert.equal(one, again)
})
