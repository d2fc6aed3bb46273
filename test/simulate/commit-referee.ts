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

  async checkFiles(metadata: TableMetadata): Promise<Set<string>> {
    const io = this.#io()
    const files = await reachableFiles(io, metadata, metadata.snapshots)
    for (const entry of metadata['metadata-log']) files.add(entry['metadata-file'])
    for (const file of files) assert.ok(await io.exists(file), `${file} is gone, and a live snapshot needs it`)
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
