import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { ObjectEvent, ObjectEventKind } from '../../change/object-event.ts'
import { sequenceNumber } from '../../change/sequence.ts'
import { type Effect, type Merged, merge, type VersionState, type VisibleVersion, visible } from './version-state.ts'

const NAMES: Record<ObjectEventKind, string> = {
  create: 'ObjectCreated:Put',
  delete: 'ObjectRemoved:Delete',
  marker: 'ObjectRemoved:DeleteMarkerCreated',
  update: 'ObjectTagging:Put',
}

function event(kind: ObjectEventKind, second: number, more: Partial<ObjectEvent> = {}): ObjectEvent {
  const time = new Date(1_714_557_600_000 + second * 1000).toISOString()
  return { v: 1, kind, source: 'aws:s3', name: NAMES[kind], bucket: 'b', key: 'k', versionId: 'null', time, ...more }
}

/** An event with a sequencer. */
const sequenced = (kind: ObjectEventKind, sequencer: number, second: number, more: Partial<ObjectEvent> = {}) =>
  event(kind, second, { sequencer: `0066321${sequencer}`, ...more })

function mergeAll(events: readonly ObjectEvent[]): { state: VersionState; effects: Effect[] } {
  let state: VersionState | null = null
  const effects: Effect[] = []
  for (const one of events) {
    const merged: Merged = merge(state, one)
    state = JSON.parse(JSON.stringify(merged.state)) as VersionState
    effects.push(merged.effect)
  }
  return { state: state!, effects }
}

const shown = (...events: ObjectEvent[]): VisibleVersion => visible(mergeAll(events).state)

describe('creations and removals', () => {
  it('the greater sequencer decides, whatever the times and the order of arrival', () => {
    const put = sequenced('create', 1, 9, { etag: 'old' })
    const gone = sequenced('delete', 2, 5)
    const again = sequenced('create', 3, 1, { etag: 'new' })
    assert.deepEqual(mergeAll([gone, put, again]).effects, ['newest', 'late', 'newest'])
    assert.equal(shown(again, gone, put).event.etag, 'new')
    assert.equal(shown(put, gone).present, false)
  })

  it('a removal that comes before its creation leaves a tombstone that the creation finds', () => {
    const { state, effects } = mergeAll([sequenced('delete', 2, 2), sequenced('create', 1, 1)])
    assert.deepEqual(effects, ['newest', 'late'])
    assert.equal(visible(state).present, false)
  })

  it('a repeated event changes nothing', () => {
    const put = sequenced('create', 1, 1)
    assert.deepEqual(mergeAll([put, { ...put }]).effects, ['newest', 'duplicate'])
    assert.deepEqual(mergeAll([put, put]).state, mergeAll([put]).state)
  })

  it('without sequencers the later time decides', () => {
    assert.equal(shown(event('delete', 2), event('create', 1)).present, false)
    assert.equal(shown(event('create', 3), event('delete', 2)).present, true)
  })

  it('one event without a sequencer puts all in the order of time, those before it too', () => {
    const put = sequenced('create', 9, 1)
    const gone = sequenced('delete', 1, 2)
    assert.equal(shown(put, gone).present, true)
    const merged = merge(mergeAll([put, gone]).state, event('create', 0))
    assert.deepEqual([merged.effect, merged.changed, merged.decided], ['late', true, true])
    assert.equal(visible(merged.state).present, false)
  })

  it('sequencers of two sources do not compare: time decides', () => {
    const put = sequenced('create', 9, 1, { source: 'aws:s3' })
    const gone = sequenced('delete', 1, 2, { source: 'directory' })
    assert.equal(shown(put, gone).present, false)
    assert.equal(shown(gone, put).present, false)
  })

  it('a constant sequencer does no harm, known or not', () => {
    for (const sequencer of ['0055AED6DCD90281E5', '00ABCDEF01234567']) {
      const history = [
        event('create', 1, { sequencer }),
        event('delete', 2, { sequencer }),
        event('create', 3, { sequencer }),
      ]
      assert.equal(shown(...history).present, true, sequencer)
      assert.equal(shown(...history.slice(0, 2)).present, false, sequencer)
    }
  })

  it('short sequencers order like long ones, padded on the right; those of versitygw do not order', () => {
    const [put, gone] = [event('create', 1, { sequencer: '2' }), event('delete', 2, { sequencer: '1A' })]
    assert.equal(shown(put, gone).present, true)
    assert.equal(shown(gone, put).present, true)
    const counted = [put, gone].map((one) => ({ ...one, source: 'versitygw:s3' }))
    assert.equal(shown(...counted).present, false)
  })

  it('a constant that nobody knows gives what the same events without sequencers give, in any order', () => {
    const tips = fc.uniqueArray(
      fc.record({
        kind: fc.constantFrom('create' as const, 'delete' as const),
        second: fc.integer({ min: 0, max: 9 }),
      }),
      { minLength: 1, maxLength: 8, selector: ({ kind, second }) => `${kind} ${second}` },
    )
    const histories = tips.chain((all) => fc.shuffledSubarray(all, { minLength: all.length }))
    fc.assert(
      fc.property(histories, fc.constantFrom('7', '00ABCDEF01234567', 'F'.repeat(32)), (history, sequencer) => {
        const [constant, none] = [{ sequencer }, {}].map((more) =>
          shown(...history.map(({ kind, second }) => event(kind, second, more))),
        )
        assert.deepEqual([constant?.present, constant?.event.time], [none?.present, none?.event.time])
      }),
    )
  })

  it('in the same second sequencers of one source still decide where times do', () => {
    const elsewhere = sequenced('create', 1, 0, { source: 'directory' })
    const put = sequenced('create', 1, 5)
    const gone = sequenced('delete', 2, 5)
    const again = sequenced('create', 3, 5)
    assert.equal(shown(elsewhere, gone, put).present, false)
    assert.equal(shown(again, gone, put, elsewhere).present, true)
  })

  it('at the same instant a version with an id of its own is removed after it was created, the null version is there', () => {
    const [put, gone] = [event('create', 1), event('delete', 1)]
    assert.equal(shown(put, gone).present, true)
    assert.equal(shown({ ...put, versionId: 'v1' }, { ...gone, versionId: 'v1' }).present, false)
  })

  it('a delete marker is there, and is no object, until it is removed', () => {
    const marker = sequenced('marker', 1, 1, { versionId: 'm1' })
    assert.deepEqual([shown(marker).present, shown(marker).isDeleteMarker], [true, true])
    const gone = sequenced('delete', 2, 2, { versionId: 'm1' })
    assert.deepEqual([shown(gone, marker).present, shown(gone, marker).isDeleteMarker], [false, false])
  })
})

describe('delete markers of MinIO', () => {
  const minio = { source: 'minio:s3', versionId: '3b82bb9d' }
  const made = event('marker', 1, { ...minio, sequencer: '18E9C8EE468FAA42' })
  const madeAgain = event('marker', 2, { ...minio, sequencer: '18E9C8EE468FAA42' })
  const removed = event('marker', 3, { ...minio, sequencer: '18E9C8EE59311627' })

  it('told again with the same sequencer are still there', () => {
    assert.deepEqual([shown(made, madeAgain).present, shown(madeAgain, made).isDeleteMarker], [true, true])
  })

  it('told again with a newer sequencer are gone, in any order', () => {
    for (const events of [
      [made, removed],
      [removed, made],
      [madeAgain, removed, made],
      [removed, madeAgain, removed],
    ]) {
      assert.equal(shown(...events).present, false)
      assert.equal(shown(...events).isDeleteMarker, false)
    }
  })

  it('whose creation comes after their removal go when it comes', () => {
    const merged = merge(mergeAll([removed]).state, made)
    assert.deepEqual([merged.effect, merged.changed, merged.decided], ['late', true, true])
  })

  it('of the null version come and go: the newest event is what it says', () => {
    const ofNull = (sequencer: string, kind: ObjectEventKind = 'marker') =>
      event(kind, 1, { source: 'minio:s3', sequencer })
    assert.equal(
      shown(ofNull('18E9C8EE468FAA42'), ofNull('18E9C8EE59311627', 'create'), ofNull('18E9C8EE69311627')).present,
      true,
    )
  })

  it('of other sources are only what they say', () => {
    const aws = [
      { ...made, source: 'aws:s3' },
      { ...removed, source: 'aws:s3' },
    ]
    assert.equal(shown(...aws).present, true)
  })
})

describe('updates', () => {
  const put = event('create', 5, { etag: 'e', storageClass: 'STANDARD', tags: { a: '1' } })
  const tagged = (second: number, tags: Record<string, string>) => event('update', second, { tags })

  it('lie over a creation that is not newer', () => {
    assert.deepEqual(shown(put, tagged(6, { b: '2' })).tags, { b: '2' })
    assert.deepEqual(shown(tagged(5, { b: '2' }), put).tags, { b: '2' })
    assert.deepEqual(shown(put, tagged(4, { b: '2' })).tags, { a: '1' })
    assert.equal(shown(put, tagged(6, {})).event.etag, 'e')
  })

  it('of tags and of the class do not disturb each other', () => {
    const version = shown(
      event('update', 7, { name: 'LifecycleTransition', storageClass: 'GLACIER' }),
      put,
      tagged(6, { b: '2' }),
    )
    assert.deepEqual([version.tags, version.storageClass], [{ b: '2' }, 'GLACIER'])
  })

  it('that take tags away say so by their name alone', () => {
    for (const name of ['ObjectTagging:Delete', 'ObjectCreated:DeleteTagging', 'Object Tags Deleted']) {
      assert.deepEqual(shown(put, event('update', 6, { name })).tags, {}, name)
    }
  })

  it('that do not tell the tags leave them, and are the last thing known of the version', () => {
    const acl = event('update', 6, { name: 'ObjectAcl:Put' })
    assert.deepEqual(shown(put, acl).tags, { a: '1' })
    assert.equal(shown(put, acl).sequenceNumber, sequenceNumber(acl))
    assert.equal(shown(put, event('update', 4)).sequenceNumber, sequenceNumber(put))
  })

  it('that come before their creation are kept until it comes', () => {
    const { state, effects } = mergeAll([tagged(6, { b: '2' })])
    assert.deepEqual([effects, visible(state).present], [['ignored'], false])
    assert.deepEqual(visible(state).event, tagged(6, { b: '2' }))
    assert.deepEqual(visible(merge(state, put).state).tags, { b: '2' })
  })

  it('say what they did', () => {
    const first = tagged(6, { b: '2' })
    const effects = mergeAll([
      put,
      first,
      first,
      tagged(7, { c: '3' }),
      first,
      tagged(4, {}),
      event('delete', 8),
      tagged(9, {}),
    ]).effects
    assert.deepEqual(effects, ['newest', 'update', 'duplicate', 'update', 'ignored', 'ignored', 'newest', 'ignored'])
  })

  it('do not show on what is gone, nor on delete markers', () => {
    const gone = event('delete', 6)
    assert.equal(shown(put, gone, tagged(7, {})).sequenceNumber, sequenceNumber(gone))
    const marker = event('marker', 6)
    assert.deepEqual(
      [shown(marker, tagged(7, { x: 'y' })).tags, shown(marker, tagged(7, {})).sequenceNumber],
      [undefined, sequenceNumber(marker)],
    )
  })
})

/** Events of one version, from few enough values that they meet in every way. */
const anyEvent: fc.Arbitrary<ObjectEvent> = fc
  .record({
    kind: fc.constantFrom<ObjectEventKind>('create', 'create', 'delete', 'marker', 'update'),
    second: fc.integer({ min: 0, max: 3 }),
    source: fc.constantFrom('aws:s3', 'aws:s3', 'aws:s3', 'minio:s3', 'versitygw:s3'),
    sequencer: fc.constantFrom('00663210AA', '00663210AA00', '00663210AB', '00663211', undefined, '0055AED6DCD90281E5'),
    etag: fc.constantFrom('e1', 'e2'),
    tags: fc.constantFrom({ a: '1' }, { b: '2' }, undefined),
    storageClass: fc.constantFrom('GLACIER', undefined),
  })
  .map(({ kind, second, sequencer, tags, storageClass, ...rest }) =>
    event(kind, second, {
      ...rest,
      ...(sequencer === undefined ? {} : { sequencer }),
      ...(tags === undefined ? {} : { tags }),
      ...(storageClass === undefined ? {} : { storageClass }),
    }),
  )

const anyHistory = fc
  .tuple(
    fc.constantFrom('null', 'v1'),
    fc.constantFrom('as it comes', 'one source'),
    fc.array(anyEvent, { minLength: 1, maxLength: 7 }),
  )
  .map(([versionId, sources, events]) =>
    events.map((one) => ({
      ...one,
      versionId,
      ...(sources === 'one source' ? { source: 'minio:s3', sequencer: one.sequencer ?? '00663212' } : {}),
    })),
  )

describe('the state of a version', () => {
  it('depends on the set of its events only, not on their order or repetition', () => {
    const shuffles = anyHistory.chain((events) =>
      fc.tuple(
        fc.constant(events),
        fc.shuffledSubarray(events, { minLength: events.length }),
        fc
          .array(fc.constantFrom(...events), { maxLength: 6 })
          .chain((more) => fc.shuffledSubarray([...events, ...more], { minLength: events.length + more.length })),
      ),
    )
    fc.assert(
      fc.property(shuffles, ([events, shuffled, repeated]) => {
        const { state } = mergeAll(events)
        assert.deepEqual(mergeAll(shuffled).state, state)
        assert.deepEqual(mergeAll(repeated).state, state)
      }),
      { numRuns: 3_000 },
    )
  })

  it('shows another thing only when a merge says so, and only a deciding merge changes what the version is', () => {
    const decision = ({ event, present, isDeleteMarker }: VisibleVersion) => ({ event, present, isDeleteMarker })
    fc.assert(
      fc.property(anyHistory, (events) => {
        let state: VersionState | null = null
        for (const one of events) {
          const { state: next, effect, changed, decided }: Merged = merge(state, one)
          const before: VisibleVersion | null = state && visible(state)
          const after: VisibleVersion = visible(next)
          if (before === null) {
            assert.equal(changed, one.kind !== 'update')
          } else if (one.kind !== 'update') {
            assert.equal(changed, !isEqual(before, after))
            assert.equal(decided, !isEqual(decision(before), decision(after)))
          } else if (before.present) {
            assert.ok(changed || isEqual(before, after))
            assert.equal(decided, false)
          }
          if (effect === 'newest') assert.deepEqual(after.event, one)
          if (effect === 'duplicate') assert.deepEqual(next, state)
          if (effect === 'update') assert.deepEqual([changed, decided], [true, false])
          if (effect === 'ignored') assert.equal(changed, false)
          state = next
        }
      }),
      { numRuns: 3_000 },
    )
  })
})

function isEqual(one: unknown, other: unknown): boolean {
  try {
    assert.deepStrictEqual(one, other)
    return true
  } catch {
    return false
  }
}
