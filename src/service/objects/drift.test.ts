import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { limits } from '../../base/limits.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import type { ListedVersion } from '../../source/source.ts'
import { type ComparedKey, driftOf, type KeyDrift } from './drift.ts'
import { merge, presenceOf, type VersionState, visible } from './version-state.ts'

const NOW_MS = Date.parse('2024-05-01T12:00:00.000Z')
const iso = (agoMs: number) => new Date(NOW_MS - agoMs).toISOString()
const MINUTE_MS = 60_000

function told(agoMs: number, more: Partial<ObjectEvent> = {}): ObjectEvent {
  const common = { v: 1, kind: 'create', source: 'aws:s3', name: 'ObjectCreated:Put', bucket: 'b', key: 'k' } as const
  return { ...common, versionId: 'null', time: iso(agoMs), sequencer: '01', etag: 'a', sizeBytes: 1, ...more }
}

function listed(agoMs: number, more: Partial<ListedVersion> = {}): ListedVersion {
  const common = { key: 'k', versionId: 'null', isLatest: true, isDeleteMarker: false, sizeBytes: 1, etag: 'a' }
  return { ...common, lastModifiedMs: NOW_MS - agoMs, ...more }
}

function compare(events: readonly ObjectEvent[], there: readonly ListedVersion[]): KeyDrift {
  const states = new Map<string, VersionState>()
  for (const event of events) states.set(event.versionId, merge(states.get(event.versionId) ?? null, event).state)
  const compared: ComparedKey = {
    bucket: 'b',
    key: 'k',
    listed: there,
    shown: [...states]
      .map(([versionId, state]) => ({ versionId, state }))
      .filter(({ state }) => presenceOf(state) !== 'absent'),
    known: (versionId) => states.get(versionId),
    begunMs: NOW_MS,
    source: 'listing',
    isFinal: true,
  }
  const found = driftOf(compared)
  // What mends is merged: then nothing is left.
  for (const { event } of found.drifts)
    states.set(event.versionId, merge(states.get(event.versionId) ?? null, event).state)
  const shown = [...states].map(([versionId, state]) => ({ versionId, state }))
  const left = driftOf({ ...compared, shown: shown.filter(({ state }) => visible(state).present) })
  assert.deepEqual(left.drifts, [])
  return found
}

const FRESH_MS = limits.reconcileClockSkewMs - 1_000
const marker = { kind: 'marker', name: 'ObjectRemoved:DeleteMarkerCreated', versionId: 'm' } as const

describe('a key that differs from its listing', () => {
  const CASES: [string, ObjectEvent[], ListedVersion[], string[], number?][] = [
    ['in step', [told(MINUTE_MS)], [listed(MINUTE_MS)], []],
    ['never heard of', [], [listed(MINUTE_MS)], ['missing-object']],
    ['never heard of, a moment old', [], [listed(100)], ['missing-object']],
    ['a version never heard of', [], [listed(MINUTE_MS, { versionId: 'v' })], ['missing-version']],
    ['a marker never heard of', [], [listed(MINUTE_MS, { versionId: 'm', isDeleteMarker: true })], ['missing-marker']],
    ['overwritten', [told(MINUTE_MS)], [listed(MINUTE_MS / 2, { etag: 'b' })], ['other-content']],
    ['of another size', [told(MINUTE_MS)], [listed(MINUTE_MS, { sizeBytes: 2 })], ['other-content']],
    ['of another class', [told(MINUTE_MS)], [listed(MINUTE_MS, { storageClass: 'GLACIER' })], ['other-class']],
    ['of a class that goes without saying', [told(MINUTE_MS)], [listed(MINUTE_MS, { storageClass: 'STANDARD' })], []],
    ['gone', [told(MINUTE_MS)], [], ['extra-object']],
    ['a version gone', [told(MINUTE_MS, { versionId: 'v' })], [], ['extra-version']],
    ['a marker gone', [told(MINUTE_MS, marker)], [], ['extra-marker']],
    ['put after the listing was begun', [told(-1_000)], [], [], 1],
    ['put a moment before, as clocks go', [told(FRESH_MS)], [], [], 1],
    ['overwritten a moment ago, the listing older', [told(FRESH_MS)], [listed(MINUTE_MS, { etag: 'b' })], [], 1],
    ['overwritten, the listing newer', [told(FRESH_MS)], [listed(FRESH_MS - 2_000, { etag: 'b' })], ['other-content']],
    [
      'removed and put again in one second that the listing does not divide',
      [told(MINUTE_MS + 200, { kind: 'delete', name: 'ObjectRemoved:Delete' })],
      [listed(MINUTE_MS + 900)],
      ['missing-object'],
    ],
    [
      'the latest version showing as the older',
      [told(MINUTE_MS, { versionId: 'v1' }), told(MINUTE_MS + 500, { versionId: 'v2' })],
      [listed(MINUTE_MS, { versionId: 'v2' }), listed(MINUTE_MS, { versionId: 'v1', isLatest: false })],
      ['other-order'],
    ],
    [
      'versions of one second, none heard of',
      [],
      [listed(MINUTE_MS, { versionId: 'v2' }), listed(MINUTE_MS, { versionId: 'v1', isLatest: false })],
      ['missing-version', 'missing-version'],
    ],
  ]
  for (const [what, events, there, kinds, unsettled = 0] of CASES) {
    it(`is found and mended: ${what}`, () => {
      const found = compare(events, there)
      assert.deepEqual(
        found.drifts.map(({ kind }) => kind),
        kinds,
      )
      assert.equal(found.unsettled, unsettled)
    })
  }

  it('keeps its tags and class when it is moved in the order of versions', () => {
    const tagged = told(MINUTE_MS + 500, { versionId: 'v2', tags: { a: '1' }, storageClass: 'STANDARD_IA' })
    const there = [
      listed(MINUTE_MS, { versionId: 'v2', storageClass: 'STANDARD_IA' }),
      listed(MINUTE_MS, { versionId: 'v1', isLatest: false }),
    ]
    const { drifts } = compare([told(MINUTE_MS, { versionId: 'v1' }), tagged], there)
    const { tags, storageClass, time } = drifts[0]!.event
    assert.deepEqual({ tags, storageClass }, { tags: { a: '1' }, storageClass: 'STANDARD_IA' })
    assert.equal(time, iso(MINUTE_MS).replace('000Z', '000001Z'))
  })
})
