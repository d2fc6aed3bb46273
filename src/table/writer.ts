/**
 * The writer of one table: log entries in, one committed snapshot out.
 *
 * A commit is a plan of DuckDB statements over sealed segments; no row passes through JavaScript:
 *   1. `batch`    the entries [from, end), numbered `nth`, with the hash of their key
 *   2. `winners`  per key the entry that decides (`fold.ts`), and for `insert-once` only keys that are new; as a bitmap over
 *                 `nth` too, so that the wide rows are filtered as they stream by, without a join and without a sort
 *   3. `old`      where the winners' keys stand now, by the row index
 *   4. data files from the winners, position deletes from `old`
 *   5. the snapshot, with the tombstones that a table with an ordering column has; then the index learns (`learn.ts`)
 * An append has no keys: its entries go from the segments into data files by one statement.
 */
import { assert, must } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { Fault, isFault } from '../base/fault.ts'
import { sha256Hex } from '../base/hash.ts'
import { uuidv7 } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type DuckSession, ident } from '../duck/duck.ts'
import { type Catalog, formatIdent, type LoadedTable } from '../iceberg/catalog/catalog.ts'
import { commitChange, findCommit } from '../iceberg/catalog/commit.ts'
import { writeDataFiles } from '../iceberg/file/data-writer.ts'
import { writePositionDeletes } from '../iceberg/file/delete-writer.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'
import { currentSchema, currentSpec } from '../iceberg/spec/schema.ts'
import type { TableMetadata } from '../iceberg/spec/table-metadata.ts'
import type { Segment } from '../log/log.ts'
import { TABLE_BOUNDS, type TableBounds } from './bounds.ts'
import { FOLD_TABLES, foldFirst, foldNewest, foldOrdered, type Ordered, WON } from './fold.ts'
import { catchUp, type IndexContext, indexIdentity } from './index-upkeep.ts'
import { wasOvertaken } from './kept-table.ts'
import { learn } from './learn.ts'
import { orderingValue } from './ordering.ts'
import { RowIndex } from './row-index.ts'
import { planSnapshot, type SnapshotPlan } from './snapshot-plan.ts'
import { type CommitReport, offsetProperty, SUMMARY, type TableDefinition } from './table.ts'
import { ensureTable } from './table-setup.ts'
import { tombstonesOf, writeTombstones } from './tombstones.ts'
import { keyHash, segmentRelation, valueExpression } from './transport.ts'
import { sortTerms, writeSettings } from './write-settings.ts'

export interface WriterParts {
  catalog: Catalog
  io: FileIO
  /** A connection of the writer's own: its temporary tables live there. */
  session: DuckSession
  clock: Clock
}

export interface WriterOptions {
  definition: TableDefinition
  /** Where the row index file is; unused for `append`. */
  indexPath: string
  /** Name of the log that offsets refer to. */
  logName: string
  /** Default `TABLE_BOUNDS`. */
  bounds?: TableBounds
  /** What else a snapshot says of the log up to `end`, given the table's properties as they were. */
  facts?: (end: number, properties: Readonly<Record<string, string>>) => Record<string, string>
}

/** Entries [from, end) of a log, and how many of them are the table's; null when that is not known. */
interface Range {
  from: number
  end: number
  entries: number | null
}

/** What a commit adds to a table. */
interface Additions {
  dataFiles: DataFile[]
  deleteFiles: DataFile[]
  ordered: Ordered | null
}

export class TableWriter {
  readonly name: string
  readonly bounds: TableBounds
  readonly #parts: WriterParts
  readonly #definition: TableDefinition
  readonly #logName: string
  readonly #facts: WriterOptions['facts']
  readonly #index: IndexContext | null
  /** Late changes not told in a report yet. */
  #lateDropped = 0
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(parts: WriterParts, options: WriterOptions, index: RowIndex | null) {
    this.#parts = parts
    this.#definition = options.definition
    this.#logName = options.logName
    this.#facts = options.facts
    this.bounds = options.bounds ?? TABLE_BOUNDS
    this.name = formatIdent(options.definition.ident)
    const { key, ordering } = options.definition
    this.#index = index === null ? null : { session: parts.session, io: parts.io, index, key, ordering }
  }

  /** Creates or evolves the table to its definition, opens the index and brings it up to the current snapshot. */
  static async open(parts: WriterParts, options: WriterOptions): Promise<TableWriter> {
    const { definition } = options
    const table = await ensureTable(parts.catalog, definition, parts.clock)
    if (definition.mode === 'append') return new TableWriter(parts, options, null)
    assert(definition.key.length > 0, `a table written by ${definition.mode} has a key`)
    const identity = indexIdentity(table, definition)
    // Names of databases know no case, those of tables do.
    const alias = `index_${sha256Hex(formatIdent(definition.ident)).slice(0, 16)}`
    const { indexDeltaRowsMax } = options.bounds ?? TABLE_BOUNDS
    const index = await RowIndex.open(parts.session, alias, options.indexPath, identity, indexDeltaRowsMax)
    const writer = new TableWriter(parts, options, index)
    await writer.#follow((current) => catchUp(must(writer.#index, 'index'), current))
    return writer
  }

  /** Name of the log that it follows. */
  get logName(): string {
    return this.#logName
  }

  /** Performs `work` on the table as it is now, again when others change it meanwhile. */
  async #follow<T>(work: (table: LoadedTable) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const table = await this.load()
      try {
        return await work(table)
      } catch (error) {
        if (attempt >= limits.commitAttemptsMax || !(await this.wasOvertaken(table, error))) throw error
      }
    }
  }

  /**
   * Whether `error` comes of others having changed the table after it was loaded: a snapshot in between, or files gone that
   * only expired snapshots had.
   */
  wasOvertaken(table: LoadedTable, error: unknown): Promise<boolean> {
    return wasOvertaken(() => this.load(), table, error)
  }

  get indexContext(): IndexContext | null {
    return this.#index
  }

  /** Creates or evolves the table to a definition with the same key. @throws Fault `invalid` when it contradicts the table */
  adopt(definition: TableDefinition): Promise<LoadedTable> {
    return ensureTable(this.#parts.catalog, definition, this.#parts.clock)
  }

  get parts(): WriterParts {
    return this.#parts
  }

  load(): Promise<LoadedTable> {
    return this.#parts.catalog.load(this.#definition.ident)
  }

  /** End offset, exclusive, of what the table holds. 0 for a table that never took an entry. */
  async committedOffset(): Promise<number> {
    return committedOffset((await this.load()).metadata, this.#logName)
  }

  /** Runs `work` when no commit is under way; commits wait for it. What it does must not commit through this writer. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  /**
   * Commits the entries [from, end) of `segments`. Null when they change nothing.
   * @param entries how many there are, when others between them are not the table's
   * @throws Fault `conflict` when others kept committing in between, `commit-unknown`, `unavailable`, `corrupt`,
   * `invalid` (an entry that does not fit the table)
   */
  commit(segments: readonly Segment[], from: number, end: number, entries = end - from): Promise<CommitReport | null> {
    return this.exclusively(() => this.#commit(segments, from, end, entries))
  }

  async #commit(
    segments: readonly Segment[],
    from: number,
    end: number,
    entries: number,
  ): Promise<CommitReport | null> {
    const startedMs = this.#parts.clock.nowMs()
    const committed = this.#follow(async (table) => {
      const index = this.#index
      if (index !== null) await this.#blameless(() => catchUp(index, table))
      const held = committedOffset(table.metadata, this.#logName)
      if (held >= end) return null
      // Of a part that is held already it is not known how many were the table's.
      const expected = held > from ? (entries === end - from ? end - held : null) : entries
      const report = await this.#attempt(table, segments, { from: Math.max(from, held), end, entries: expected })
      return report === null ? null : { ...report, elapsedMs: this.#parts.clock.nowMs() - startedMs }
    })
    return committed.finally(() => this.#forgetBatch())
  }

  /**
   * Performs `work` that reads no entry of the log: what it finds wrong is damage in the table or its index.
   * @throws Fault `corrupt` in place of `invalid`, for which entries would be blamed
   */
  async #blameless<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const wrong =
        isFault(error, 'invalid') || (isFault(error, 'corrupt') && /^[A-Z][\w ]* Error: /.test(error.message))
      if (!wrong) throw error
      const message = `a file of table ${this.name} is damaged, or its row index; tidewater doctor finds which: ${error.message}`
      throw new Fault('corrupt', message, { ...error.facts, table: this.name }, error)
    }
  }

  /** Gives the memory of the batch back: what follows a commit, compaction above all, needs it. */
  async #forgetBatch(): Promise<void> {
    if (this.#index === null) return
    for (const table of FOLD_TABLES) await this.#parts.session.run(`DROP TABLE IF EXISTS temp.${table}`)
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#index?.index.close()
  }

  async #attempt(
    table: LoadedTable,
    segments: readonly Segment[],
    range: Range,
  ): Promise<Omit<CommitReport, 'elapsedMs'> | null> {
    const { from, end } = range
    const { session, io, clock } = this.#parts
    const { mode } = this.#definition
    const { metadata } = table
    const nowMs = clock.nowMs()
    const source = this.#source(metadata, segments, from, end)
    if (mode !== 'append') await this.#readBatch(metadata, source, range)
    const ordered = mode === 'append' ? null : await this.#fold(end - from, nowMs)

    const dataFiles = await writeDataFiles(session, io, {
      relationSql: this.#winnersSql(metadata, source),
      schema: currentSchema(metadata),
      spec: currentSpec(metadata),
      location: metadata.location,
      nowMs,
      rowsAtMost: end - from,
      ...sortTerms(metadata),
      ...writeSettings(metadata.properties),
    })
    if (mode === 'append' && sum(dataFiles) !== range.entries) await this.#checkCount(`(${source})`, range)
    const deleteFiles = mode === 'upsert' ? await this.#blameless(() => this.#writeDeletes(metadata, nowMs)) : []
    this.#lateDropped += ordered?.lateDropped ?? 0
    if (dataFiles.length === 0 && deleteFiles.length === 0 && (ordered?.buried ?? 0) === 0) return null

    const additions = { dataFiles, deleteFiles, ordered }
    const snapshotId = await this.#blameless(() => this.#commitSnapshot(table, additions, end))
    const index = this.#index
    if (index !== null) await this.#blameless(() => learn(index, { table, snapshotId, ...additions }))
    const lateDropped = this.#lateDropped
    this.#lateDropped = 0
    return {
      table: this.name,
      snapshotId,
      from,
      end,
      entries: range.entries ?? sum(dataFiles),
      rowsWritten: sum(dataFiles),
      rowsRemoved: sum(deleteFiles),
      lateDropped,
      tombstonesForgotten: ordered?.forgotten ?? 0,
    }
  }

  /** The entries [from, end) as the relation (offset, op, row). */
  #source(metadata: TableMetadata, segments: readonly Segment[], from: number, end: number): string {
    const paths = segments.filter((segment) => segment.first < end && segment.end > from).map((segment) => segment.path)
    assert(paths.length > 0, 'a commit has entries')
    return segmentRelation(paths, currentSchema(metadata).fields, { from, end }, limits.logEntryBytesMax + 1024)
  }

  async #readBatch(metadata: TableMetadata, source: string, range: Range): Promise<void> {
    const { key, ordering } = this.#definition
    const hash = keyHash(key, (name) => `row.${ident(name)}`)
    const order =
      ordering === undefined
        ? ''
        : `, ${orderingValue(currentSchema(metadata), ordering, `row.${ident(ordering)}`)} AS o`
    await this.#parts.session.run(
      `CREATE OR REPLACE TEMP TABLE batch AS SELECT ("offset" - ${range.from})::INTEGER AS nth, op, ${hash} AS h${order}, row FROM (${source})`,
    )
    await this.#checkCount('batch', range)
  }

  /** @throws Fault `corrupt` when `relation` does not have every entry of the range */
  async #checkCount(relation: string, { from, end, entries }: Range): Promise<void> {
    if (entries === null) return
    const count = Number(await this.#parts.session.value(`SELECT count(*) FROM ${relation}`))
    if (count !== entries) {
      throw new Fault(
        'corrupt',
        `the log of ${this.name} should hold ${entries} entries from offset ${from} to ${end}, but ${count} were read; run tidewater doctor`,
        { from, end, count },
      )
    }
  }

  async #fold(entries: number, nowMs: number): Promise<Ordered | null> {
    const { session } = this.#parts
    const { mode, ordering } = this.#definition
    const parts = { session, index: must(this.#index, 'the index of a keyed table').index, entries }
    if (ordering !== undefined) return foldOrdered(parts, ordering, nowMs)
    await (mode === 'upsert' ? foldNewest(parts) : foldFirst(parts))
    return null
  }

  #winnersSql(metadata: TableMetadata, source: string): string {
    const columns = currentSchema(metadata).fields.map(
      (field) => `${valueExpression(field, 'b.row')} AS ${ident(field.name)}`,
    )
    if (this.#definition.mode === 'append')
      return `SELECT ${columns.join(', ')} FROM (${source}) b WHERE b.op = 'upsert'`
    return `SELECT ${columns.join(', ')} FROM batch b WHERE b.op = 'upsert' AND ${WON}`
  }

  async #writeDeletes(metadata: TableMetadata, nowMs: number): Promise<DataFile[]> {
    const { session, io } = this.#parts
    const { index } = must(this.#index, 'the index of a keyed table')
    const touched = await index.files('id IN (SELECT file FROM old)')
    if (touched.length === 0) return []
    return writePositionDeletes(session, io, {
      relationSql: 'SELECT file, pos FROM old',
      distinct: true,
      fileIds: new Map(touched.map((file) => [file.id, file.path])),
      dataFiles: new Map(touched.map((file) => [file.path, file])),
      schema: currentSchema(metadata),
      specs: metadata['partition-specs'],
      location: metadata.location,
      nowMs,
    })
  }

  /**
   * Positions were looked up at `base`: at another snapshot they may be wrong.
   * @throws Fault `conflict` when `metadata` is at another snapshot
   */
  assertStill(base: LoadedTable, metadata: TableMetadata): void {
    if (metadata['current-snapshot-id'] !== base.metadata['current-snapshot-id']) {
      throw new Fault('conflict', `${this.name} was changed by somebody else meanwhile`)
    }
  }

  async #commitSnapshot(
    base: LoadedTable,
    { dataFiles, deleteFiles, ordered }: Additions,
    end: number,
  ): Promise<bigint> {
    const { catalog, io, clock } = this.#parts
    const commitId = uuidv7(clock.nowMs())
    const { table } = await commitChange(catalog, this.#definition.ident, {
      commitId,
      clock,
      plan: async ({ metadata }) => {
        this.assertStill(base, metadata)
        const summary = { [SUMMARY.offset]: String(end), [SUMMARY.commitId]: commitId, [SUMMARY.log]: this.#logName }
        return planSnapshot(io, metadata, {
          dataFiles,
          deleteFiles,
          removedPaths: new Set(),
          sameRows: false,
          mergeCount: this.bounds.manifestsMergeCount,
          nowMs: clock.nowMs(),
          summary,
          ...this.#tombstones(metadata, ordered),
          ...(this.#facts === undefined ? {} : { facts: this.#facts(end, metadata.properties) }),
        })
      },
    })
    return committedSnapshot(table.metadata, commitId)
  }

  /** How the snapshot's tombstones are written, when they are others than before or the table has lost their file. */
  #tombstones(metadata: TableMetadata, ordered: Ordered | null): Pick<SnapshotPlan, 'statistics'> {
    if (ordered === null || ordered.tombstones === 0) return {}
    if (ordered.buried === 0 && tombstonesOf(metadata, metadata['current-snapshot-id']) !== null) return {}
    const { session, io, clock } = this.#parts
    const rows = ordered.buried > 0 ? 'tombs' : must(this.#index, 'the index of a keyed table').index.name('tombstones')
    const { fields } = currentSchema(metadata)
    const key = fields.filter(({ name }) => this.#definition.key.includes(name)).map(({ id }) => id)
    return {
      statistics: (snapshotId, sequenceNumber) =>
        writeTombstones(session, io, {
          rows,
          count: ordered.tombstones,
          fields: key,
          metadata,
          snapshotId,
          sequenceNumber,
          nowMs: clock.nowMs(),
        }),
    }
  }
}

/** The snapshot that a commit made. Not simply the current one: others may have committed since, and it may be found later. */
export function committedSnapshot(metadata: TableMetadata, commitId: string): bigint {
  return must(findCommit(metadata, commitId), 'the snapshot just committed')['snapshot-id']
}

/**
 * The offset up to which entries of a log were committed, whatever became of them: that of the newest snapshot of the log in the
 * current one's ancestry, or the table property of the log if that is greater. A table may have followed another log before. The
 * property tells it when others expired our snapshots beneath theirs, and when the table was rolled back: what was undone stays
 * so, also after a restart.
 */
export function committedOffset(metadata: TableMetadata, logName: string): number {
  const property = metadata.properties[offsetProperty(logName)] ?? ''
  return Math.max(ancestryOffset(metadata, logName), /^\d{1,15}$/.test(property) ? Number(property) : 0)
}

function ancestryOffset(metadata: TableMetadata, logName: string): number {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot['snapshot-id'], snapshot]))
  let id = metadata['current-snapshot-id']
  for (let steps = 0; id !== undefined && steps <= metadata.snapshots.length; steps++) {
    const snapshot = byId.get(id)
    if (snapshot === undefined) break
    const offset = snapshot.summary[SUMMARY.offset]
    if (offset !== undefined && (snapshot.summary[SUMMARY.log] ?? logName) === logName) return Number(offset)
    id = snapshot['parent-snapshot-id']
  }
  return 0
}

function sum(files: readonly DataFile[]): number {
  return files.reduce((total, file) => total + file.recordCount, 0)
}
