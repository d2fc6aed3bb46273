/** What was seen in a listing, beside what was told. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { ObjectEvent } from '../../change/object-event.ts'
import { observedOf, sequenceNumber, sequencerOf } from '../../change/sequence.ts'
import { merge, type VersionState, visible } from './version-state.ts'

const at = (second: number, fraction = '000') => `2024-05-01T10:00:${String(second).padStart(2, '0')}.${fraction}Z`

function told(kind: ObjectEvent['kind'], second: number, more: Partial<ObjectEvent> = {}): ObjectEvent {
  const common = { v: 1, source: 'aws:s3', bucket: 'b', key: 'k', versionId: 'null', time: at(second) } as const
  return { ...common, kind, name: kind, sequencer: `0055${String(second).padStart(4, '0')}`, ...more }
}

function seen(kind: ObjectEvent['kind'], second: number, until: number, more: Partial<ObjectEvent> = {}): ObjectEvent {
  const { sequencer: _, ...event } = told(kind, second, more)
  return { ...event, source: 'listing', observed: at(until) }
}

function stateOf(...events: ObjectEvent[]): VersionState {
  return events.reduce((state: VersionState | null, event) => merge(state, event).state, null)!
}

function shows(...events: ObjectEvent[]): string {
  const { present, event } = visible(stateOf(...events))
  return present ? `${event.etag} of ${event.source}` : 'gone'
}

describe('what was seen of a version', () => {
  const CASES: [string, ObjectEvent[], string][] = [
    ['shows alone', [seen('create', 1, 20, { etag: 'a' })], 'a of listing'],
    [
      'mends what was told before',
      [told('create', 1, { etag: 'a' }), seen('create', 5, 20, { etag: 'b' })],
      'b of listing',
    ],
    [
      'is not undone by an old event that comes late',
      [seen('delete', 20, 20), told('create', 3, { etag: 'a' })],
      'gone',
    ],
    ['gives way to what is newer', [seen('delete', 20, 20), told('create', 21, { etag: 'c' })], 'c of aws:s3'],
    [
      'gives way to the event that tells the same',
      [seen('create', 1, 20, { etag: 'a' }), told('create', 1, { etag: 'a', time: at(1, '700') })],
      'a of aws:s3',
    ],
    [
      'stands where the same was told of an earlier time',
      [told('create', 1, { etag: 'a' }), seen('create', 7, 20, { etag: 'a' })],
      'a of listing',
    ],
    ['is taken over by a newer look', [seen('create', 1, 20, { etag: 'a' }), seen('delete', 40, 40)], 'gone'],
  ]
  for (const [what, events, expected] of CASES) {
    it(what, () => {
      assert.equal(shows(...events), expected)
      assert.equal(shows(...events.toReversed()), expected)
    })
  }

  it('leaves the order by sequencers to what was told', () => {
    // By time the first would be the newer: it is not, and goes on not to be.
    const first = told('create', 9, { etag: 'first', sequencer: '01' })
    const second = told('create', 8, { etag: 'second', sequencer: '02' })
    for (const events of [
      [first, seen('create', 1, 5, { etag: 'x' }), second],
      [second, seen('delete', 5, 5), first],
    ])
      assert.equal(shows(...events), 'second of aws:s3')
  })

  it('makes a state that depends on the set of events alone', () => {
    const kinds = fc.constantFrom<ObjectEvent['kind']>('create', 'delete', 'marker', 'update')
    const event = fc
      .tuple(
        fc.boolean(),
        kinds,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom('a', 'b'),
      )
      .map(([isSeen, kind, second, until, etag]) =>
        isSeen && kind !== 'update' ? seen(kind, second, until, { etag }) : told(kind, second, { etag }),
      )
    const sets = fc.uniqueArray(event, { minLength: 1, maxLength: 8, selector: (one) => JSON.stringify(one) })
    fc.assert(
      fc.property(
        sets.chain((set) => fc.tuple(fc.constant(set), fc.shuffledSubarray(set, { minLength: set.length }))),
        ([one, other]) => {
          assert.deepEqual(visible(stateOf(...other, ...one)), visible(stateOf(...one)))
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('has until when it is the last word in its sequence number, and no sequencer', () => {
    const event = seen('create', 1, 20, { etag: 'a', observed: '2024-05-01T10:00:20.000123Z' })
    const number = sequenceNumber(event)
    assert.equal(observedOf(number), event.observed)
    assert.equal(sequencerOf(number), undefined)
    assert.equal(observedOf(sequenceNumber(told('create', 1))), undefined)
  })
})
