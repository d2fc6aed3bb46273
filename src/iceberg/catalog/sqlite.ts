/**
 * A catalog in a SQLite file, in the layout that PyIceberg's SqlCatalog and Java's JdbcCatalog share, so that those
 * engines open the same file at the same time.
 *
 * The journal mode stays what it is (SQLite's default unless somebody changed it): engines on other machines or with
 * other drivers must be able to open the file. `synchronous = EXTRA` makes a commit durable before it is acknowledged:
 * in journal mode DELETE, plain FULL leaves the end of the journal, which is the commit, to the next sync of the folder.
 */

import { type Clock, systemClock } from '../../base/clock.ts'
import { Fault, messageOf } from '../../base/fault.ts'
import { DatabaseSync } from '../../base/sqlite.ts'
import type { FileIO } from '../file/file.ts'
import type { Catalog } from './catalog.ts'
import { PointerCatalog } from './pointer-catalog.ts'
import type { RowName, Rows } from './rows.ts'
import { createLayoutSql, hasLayout, hasTypeColumn } from './sqlite-layout.ts'
import { sqliteWaitMs, statement, transaction } from './sqlite-statement.ts'

export interface SqliteCatalogOptions {
  /** The file; created when it is missing. Its folder must be there. */
  path: string
  /** `catalog_name` of the rows: engines that use another name see none of the tables. */
  name: string
  /** URI under which tables without a location of their own are created. */
  warehouse: string
  io: FileIO
  clock?: Clock
  /** How long to wait for a file locked by another process. Default `limits.catalogBusyMs`. */
  busyMs?: number
  /** How long a metadata file that left the log stays after it was replaced. Default `limits.metadataGraceMs`. */
  metadataGraceMs?: number
}

/** @throws Fault `unavailable` (cannot be opened, locked too long), `corrupt` (another kind of file) */
export async function openSqliteCatalog(options: SqliteCatalogOptions): Promise<Catalog> {
  const { path, name, warehouse, io, clock = systemClock } = options
  let database: DatabaseSync
  try {
    database = new DatabaseSync(path, { timeout: sqliteWaitMs })
  } catch (error) {
    throw new Fault('unavailable', `cannot open the catalog file ${path}: ${messageOf(error)}`, { path }, error)
  }
  const rows = new SqliteRows(database, options)
  try {
    await rows.prepare()
  } catch (error) {
    await rows.close()
    throw error
  }
  return new PointerCatalog({ name, warehouse, io, clock, rows, metadataGraceMs: options.metadataGraceMs })
}

class SqliteRows implements Rows {
  readonly #database: DatabaseSync
  readonly #options: SqliteCatalogOptions

  constructor(database: DatabaseSync, options: SqliteCatalogOptions) {
    this.#database = database
    this.#options = options
  }

  /** Creates the tables if they are missing. */
  async prepare(): Promise<void> {
    await this.#run('reads', (database) => database.exec('PRAGMA synchronous = EXTRA'))
    if (await this.#run('reads', hasLayout)) return
    await this.#run('writes', (database) => transaction(database, () => database.exec(createLayoutSql)))
  }

  async namespaces(): Promise<string[]> {
    const sql = `SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = ?1
      UNION SELECT table_namespace FROM iceberg_tables WHERE catalog_name = ?1`
    const rows = await this.#run('reads', (database) => database.prepare(sql).all(this.#options.name))
    return rows.map((row) => String(row['namespace']))
  }

  async insertNamespace(namespace: string, properties: Record<string, string>): Promise<void> {
    const { name } = this.#options
    await this.#run('writes', (database) =>
      transaction(database, () => {
        const known = database
          .prepare('SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ? LIMIT 1')
          .get(name, namespace)
        if (known) return
        const insert = database.prepare('INSERT INTO iceberg_namespace_properties VALUES (?, ?, ?, ?)')
        for (const [key, value] of Object.entries({ ...properties, exists: 'true' })) {
          insert.run(name, namespace, key, value)
        }
      }),
    )
  }

  deleteNamespace(namespace: string): Promise<'deleted' | 'missing' | 'in-use'> {
    const { name } = this.#options
    const below = `${namespace}.`
    return this.#run('writes', (database) =>
      transaction(database, () => {
        const inside = database
          .prepare(
            `SELECT 1 FROM iceberg_tables WHERE catalog_name = ?1 AND (table_namespace = ?2 OR substr(table_namespace, 1, length(?3)) = ?3)
             UNION ALL SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND substr(namespace, 1, length(?3)) = ?3 LIMIT 1`,
          )
          .get(name, namespace, below)
        if (inside !== undefined) return 'in-use'
        const { changes } = database
          .prepare('DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?')
          .run(name, namespace)
        return changes === 0 ? 'missing' : 'deleted'
      }),
    )
  }

  async tables(namespace: string): Promise<string[]> {
    const rows = await this.#run('reads', (database) => {
      const only = hasTypeColumn(database) ? "AND (iceberg_type IS NULL OR iceberg_type = 'TABLE')" : ''
      const sql = `SELECT table_name FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? ${only}`
      return database.prepare(sql).all(this.#options.name, namespace)
    })
    return rows.map((row) => String(row['table_name']))
  }

  async get(namespace: string, name: string): Promise<string | null> {
    const sql = 'SELECT * FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?'
    const row = await this.#run('reads', (database) => database.prepare(sql).get(this.#options.name, namespace, name))
    if (row === undefined || row['iceberg_type'] === 'VIEW') return null
    const location = row['metadata_location']
    if (typeof location === 'string' && location !== '') return location
    throw new Fault('corrupt', `the row of table ${namespace}.${name} in ${this.#options.path} names no metadata file`)
  }

  async insert(namespace: string, name: string, location: string): Promise<boolean> {
    const changed = await this.#change((database) => {
      const typed = hasTypeColumn(database)
      return database
        .prepare(
          `INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location${typed ? ', iceberg_type' : ''})
           VALUES (?, ?, ?, ?${typed ? ", 'TABLE'" : ''}) ON CONFLICT DO NOTHING`,
        )
        .run(this.#options.name, namespace, name, location)
    })
    return changed === 1
  }

  async swap(namespace: string, name: string, from: string, to: string): Promise<boolean> {
    const sql = `UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?
      WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND metadata_location = ?`
    const changed = await this.#change((database) =>
      database.prepare(sql).run(to, from, this.#options.name, namespace, name, from),
    )
    return changed === 1
  }

  async delete(namespace: string, name: string): Promise<boolean> {
    const changed = await this.#change((database) => {
      const only = hasTypeColumn(database) ? "AND (iceberg_type IS NULL OR iceberg_type = 'TABLE')" : ''
      const sql = `DELETE FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? ${only}`
      return database.prepare(sql).run(this.#options.name, namespace, name)
    })
    return changed === 1
  }

  async rename(from: RowName, to: RowName): Promise<'renamed' | 'missing' | 'taken'> {
    if ((await this.get(from.namespace, from.name)) === null) return 'missing'
    if (from.namespace === to.namespace && from.name === to.name) return 'renamed'
    // OR IGNORE: the primary key refuses a name that is taken, by a table or a view.
    const sql = `UPDATE OR IGNORE iceberg_tables SET table_namespace = ?, table_name = ?
      WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?`
    const changed = await this.#change((database) =>
      database.prepare(sql).run(to.namespace, to.name, this.#options.name, from.namespace, from.name),
    )
    if (changed === 1) return 'renamed'
    return (await this.get(from.namespace, from.name)) === null ? 'missing' : 'taken'
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close()
  }

  /** One writing statement; how many rows it changed. */
  async #change(work: (database: DatabaseSync) => { changes: number | bigint }): Promise<number> {
    return Number((await this.#run('writes', work)).changes)
  }

  #run<T>(mode: 'reads' | 'writes', work: (database: DatabaseSync) => T): Promise<T> {
    const { path, clock = systemClock, busyMs } = this.#options
    const options = { database: this.#database, path, clock, writes: mode === 'writes' }
    return statement(busyMs === undefined ? options : { ...options, busyMs }, work)
  }
}
