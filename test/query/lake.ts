/**
 * A lake for tests of SQL: a catalog in memory over files in a temporary folder, and tables made from VALUES.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/base/clock.ts'
import { Duck, type DuckSession } from '../../src/duck/duck.ts'
import { append } from '../../src/iceberg/action/append.ts'
import { nextSequenceNumber } from '../../src/iceberg/action/snapshot.ts'
import { type Catalog, type LoadedTable, parseIdent } from '../../src/iceberg/catalog/catalog.ts'
import { openMemoryCatalog } from '../../src/iceberg/catalog/memory.ts'
import { writeDataFiles } from '../../src/iceberg/file/data-writer.ts'
import type { FileIO } from '../../src/iceberg/file/file.ts'
import { writeSnapshotFiles } from '../../src/iceberg/file/snapshot-files.ts'
import { storeIo } from '../../src/iceberg/file/store-io.ts'
import { currentSchema, currentSpec } from '../../src/iceberg/spec/schema.ts'
import type { PartitionSpec, Type } from '../../src/iceberg/spec/table-metadata.ts'
import { openQuerySession, type QuerySession, type QuerySessionOptions } from '../../src/query/query.ts'
import { openFileStore } from '../../src/store/file.ts'

/** Column name → Iceberg type, as in a schema. */
export type Columns = Record<string, Type>

export class Lake {
  readonly catalog: Catalog
  readonly io: FileIO
  readonly clock: Clock & { set(ms: number): void }
  readonly dir: string
  readonly #duck: Duck
  readonly #session: DuckSession
  #nextSnapshotId = 9_007_199_254_740_993n

  private constructor(
    dir: string,
    catalog: Catalog,
    io: FileIO,
    clock: Lake['clock'],
    duck: Duck,
    session: DuckSession,
  ) {
    this.dir = dir
    this.catalog = catalog
    this.io = io
    this.clock = clock
    this.#duck = duck
    this.#session = session
  }

  static async open(): Promise<Lake> {
    const dir = await mkdtemp(join(tmpdir(), 'tidewater-query-'))
    const root = `file://${dir}/warehouse`
    const store = await openFileStore({ root: join(dir, 'warehouse'), create: true })
    const io = storeIo(store, { root, scratchDir: join(dir, 'warehouse/.scratch') })
    let nowMs = Date.UTC(2024, 0, 1)
    const clock: Lake['clock'] = {
      nowMs: () => nowMs,
      sleep: () => Promise.resolve(),
      set: (ms) => {
        nowMs = ms
      },
    }
    const catalog = openMemoryCatalog({ io, warehouse: root, clock })
    const duck = await Duck.open({ memoryMiB: 256, threads: 1 })
    return new Lake(dir, catalog, io, clock, duck, await duck.connect())
  }

  async create(name: string, columns: Columns, spec?: PartitionSpec): Promise<LoadedTable> {
    const ident = parseIdent(name)
    await this.catalog.createNamespace(ident.namespace)
    const fields = Object.entries(columns).map(([column, type], index) => ({
      id: index + 1,
      name: column,
      required: false,
      type,
    }))
    const schema = { type: 'struct' as const, 'schema-id': 0, fields }
    return this.catalog.create(ident, { schema, ...(spec === undefined ? {} : { spec }) })
  }

  /** Appends the rows of a SELECT over the table's columns as one snapshot; returns its id. */
  async append(name: string, relationSql: string): Promise<bigint> {
    const table = await this.catalog.load(parseIdent(name))
    const { metadata } = table
    const snapshotId = this.#nextSnapshotId++
    const nowMs = this.clock.nowMs()
    const schema = currentSchema(metadata)
    const files = await writeDataFiles(this.#session, this.io, {
      relationSql,
      schema,
      spec: currentSpec(metadata),
      location: metadata.location,
      nowMs,
    })
    const written = await writeSnapshotFiles(this.io, {
      metadata,
      snapshotId,
      sequenceNumber: nextSequenceNumber(metadata),
      addedDataFiles: files,
      addedDeleteFiles: [],
      removedPaths: new Set(),
      mergeCount: 100,
      manifestBytesTarget: 1024 * 1024,
      nowMs,
    })
    const change = append(metadata, {
      snapshotId,
      manifestList: written.manifestList,
      timestampMs: nowMs,
      counts: written.counts,
    })
    await this.catalog.commit(table, change)
    return snapshotId
  }

  session(options: Partial<QuerySessionOptions> = {}): Promise<QuerySession> {
    return openQuerySession({ catalog: this.catalog, io: this.io, clock: this.clock, ...options })
  }

  async close(): Promise<void> {
    this.#session.close()
    this.#duck.close()
    await this.catalog.close()
    await rm(this.dir, { recursive: true, force: true })
  }
}

const text = (id: number): Type => ({
  type: 'map',
  'key-id': id,
  key: 'string',
  'value-id': id + 1,
  'value-required': false,
  value: 'string',
})

/** The columns of an S3 Metadata journal table. */
export const JOURNAL: Columns = {
  bucket: 'string',
  key: 'string',
  sequence_number: 'string',
  record_type: 'string',
  record_timestamp: 'timestamp',
  version_id: 'string',
  is_delete_marker: 'boolean',
  size: 'long',
  last_modified_date: 'timestamp',
  e_tag: 'string',
  storage_class: 'string',
  is_multipart: 'boolean',
  encryption_status: 'string',
  is_bucket_key_enabled: 'boolean',
  kms_key_arn: 'string',
  checksum_algorithm: 'string',
  object_tags: text(100),
  user_metadata: text(102),
  requester: 'string',
  source_ip_address: 'string',
  request_id: 'string',
}

/** The columns of a content metadata table. */
export const CONTENT: Columns = {
  bucket: 'string',
  key: 'string',
  versionId: 'string',
  sequencer: 'string',
  etag: 'string',
  metadata: 'string',
  lastModified: 'timestamp',
  labels: { type: 'list', 'element-id': 104, 'element-required': false, element: 'string' },
  image_width: 'int',
  image_height: 'int',
}
