import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ObjectEvent } from '../../change/object-event.ts'
import { sequenceNumber } from '../../change/sequence.ts'
import { type Description, descriptionEvent, factsIn, isDescription, justAfter } from './description.ts'
import { recordedEvent } from './rebuild.ts'
import { journalRow } from './rows.ts'
import { isUntold, merge, type VersionState, visible, withDescription } from './version-state.ts'

const CREATED = '2024-05-01T10:00:00.000Z'

function event(kind: ObjectEvent['kind'], second: number, more: Partial<ObjectEvent> = {}): ObjectEvent {
  const time = new Date(Date.parse(CREATED) + second * 1000).toISOString()
  const name = kind === 'create' ? 'ObjectCreated:Put' : 'ObjectTagging:Put'
  return { v: 1, kind, source: 'aws:s3', name, bucket: 'b', key: 'k', versionId: 'null', time, ...more }
}

function stateOf(...events: ObjectEvent[]): VersionState {
  return events.reduce<VersionState | null>((state, one) => merge(state, one).state, null)!
}

/** The state with an answer to what it knows now. */
function answered(state: VersionState, facts: Description['facts'], more: Partial<Description> = {}): VersionState {
  const creation = visible(state).event
  const at = justAfter(creation, state.update)
  const covers = state.update === undefined ? {} : { covers: state.update }
  return withDescription(state, { of: sequenceNumber(creation), at, ...covers, facts, ...more })
}

const put = event('create', 0, { etag: 'e1', sequencer: '01' })

describe('what a store answered about an object', () => {
  it('is asked for once per creation', () => {
    const state = stateOf(put)
    assert.equal(isUntold(state), true)
    assert.equal(isUntold(answered(state, { etag: 'e1' })), false)
    assert.equal(isUntold(stateOf(event('delete', 1))), false)
    assert.equal(isUntold(stateOf(event('update', 1))), false)
  })

  it('is asked for again for what took the place of the object, also when the bytes are the same', () => {
    const first = answered(stateOf(put), { etag: 'e1', userMetadata: { of: 'the first' } })
    const { state } = merge(first, event('create', 5, { etag: 'e1', sequencer: '02' }))
    assert.equal(visible(state).facts, undefined)
    assert.equal(isUntold(state), true)
    const other = merge(first, event('create', 5, { etag: 'e2', sequencer: '02' })).state
    assert.equal(visible(other).facts, undefined)
  })

  it('is asked for again when tags changed without their being told, and not when they were', () => {
    const state = answered(stateOf(put), { etag: 'e1', tags: { a: '1' } })
    const untold = merge(state, event('update', 5)).state
    assert.deepEqual([isUntold(untold), visible(untold).tags], [true, { a: '1' }])
    const again = answered(untold, { etag: 'e1', tags: { a: '2' } })
    assert.deepEqual([isUntold(again), visible(again).tags], [false, { a: '2' }])
    const told = merge(state, event('update', 5, { tags: { a: '3' } })).state
    assert.deepEqual([isUntold(told), visible(told).tags], [false, { a: '3' }])
    const gone = merge(state, event('update', 5, { name: 'ObjectTagging:Delete' })).state
    assert.deepEqual([isUntold(gone), visible(gone).tags], [false, {}])
  })

  it('counts before updates that were known when it was asked, and after those that came later', () => {
    const told = stateOf(put, event('update', 5, { tags: { a: 'told' }, storageClass: 'GLACIER' }))
    const after = answered(told, { etag: 'e1', tags: { a: 'asked' }, storageClass: 'STANDARD' })
    assert.deepEqual([visible(after).tags, visible(after).storageClass], [{ a: 'asked' }, 'STANDARD'])
    const before = answered(stateOf(put), { etag: 'e1', tags: { a: 'asked' }, storageClass: 'STANDARD' })
    const late = merge(before, event('update', 5, { tags: { a: 'told' }, storageClass: 'GLACIER' })).state
    assert.deepEqual([visible(late).tags, visible(late).storageClass], [{ a: 'told' }, 'GLACIER'])
  })

  it('is asked for when an update at the instant of the creation may be of the object before it', () => {
    const state = answered(stateOf(put), { etag: 'e1', storageClass: 'STANDARD' })
    const { state: unclear } = merge(state, event('update', 0, { storageClass: 'GLACIER' }))
    assert.equal(isUntold(unclear), true)
    const clear = answered(unclear, { etag: 'e1', storageClass: 'STANDARD' })
    assert.deepEqual([isUntold(clear), visible(clear).storageClass], [false, 'STANDARD'])
  })

  it('is asked for when MinIO tells that tags are gone of what may have been overwritten', () => {
    const minio = { source: 'minio:s3', sequencer: '18E9C8EDC92CF1CD' } as const
    const gone = event('update', 1, { ...minio, name: 'ObjectCreated:DeleteTagging' })
    for (const [versionId, expected] of [
      ['null', true],
      ['v1', false],
    ] as const) {
      const state = answered(stateOf({ ...put, ...minio, versionId }), { etag: 'e1', tags: { a: '1' } })
      assert.equal(isUntold(merge(state, { ...gone, versionId }).state), expected, versionId)
    }
  })

  it('that comes as an event shows as one that came in time, and covers what was told before it', () => {
    const known = stateOf(put, event('update', 5))
    const facts = { etag: 'e1', tags: { a: '1' }, userMetadata: { by: 'Grace' }, encryptionStatus: 'SSE-S3' }
    const late = descriptionEvent(put, { at: justAfter(put, known.update), facts })
    assert.ok(isDescription(late))
    assert.deepEqual(factsIn(late), facts)
    const { state, changed, decided } = merge(known, late)
    assert.deepEqual([changed, decided, isUntold(state)], [true, false, false])
    assert.deepEqual(visible(state).facts, facts)
    assert.equal(visible(state).sequenceNumber, sequenceNumber(late))
    assert.equal(isUntold(merge(state, event('update', 9)).state), true)
    // In another order the same.
    assert.deepEqual(visible(stateOf(late, put, event('update', 5))), visible(state))
  })

  it('that came as an event comes back from its journal row', () => {
    const facts = {
      etag: 'e1',
      tags: { a: '1' },
      userMetadata: {},
      encryptionStatus: 'SSE-S3',
      contentType: 'image/gif',
    }
    const late = descriptionEvent(put, { at: justAfter(put, undefined), facts })
    const { record_timestamp: time, object_tags: tags, user_metadata: metadata, ...row } = journalRow(late)
    const recorded = recordedEvent({
      ...(row as Record<string, string | number | boolean | null>),
      time: String(time),
      object_tags: JSON.stringify(tags),
      user_metadata: JSON.stringify(metadata),
      of_directory: false,
      two_markers: false,
    })
    assert.ok(isDescription(recorded))
    assert.deepEqual(visible(stateOf(put, recorded)).facts, { ...facts })
  })

  it('about the creation is in its journal row, but for tags that may have changed before it was asked', () => {
    const state = answered(stateOf(put), { etag: 'e1', tags: { a: '1' }, encryptionStatus: 'SSE-S3' })
    const row = journalRow(put, state.described)
    assert.deepEqual([row['object_tags'], row['encryption_status']], [{ a: '1' }, 'SSE-S3'])
    const update = event('update', 5)
    const number = sequenceNumber(update)
    const changed = answered(stateOf(put, update), { etag: 'e1', tags: { a: '2' } }, { tagsChanged: number })
    assert.equal(journalRow(put, changed.described)['object_tags'], null)
    assert.deepEqual(journalRow(update, changed.described)['object_tags'], { a: '2' })
    assert.equal(journalRow(event('update', 4), changed.described)['object_tags'], null)
  })

  it('that is missing is null, and empty only where nobody can be asked', () => {
    const tags = (known: 'unanswered' | 'unasked') => journalRow(put, known)['object_tags']
    assert.deepEqual([tags('unanswered'), tags('unasked')], [null, {}])
  })
})
