/**
 * What is known of each object version, made anew from the journal and the inventory, for a state file that was lost.
 *
 * The journal has every event's kind, time, sequencer and hash, so what each version is, its tombstone, its tags and storage
 * class come out as they were, and an event that is told again is known as a repetition. It does not have the sender: a
 * directory is known by its etags, MinIO by a marker that it told of twice; the others take the sender of the next event of
 * their version (`version-state.ts`).
 *
 * Crash story: the new state is made in a file of another name and moved into place when it is whole.
 */
import { rename, rm } from 'node:fs/promises'
import { limits } from '../../base/limits.ts'
import { OBJECT_EVENT_VERSION, type ObjectEvent, type ObjectEventKind } from '../../change/object-event.ts'
import { observedOf, RECORDED_SOURCE, sequencerOf } from '../../change/sequence.ts'
import type { DuckRow, DuckSession } from '../../duck/duck.ts'
import type { LoadedTable } from '../../iceberg/catalog/catalog.ts'
import type { FileIO } from '../../iceberg/file/file.ts'
import { planScan } from '../../iceberg/scan/plan.ts'
import { scanRelation } from '../../iceberg/scan/relation.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import { openVersionStore } from './version-store.ts'

export interface RebuildParts {
  session: DuckSession
  io: FileIO
  journal: LoadedTable
  inventory: LoadedTable
  /** The state file. */
  path: string
  /** Everything before this offset of the objects log is in the tables. */
  taken: number
}

/** Replaces the state file. Returns how many events it was made from. */
export async function rebuildVersions(parts: RebuildParts): Promise<number> {
  const fresh = `${parts.path}.rebuilt`
  const remove = (path: string) => Promise.all(['', '-wal', '-shm'].map((end) => rm(`${path}${end}`, { force: true })))
  await remove(fresh)
  const versions = openVersionStore({ path: fresh })
  let count = 0
  try {
    for await (const events of recordedEvents(parts)) {
      // Before the first offset: nothing that is passed on again is taken for a change of this batch.
      versions.applyBatch(events.map((event) => ({ offset: -1, event })))
      count += events.length
    }
    versions.setTaken(parts.taken)
  } finally {
    versions.close()
  }
  await remove(parts.path)
  await rename(fresh, parts.path)
  return count
}

async function* recordedEvents({ session, io, journal, inventory }: RebuildParts): AsyncGenerator<ObjectEvent[]> {
  const relation = async (table: LoadedTable) => {
    const { sql } = await scanRelation(session, io, await planScan(io, table.metadata), {})
    // Tables of before the column was there get it when their home is opened, which comes after this.
    const hasType = currentSchema(table.metadata).fields.some(({ name }) => name === 'content_type')
    return hasType ? sql : `SELECT *, NULL::VARCHAR AS content_type FROM (${sql})`
  }
  let page: ObjectEvent[] = []
  for await (const rows of session.pages(eventsSql(await relation(journal), await relation(inventory)))) {
    page.push(...rows.map(recordedEvent))
    if (page.length < limits.logBatchEntriesMax) continue
    yield page
    page = []
  }
  if (page.length > 0) yield page
}

const VERSION = '"bucket", "key", version_id'

/** Etags of a directory's files: time, size and inode (`store/etag.ts`). S3's have no or one dash. */
const DIRECTORY_ETAG = '^[0-9a-f]+-[0-9a-f]+-[0-9a-f]+$'

/**
 * One row per event. A version whose every creation has a directory's etag is a directory's; a version id of a store is given
 * once, so a marker that was told with two sequencers is MinIO's way to tell of its removal. Rows of the inventory that the
 * journal knows nothing of (their change was refused) count as creations.
 */
function eventsSql(journal: string, inventory: string): string {
  const common = `${VERSION}, sequence_number, is_delete_marker, size, e_tag, storage_class, is_multipart, encryption_status,
    is_bucket_key_enabled, kms_key_arn, checksum_algorithm, object_tags, user_metadata, content_type`
  return `WITH j AS (${journal}), i AS (${inventory}),
    events AS (
      SELECT ${common}, record_type, record_timestamp, requester, source_ip_address, request_id FROM j
      UNION ALL BY NAME
      SELECT ${common}, CASE WHEN is_delete_marker THEN 'DELETE' ELSE 'CREATE' END AS record_type,
        last_modified_date AS record_timestamp
      FROM i WHERE (${VERSION}, sequence_number) NOT IN (SELECT (${VERSION}, sequence_number) FROM j)
    )
    SELECT * EXCLUDE (object_tags, user_metadata, record_timestamp, size), record_timestamp::VARCHAR AS time, size::VARCHAR AS size,
      to_json(object_tags)::VARCHAR AS object_tags, to_json(user_metadata)::VARCHAR AS user_metadata,
      bool_and(regexp_matches(coalesce(e_tag, ''), '${DIRECTORY_ETAG}')) FILTER (record_type = 'CREATE') OVER version AS of_directory,
      min(substr(sequence_number, 18, 32)) FILTER (is_delete_marker AND substr(sequence_number, 17, 1) = '0') OVER version
        < max(substr(sequence_number, 18, 32)) FILTER (is_delete_marker AND substr(sequence_number, 17, 1) = '0') OVER version
        AS two_markers
    FROM events WINDOW version AS (PARTITION BY ${VERSION})`
}

export function recordedEvent(row: DuckRow): ObjectEvent {
  const text = (name: string): string | undefined => (row[name] === null ? undefined : String(row[name]))
  const flag = (name: string): boolean | undefined => (row[name] === null ? undefined : row[name] === true)
  const map = (name: string) => {
    const value = text(name)
    return value === undefined ? undefined : (JSON.parse(value) as Record<string, string>)
  }
  const number = String(row['sequence_number'])
  const size = text('size')
  const event = {
    v: OBJECT_EVENT_VERSION,
    kind: kindOf(row),
    source: sourceOf(row),
    name: number,
    bucket: String(row['bucket']),
    key: String(row['key']),
    versionId: String(row['version_id']),
    time: `${String(row['time']).replace(' ', 'T')}Z`,
    sequencer: sequencerOf(number),
    observed: observedOf(number),
    etag: text('e_tag'),
    sizeBytes: size === undefined ? undefined : Number(size),
    storageClass: text('storage_class'),
    tags: map('object_tags'),
    userMetadata: map('user_metadata'),
    isMultipart: flag('is_multipart'),
    encryptionStatus: text('encryption_status'),
    isBucketKeyEnabled: flag('is_bucket_key_enabled'),
    kmsKeyArn: text('kms_key_arn'),
    checksumAlgorithm: text('checksum_algorithm'),
    contentType: text('content_type'),
    requester: text('requester'),
    sourceIpAddress: text('source_ip_address'),
    requestId: text('request_id'),
  }
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined)) as unknown as ObjectEvent
}

function kindOf(row: DuckRow): ObjectEventKind {
  if (row['record_type'] === 'CREATE') return 'create'
  if (row['record_type'] === 'UPDATE_METADATA') return 'update'
  return row['is_delete_marker'] === true ? 'marker' : 'delete'
}

function sourceOf(row: DuckRow): string {
  if (row['of_directory'] === true && row['version_id'] === 'null') return 'directory'
  if (row['two_markers'] === true && row['version_id'] !== 'null') return 'minio:s3'
  return RECORDED_SOURCE
}
