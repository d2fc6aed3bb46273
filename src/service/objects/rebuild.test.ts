/** Whole histories of a bucket: what is known of it, made anew from the rows of its journal, is what was known. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { HABITS, ModelBucket } from '../../../test/simulate/object-bucket.ts'
import { Random } from '../../../test/simulate/random.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import { sequenceNumber } from '../../change/sequence.ts'
import { recordedEvent } from './rebuild.ts'
import { journalRow } from './rows.ts'
import { merge, type VersionState, visible } from './version-state.ts'

const idOf = ({ key, versionId }: ObjectEvent) => `${key}@${versionId}`

function statesOf(events: readonly ObjectEvent[]): Map<string, VersionState> {
  const states = new Map<string, VersionState>()
  for (const event of events) states.set(idOf(event), merge(states.get(idOf(event)) ?? null, event).state)
  return states
}

/** The event as it comes back from its journal row, the way that the statement reads the row. */
function throughJournal(event: ObjectEvent, events: readonly ObjectEvent[]): ObjectEvent {
  const { record_timestamp: time, object_tags: tags, user_metadata: metadata, ...row } = journalRow(event)
  const sequencers = events
    .filter((other) => idOf(other) === idOf(event) && other.kind === 'marker')
    .map((other) => sequenceNumber(other).slice(17, 49))
  return recordedEvent({
    is_delete_marker: null,
    size: null,
    e_tag: null,
    storage_class: null,
    is_multipart: null,
    encryption_status: null,
    is_bucket_key_enabled: null,
    kms_key_arn: null,
    checksum_algorithm: null,
    content_type: null,
    requester: null,
    source_ip_address: null,
    request_id: null,
    ...(row as Record<string, string | number | boolean | null>),
    time: String(time),
    object_tags: tags == null ? null : JSON.stringify(tags),
    user_metadata: metadata == null ? null : JSON.stringify(metadata),
    of_directory: false,
    two_markers: new Set(sequencers).size > 1,
  })
}

describe('what is known of a bucket, made anew from its journal', () => {
  for (const habit of HABITS) {
    it(`shows what it showed, and takes what is told again for a repetition (${habit})`, () => {
      fc.assert(
        fc.property(fc.nat(), fc.integer({ min: 1, max: 50 }), (seed, steps) => {
          const random = new Random(seed)
          const bucket = new ModelBucket(random, habit)
          for (let step = 0; step < steps; step++) bucket.step()
          const known = statesOf(bucket.events)
          const rebuilt = statesOf(bucket.events.map((event) => throughJournal(event, bucket.events)))
          for (const [id, state] of known) {
            const { event, ...before } = visible(state)
            const { event: recorded, ...after } = visible(rebuilt.get(id) ?? {})
            assert.equal(after.present, before.present, id)
            assert.equal(after.sequenceNumber, before.sequenceNumber, id)
            if (!before.present) continue
            assert.equal(after.isDeleteMarker, before.isDeleteMarker, id)
            assert.equal(sequenceNumber(recorded), sequenceNumber(event), id)
            if (before.isDeleteMarker) continue
            assert.deepEqual(after.tags ?? {}, before.tags ?? {}, id)
            assert.equal(after.storageClass, before.storageClass, id)
            assert.equal(recorded.etag, event.etag, id)
          }
          for (const event of bucket.events) {
            const { changed, decided } = merge(rebuilt.get(idOf(event)) ?? null, event)
            assert.deepEqual([changed, decided], [false, false], `${event.name} of ${idOf(event)}`)
          }
        }),
        { numRuns: 300 },
      )
    })
  }
})
