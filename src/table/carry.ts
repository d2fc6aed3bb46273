/**
 * Rows of data files under rewrite that are deleted while it goes on, carried over to the files that take their place.
 *
 * The new files hold the rows that were live when the rewrite was planned. Whatever was deleted since, by whomever, is found among
 * the delete files that have come, and its row in the new files by its key where keys are unique in them, else by all of its columns:
 * of rows that are equal in everything any may go. It is then marked there by position deletes, for the same commit.
 *
 * Invariant: after `to(metadata)` has given `kept`, new files and `deleteFiles` together hold exactly the rows of the old files that
 * are live in the current snapshot of `metadata`.
 * Crash story: its files are orphans until the commit that names them.
 */
import { assert, must } from '../base/assert.ts'
import { type DuckSession, ident, listLiteral } from '../duck/duck.ts'
import { writePositionDeletes } from '../iceberg/file/delete-writer.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { duckNames } from '../iceberg/file/parquet-types.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import { scanRelation } from '../iceberg/scan/relation.ts'
import type { ScanPlan, ScanTask } from '../iceberg/scan/scan.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'
import type { TableMetadata } from '../iceberg/spec/table-metadata.ts'
import { keyHash } from './transport.ts'

/** `lost`: what was planned cannot be committed on the table as it is now, whatever is tried. */
export type Rebased = { kind: 'kept' } | { kind: 'lost' }

export const KEPT: Rebased = { kind: 'kept' }
export const LOST: Rebased = { kind: 'lost' }

export interface CarryOptions {
  /** Temporary tables `carry_…` are made in it. */
  session: DuckSession
  io: FileIO
  /** Columns that identify a row; empty: none do. */
  key: readonly string[]
  /** The table as the rewrite was planned. */
  base: TableMetadata
  plan: ScanPlan
  /** Planned files whose live rows are in `dataFiles`. */
  rewrite: readonly ScanTask[]
  dataFiles: readonly DataFile[]
  nowMs: number
}

const TABLES = ['carry_files', 'carry_marked', 'carry_rows', 'carry_fresh', 'carry_gone', 'carry_found']

export class Carry {
  readonly #options: CarryOptions
  /** Delete files about the old files that are taken into account. */
  #seen: ReadonlySet<string>
  #at: bigint | undefined
  /** Columns that tell rows apart; null: the tables that carry rows are not made yet. */
  #columns: readonly string[] | null = null
  /** Marks rows of the new files. */
  readonly deleteFiles: DataFile[] = []

  constructor(options: CarryOptions) {
    this.#options = options
    this.#at = options.base['current-snapshot-id']
    this.#seen = deletesOf(options.rewrite)
  }

  /** Carries over what was deleted until the current snapshot of `metadata`. @throws Fault */
  async to(metadata: TableMetadata): Promise<Rebased> {
    const { io, rewrite, base } = this.#options
    if (metadata['table-uuid'] !== base['table-uuid']) return LOST
    const current = metadata['current-snapshot-id']
    if (current === this.#at) return KEPT
    const plan = await planScan(io, metadata)
    const now = new Map(plan.tasks.map((task) => [task.file.filePath, task]))
    const tasks = rewrite.map((task) => now.get(task.file.filePath))
    if (!tasks.every((task) => task !== undefined)) return LOST
    const deletes = deletesOf(tasks)
    const came = [...deletes].filter((path) => !this.#seen.has(path))
    const left = [...this.#seen].filter((path) => !deletes.has(path))
    if (came.length + left.length > 0) this.#columns ??= await this.#begin()
    if (left.length > 0 && (await this.#revived(deletes))) return LOST
    if (came.length > 0) await this.#carry(metadata, came)
    this.#at = current
    this.#seen = deletes
    return KEPT
  }

  async close(): Promise<void> {
    await this.#options.session.dropTables(TABLES.map((name) => `temp.${name}`))
  }

  /** The old files by number, which of their rows were marked from the start, and the rows of the new files. */
  async #begin(): Promise<readonly string[]> {
    const { session, rewrite, plan, key } = this.#options
    await session.run('CREATE OR REPLACE TEMP TABLE carry_files (file INTEGER, path VARCHAR)')
    const paths = listLiteral(rewrite.map((task) => task.file.filePath))
    await session.run(
      `INSERT INTO carry_files SELECT unnest(range(len(p)))::INTEGER, unnest(p) FROM (SELECT ${paths} AS p)`,
    )
    const marked = await this.#marks([...this.#seen])
    await session.run(`CREATE OR REPLACE TEMP TABLE carry_marked AS ${marked}`)
    if (key.length > 0 && (await this.#identify(key))) return key
    const all = duckNames(plan.schema)
    await this.#identify(all)
    return all
  }

  /** Makes `carry_rows` of the new files. Whether no two rows have the same identity. */
  async #identify(columns: readonly string[]): Promise<boolean> {
    const { session, io, plan, dataFiles } = this.#options
    const tasks = dataFiles.map((file): ScanTask => ({ file, sequenceNumber: 0, deletes: [] }))
    const { sql } = await scanRelation(
      session,
      io,
      { ...plan, tasks },
      { columns, withPosition: true, fileIds: numbered(tasks) },
    )
    await session.run(
      `CREATE OR REPLACE TEMP TABLE carry_rows AS SELECT ${this.#identity(columns)} AS id, _file AS file, _pos AS pos FROM (${sql})`,
    )
    return (await session.value('SELECT count(*) = count(DISTINCT id) FROM carry_rows')) === true
  }

  #identity(columns: readonly string[]): string {
    if (columns === this.#options.key) return keyHash(columns, ident)
    const parts = columns.map((name) => {
      const text = `CAST(${ident(name)} AS VARCHAR)`
      return `CASE WHEN ${ident(name)} IS NULL THEN 'null' ELSE concat(length(${text}), ':', ${text}) END`
    })
    return `md5_number(concat(${parts.join(', ')}))`
  }

  /** The relation (file, pos) of the rows of the old files that delete files mark, each once. */
  async #marks(deletePaths: readonly string[]): Promise<string> {
    if (deletePaths.length === 0) return 'SELECT NULL::INTEGER AS file, NULL::BIGINT AS pos WHERE false'
    const local = await Promise.all(deletePaths.map((path) => this.#options.io.localFile(path)))
    return `SELECT DISTINCT f.file, d.pos FROM read_parquet(${listLiteral(local)}) d JOIN carry_files f ON f.path = d.file_path`
  }

  /** Whether rows that were marked are not any more. */
  async #revived(deletes: ReadonlySet<string>): Promise<boolean> {
    const now = await this.#marks([...deletes])
    const { session } = this.#options
    return Number(await session.value(`SELECT count(*) FROM (SELECT * FROM carry_marked EXCEPT ${now})`)) > 0
  }

  async #carry(metadata: TableMetadata, came: readonly string[]): Promise<void> {
    const { session, io, plan, rewrite, dataFiles, nowMs } = this.#options
    const columns = must(this.#columns, 'the columns that tell rows apart')
    await session.run(
      `CREATE OR REPLACE TEMP TABLE carry_fresh AS ${await this.#marks(came)} EXCEPT SELECT file, pos FROM carry_marked`,
    )
    await session.run('INSERT INTO carry_marked SELECT file, pos FROM carry_fresh')
    const { sql } = await scanRelation(
      session,
      io,
      { ...plan, tasks: [...rewrite] },
      { columns, withPosition: true, fileIds: numbered(rewrite) },
    )
    await session.run(`CREATE OR REPLACE TEMP TABLE carry_gone AS SELECT id, row_number() OVER (PARTITION BY id) AS nth FROM (
      SELECT ${this.#identity(columns)} AS id FROM (${sql}) s SEMI JOIN carry_fresh x ON x.file = s._file AND x.pos = s._pos)`)
    await session.run(`CREATE OR REPLACE TEMP TABLE carry_found AS SELECT r.file, r.pos FROM (
      SELECT r.*, row_number() OVER (PARTITION BY id ORDER BY file, pos) AS nth FROM carry_rows r SEMI JOIN carry_gone g ON g.id = r.id) r
      JOIN carry_gone g ON g.id = r.id AND g.nth = r.nth`)
    const [counts] = await session.rows(
      'SELECT (SELECT count(*) FROM carry_gone) AS gone, (SELECT count(*) FROM carry_found) AS found',
    )
    assert(counts?.['gone'] === counts?.['found'], 'every row that was deleted meanwhile is in the new files once')
    await session.run('DELETE FROM carry_rows WHERE (file, pos) IN (SELECT file, pos FROM carry_found)')
    const files = await writePositionDeletes(session, io, {
      relationSql: 'SELECT file, pos FROM carry_found',
      fileIds: new Map(dataFiles.map((file, at) => [at, file.filePath])),
      dataFiles: new Map(dataFiles.map((file) => [file.filePath, file])),
      schema: plan.schema,
      specs: metadata['partition-specs'],
      location: metadata.location,
      nowMs,
    })
    this.deleteFiles.push(...files)
  }
}

function deletesOf(tasks: readonly ScanTask[]): Set<string> {
  return new Set(tasks.flatMap((task) => task.deletes.map((file) => file.filePath)))
}

/** As in `carry_files`: by their place. */
function numbered(tasks: readonly ScanTask[]): ReadonlyMap<string, number> {
  return new Map(tasks.map((task, at) => [task.file.filePath, at]))
}
