/** Looks at every snapshot the moment it becomes visible, with parts that never fail, and compares it with the model. */
import assert from 'node:assert/strict'
import type { DuckSession } from '../../src/duck/duck.ts'
import type { LoadedTable } from '../../src/iceberg/catalog/catalog.ts'
import type { FileIO } from '../../src/iceberg/file/file.ts'
import { planScan } from '../../src/iceberg/scan/plan.ts'
import { scanRelation } from '../../src/iceberg/scan/relation.ts'
import { parseMetadata } from '../../src/iceberg/spec/metadata-json.ts'
import type { TableMetadata } from '../../src/iceberg/spec/table-metadata.ts'
import { compareIndex, type IndexContext } from '../../src/table/index-upkeep.ts'
import { reachableFiles } from '../../src/table/reachable.ts'
import { SUMMARY } from '../../src/table/table.ts'
import { asText, type Effect, type Model, type Row } from './commit-model.ts'

export class Referee {
  readonly #model: Model
  readonly #session: DuckSession
  /** Without a cache: what is gone is gone. */
  readonly #io: () => FileIO
  /** Set by whoever is not the writer, for the commit it is about to make. */
  effect: Effect | null = null
  /** Kept: code under test may take it for a fault and go on. */
  failure: unknown = null
  /** Of each snapshot, by its manifest list: what it reaches never changes. */
  readonly #reachedBy = new Map<string, Set<string>>()

  constructor(model: Model, session: DuckSession, io: () => FileIO) {
    this.#model = model
    this.#session = session
    this.#io = io
  }

  /** A metadata file has become the table's. */
  async seeMetadata(location: string): Promise<void> {
    try {
      const metadata = parseMetadata(new TextDecoder().decode(await this.#io().read(location)), location)
      for (const snapshot of metadata.snapshots) {
        const id = snapshot['snapshot-id']
        if (this.#model.has(id)) continue
        const offset = snapshot.summary[SUMMARY.offset]
        this.#model.see(
          {
            id,
            parent: snapshot['parent-snapshot-id'] ?? null,
            operation: snapshot.summary.operation,
            offset: offset === undefined ? null : Number(offset),
          },
          this.effect,
        )
        await this.#compare(metadata, id)
      }
    } catch (error) {
      this.failure ??= error
      throw error
    }
  }

  /** Every live snapshot reads as the model says, and every file that any of them needs is there. */
  async checkAll({ metadata }: LoadedTable): Promise<void> {
    for (const snapshot of metadata.snapshots) await this.#compare(metadata, snapshot['snapshot-id'])
    await this.checkFiles(metadata)
  }

  /** Every file that a live snapshot needs is there. Gives them. */
  async checkFiles(metadata: TableMetadata): Promise<Set<string>> {
    const files = await this.#reached(metadata)
    const there = new Set<string>()
    for await (const { location } of this.#io().list(metadata.location)) there.add(location)
    for (const file of files) assert.ok(there.has(file), `${file} is gone, and a live snapshot needs it`)
    return files
  }

  /** Files that nothing reaches and that have been there since before `sinceMs`, if not since before the table. */
  async leftOver(table: LoadedTable, sinceMs: number): Promise<string[]> {
    const { metadata } = table
    const reached = await this.#reached(metadata)
    reached.add(table.metadataLocation)
    const madeMs = Number.parseInt(metadata['table-uuid'].replaceAll('-', '').slice(0, 12), 16)
    const files: string[] = []
    for await (const { location, lastModifiedMs } of this.#io().list(metadata.location))
      if (!reached.has(location) && lastModifiedMs < sinceMs && lastModifiedMs >= madeMs) files.push(location)
    return files
  }

  async #reached(metadata: TableMetadata): Promise<Set<string>> {
    const files = new Set<string>()
    for (const snapshot of metadata.snapshots) {
      const list = snapshot['manifest-list']
      const known = this.#reachedBy.get(list) ?? (await reachableFiles(this.#io(), metadata, [snapshot]))
      this.#reachedBy.set(list, known)
      for (const file of known) files.add(file)
    }
    for (const entry of metadata['metadata-log']) files.add(entry['metadata-file'])
    return files
  }

  async checkIndex(context: IndexContext, table: LoadedTable): Promise<void> {
    if (context.index.snapshotId !== (table.metadata['current-snapshot-id'] ?? null)) return
    const difference = await compareIndex({ ...context, io: this.#io() }, table)
    assert.deepEqual(
      difference,
      { missing: 0, extra: 0 },
      'the row index differs from the table that it says to describe',
    )
  }

  async #compare(metadata: TableMetadata, snapshotId: bigint): Promise<void> {
    const rows = await this.rows(metadata, snapshotId)
    assert.deepEqual(asText(rows), asText(this.#model.rowsAt(snapshotId)), `snapshot ${snapshotId}`)
  }

  async rows(metadata: TableMetadata, snapshotId: bigint): Promise<Row[]> {
    const io = this.#io()
    const plan = await planScan(io, metadata, { snapshotId })
    const { sql } = await scanRelation(this.#session, io, plan)
    return (await this.#session.rows(`SELECT * FROM (${sql})`)).map((row) => ({
      k: String(row['k']),
      n: row['n'] == null ? null : Number(row['n']),
      part: row['part'] == null ? null : String(row['part']),
      x: row['x'] == null ? null : String(row['x']),
    }))
  }
}
