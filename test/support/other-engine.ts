/** Another engine at work on a table of a bench: appends, deletes by position, rewrites, rolls back; each is one commit. */
import { isFault } from '../../src/base/fault.ts'
import { evolveSchema } from '../../src/iceberg/action/evolve-schema.ts'
import { rollbackToSnapshot } from '../../src/iceberg/action/set-ref.ts'
import type { LoadedTable, TableIdent } from '../../src/iceberg/catalog/catalog.ts'
import { commitChange } from '../../src/iceberg/catalog/commit.ts'
import { writeDataFiles } from '../../src/iceberg/file/data-writer.ts'
import { writePositionDeletes } from '../../src/iceberg/file/delete-writer.ts'
import { planScan } from '../../src/iceberg/scan/plan.ts'
import { scanRelation } from '../../src/iceberg/scan/relation.ts'
import type { DataFile } from '../../src/iceberg/spec/manifest.ts'
import { currentSchema, currentSpec } from '../../src/iceberg/spec/schema.ts'
import { planSnapshot } from '../../src/table/snapshot-plan.ts'
import type { TableBench } from './table-bench.ts'

interface Files {
  dataFiles?: DataFile[]
  deleteFiles?: DataFile[]
  removedPaths?: Set<string>
}

export class OtherEngine {
  readonly #bench: TableBench
  readonly #ident: TableIdent

  /** Goes into the summary of its snapshots. */
  note: Record<string, string> = {}

  constructor(bench: TableBench, ident: TableIdent) {
    this.#bench = bench
    this.#ident = ident
  }

  load(): Promise<LoadedTable> {
    return this.#bench.catalog.load(this.#ident)
  }

  /** @param rowsSql a SELECT of all columns of the table */
  async append(rowsSql: string): Promise<void> {
    const dataFiles = await this.#write(await this.load(), rowsSql)
    await this.#commit(() => ({ dataFiles }))
  }

  /**
   * Deletes the rows for which `where` is true; it may use `_file` and `_pos`. `told` hears `select` of each before the commit.
   * @throws Fault `conflict` when somebody else was faster
   */
  async delete(where: string, select = '_file', told: (rows: string[]) => void = () => undefined): Promise<void> {
    const { io, clock, duck } = this.#bench
    const table = await this.load()
    const { metadata } = table
    const session = await duck.connect()
    try {
      const plan = await planScan(io, metadata)
      const { sql } = await scanRelation(session, io, plan, { withPosition: true })
      await session.run(`CREATE TEMP TABLE other_marked AS SELECT * FROM (${sql}) WHERE ${where}`)
      const said = await session.rows(`SELECT ${select} AS v FROM other_marked`)
      const deleteFiles = await writePositionDeletes(session, io, {
        relationSql: 'SELECT _file AS file_path, _pos AS pos FROM other_marked',
        dataFiles: new Map(plan.tasks.map((task) => [task.file.filePath, task.file])),
        schema: currentSchema(metadata),
        specs: metadata['partition-specs'],
        location: metadata.location,
        nowMs: clock.nowMs(),
      })
      told(said.map((row) => String(row['v'])))
      if (deleteFiles.length > 0) await this.#commit(() => ({ deleteFiles }), table)
    } finally {
      session.close()
    }
  }

  /** Rewrites data files of now as one, without their deleted rows: all, or those named. */
  async rewrite(paths?: readonly string[]): Promise<void> {
    const { io, duck } = this.#bench
    const table = await this.load()
    const whole = await planScan(io, table.metadata)
    const plan = { ...whole, tasks: whole.tasks.filter((task) => paths?.includes(task.file.filePath) ?? true) }
    const session = await duck.connect()
    const { sql } = await scanRelation(session, io, plan)
    const dataFiles = await this.#write(table, sql)
    session.close()
    await this.#commit(
      () => ({ dataFiles, removedPaths: new Set(plan.tasks.map((task) => task.file.filePath)) }),
      table,
    )
  }

  async rollback(snapshotId: bigint): Promise<void> {
    const table = await this.load()
    await this.#bench.catalog.commit(table, rollbackToSnapshot(table.metadata, snapshotId))
  }

  async addColumn(name: string): Promise<void> {
    const table = await this.load()
    await this.#bench.catalog.commit(table, evolveSchema(table.metadata, [{ edit: 'add', name, type: 'long' }]))
  }

  async #write({ metadata }: LoadedTable, relationSql: string): Promise<DataFile[]> {
    const { io, clock, duck } = this.#bench
    const session = await duck.connect()
    try {
      return await writeDataFiles(session, io, {
        relationSql,
        schema: currentSchema(metadata),
        spec: currentSpec(metadata),
        location: metadata.location,
        nowMs: clock.nowMs(),
      })
    } finally {
      session.close()
    }
  }

  /** On the table as it is at the swap; on `base` only, when the files depend on it. */
  async #commit(files: () => Files, base?: LoadedTable): Promise<void> {
    const { io, clock, catalog } = this.#bench
    const change = ({ metadata }: LoadedTable) => {
      const { dataFiles = [], deleteFiles = [], removedPaths } = files()
      return planSnapshot(io, metadata, {
        dataFiles,
        deleteFiles,
        removedPaths: removedPaths ?? new Set(),
        sameRows: removedPaths !== undefined,
        nowMs: clock.nowMs(),
        summary: this.note,
      })
    }
    try {
      if (base !== undefined) await catalog.commit(base, await change(base))
      else await commitChange(catalog, this.#ident, { commitId: 'of nobody', clock, plan: (table) => change(table) })
    } catch (error) {
      if (isFault(error, 'conflict')) {
        const { dataFiles = [], deleteFiles = [] } = files()
        await io.delete([...dataFiles, ...deleteFiles].map((file) => file.filePath))
      }
      throw error
    }
  }
}
