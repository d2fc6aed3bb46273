/** What a bucket says of its versions, and what the tables say of them, in one form to be compared. */
import type { BucketStore, VersionInfo } from '../../src/store/store.ts'
import { type EngineBench, type SqlRow, TABLES } from './engine-bench.ts'

export interface BucketRows {
  /** Every version and marker, in order of key and version id. */
  inventory: SqlRow[]
  /** `key@version` of what plain reads give. */
  current: string[]
  /** `key@version etag` of every object version. */
  content: string[]
}

/** Of which versions times are compared: MinIO tells of delete markers that were asked for many at a time a little late. */
export interface Compared {
  markerTimes?: boolean
}

export async function bucketRows(store: BucketStore, { markerTimes = true }: Compared = {}): Promise<BucketRows> {
  const versions = await Array.fromAsync(store.listVersions())
  const objects = versions.filter(({ isDeleteMarker }) => !isDeleteMarker)
  const rows = await Promise.all(versions.map((version) => rowOf(store, version, markerTimes)))
  return {
    inventory: rows.sort(byName),
    current: objects
      .filter(({ isLatest }) => isLatest)
      .map(nameOf)
      .sort(),
    content: objects.map((version) => `${nameOf(version)} ${version.etag}`).sort(),
  }
}

async function rowOf(store: BucketStore, version: VersionInfo, markerTimes: boolean): Promise<SqlRow> {
  const { key, versionId, isDeleteMarker } = version
  const lastModifiedMs = isDeleteMarker && !markerTimes ? null : version.lastModifiedMs
  const common = {
    key,
    version_id: versionId,
    is_delete_marker: isDeleteMarker,
    last_modified_ms: lastModifiedMs,
  }
  const pin = { versionId }
  const head = isDeleteMarker ? null : await store.head(key, pin)
  if (head === null) {
    const nothing = { size: null, e_tag: null, storage_class: null, encryption_status: null, content_type: null }
    return { ...common, ...nothing, checksum_algorithm: null, object_tags: null, user_metadata: null }
  }
  return {
    ...common,
    size: head.sizeBytes,
    e_tag: head.etag,
    storage_class: head.storageClass ?? null,
    encryption_status: head.encryptionStatus ?? null,
    content_type: head.contentType ?? null,
    checksum_algorithm: head.checksumAlgorithm ?? null,
    object_tags: sorted((await store.tags(key, pin)) ?? {}),
    user_metadata: sorted(head.userMetadata ?? {}),
  }
}

export async function tableRows(
  bench: Pick<EngineBench, 'sql'>,
  bucket: string,
  { markerTimes = true }: Compared = {},
): Promise<BucketRows> {
  const where = `WHERE "bucket" = '${bucket}'`
  const inventory = await bench.sql(
    `SELECT key, version_id, is_delete_marker, 
      ${markerTimes ? '' : 'CASE WHEN NOT is_delete_marker THEN'} epoch_ms(last_modified_date) ${markerTimes ? '' : 'END'} AS last_modified_ms,
      size::INT AS size, e_tag, storage_class, encryption_status, content_type, checksum_algorithm, object_tags, user_metadata
      FROM ${TABLES.inventory} ${where}`,
  )
  const names = (rows: readonly SqlRow[]) => rows.map((row) => String(row['name'])).sort()
  return {
    inventory: inventory.map(plain).sort(byName),
    current: names(
      await bench.sql(
        `SELECT key || '@' || version_id AS name FROM s3_metadata_coalesced WHERE "bucket" = '${bucket}' AND is_current`,
      ),
    ),
    content: names(
      await bench.sql(`SELECT key || '@' || versionId || ' ' || etag AS name FROM ${TABLES.content} ${where}`),
    ),
  }
}

function plain(row: SqlRow): SqlRow {
  return Object.fromEntries(
    Object.entries(row).map(([name, cell]) => {
      if (typeof cell === 'bigint') return [name, Number(cell)]
      return [name, cell !== null && typeof cell === 'object' ? sorted(cell as Record<string, string>) : cell]
    }),
  )
}

function sorted(map: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).sort(([one], [other]) => (one < other ? -1 : 1)))
}

function nameOf({ key, versionId }: VersionInfo): string {
  return `${key}@${versionId}`
}

function byName(one: SqlRow, other: SqlRow): number {
  return `${one['key']}@${one['version_id']}` < `${other['key']}@${other['version_id']}` ? -1 : 1
}
