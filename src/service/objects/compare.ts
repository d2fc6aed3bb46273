/**
 * Compares what is known of each object version with what the tables hold of it. They agree whenever nothing is on its way
 * from one to the other; they do not after a log was lost with entries that no table had taken.
 */
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { sequenceNumber } from '../../change/sequence.ts'
import { type DuckSession, literal } from '../../duck/duck.ts'
import type { LoadedTable } from '../../iceberg/catalog/catalog.ts'
import type { FileIO } from '../../iceberg/file/file.ts'
import { planScan } from '../../iceberg/scan/plan.ts'
import { scanRelation } from '../../iceberg/scan/relation.ts'
import { timestamp } from './rows.ts'
import { type VersionState, visible } from './version-state.ts'
import type { VersionStore } from './version-store.ts'

export interface CompareParts {
  session: DuckSession
  io: FileIO
  versions: VersionStore
  journal: LoadedTable
  inventory: LoadedTable
  content: LoadedTable
}

/** A version about which a table says something else than what is known. */
export interface Difference {
  bucket: string
  key: string
  versionId: string
  /** False: a table has a row of a version that was never heard of. */
  known: boolean
  /** The event that decides what the version is has no row in the journal. */
  journal: boolean
  inventory: boolean
  content: boolean
}

/** What differs, in pages. Nothing may be merged or committed meanwhile. */
export async function* differences(parts: CompareParts): AsyncGenerator<Difference[]> {
  const { session, io } = parts
  const file = await io.scratch('.ndjson')
  try {
    await pipeline(Readable.from(linesOf(parts.versions)), createWriteStream(file))
    const relation = async (table: LoadedTable, columns: string[]) =>
      (await scanRelation(session, io, await planScan(io, table.metadata), { columns })).sql
    const sql = differencesSql({
      known: `SELECT * FROM read_json(${literal(file)}, format = 'newline_delimited', columns = ${KNOWN})`,
      journal: await relation(parts.journal, ['bucket', 'key', 'version_id', 'sequence_number']),
      inventory: await relation(parts.inventory, ['bucket', 'key', 'version_id', 'sequence_number']),
      content: await relation(parts.content, ['bucket', 'key', 'versionId', 'lastModified']),
    })
    for await (const rows of session.pages(sql)) {
      yield rows.map((row) => ({
        bucket: String(row['bucket']),
        key: String(row['key']),
        versionId: String(row['version_id']),
        known: row['known'] === true,
        journal: row['journal'] === true,
        inventory: row['inventory'] === true,
        content: row['content'] === true,
      }))
    }
  } finally {
    await rm(file, { force: true })
  }
}

const KNOWN =
  "{'bucket': 'VARCHAR', 'key': 'VARCHAR', 'version_id': 'VARCHAR', 'present': 'BOOLEAN', 'has_bytes': 'BOOLEAN', 'shown': 'VARCHAR', 'tip': 'VARCHAR', 'at': 'TIMESTAMP'}"

function* linesOf(versions: VersionStore): Generator<string> {
  for (const state of versions.all()) yield `${JSON.stringify(known(state))}\n`
}

function known(state: VersionState) {
  const { event, present, isDeleteMarker, sequenceNumber: shown } = visible(state)
  const { bucket, key, versionId, time } = event
  const has_bytes = present && !isDeleteMarker
  return {
    bucket,
    key,
    version_id: versionId,
    present,
    has_bytes,
    shown,
    tip: sequenceNumber(event),
    at: timestamp(time),
  }
}

/** Per version what each table should have and has; IS DISTINCT FROM takes a row that is not there for NULL. */
function differencesSql(from: { known: string; journal: string; inventory: string; content: string }): string {
  const by = '"bucket", "key", version_id'
  return `WITH known AS MATERIALIZED (${from.known}),
    compared AS (
      SELECT ${by}, k.tip IS NOT NULL AS known,
        k.tip IS NOT NULL AND j.sequence_number IS NULL AS journal,
        CASE WHEN k.present THEN k.shown END IS DISTINCT FROM i.sequence_number AS inventory,
        CASE WHEN k.has_bytes THEN k."at" END IS DISTINCT FROM c."lastModified" AS content
      FROM known k
      FULL JOIN (${from.inventory}) i USING (${by})
      FULL JOIN (SELECT "bucket", "key", "versionId" AS version_id, "lastModified" FROM (${from.content})) c USING (${by})
      LEFT JOIN (SELECT DISTINCT ${by}, sequence_number FROM (${from.journal})) j
        ON j."bucket" = k."bucket" AND j."key" = k."key" AND j.version_id = k.version_id AND j.sequence_number = k.tip
    )
    SELECT * FROM compared WHERE journal OR inventory OR content`
}
