/**
 * The DuckDB in which a statement of a user runs: fresh, in memory, made for the one statement, locked before any text of
 * the user reaches it.
 *
 * Invariant: once locked, it can open the planned files and nothing else, change no setting, load nothing. What the
 * statement may say is checked before (`check.ts`); the lock stands behind that check, not in its place.
 * Opening takes about 25 ms; a crash loses nothing, since nothing is kept in it.
 */
import { Fault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { DAMAGED_PARQUET, Duck, type DuckOptions, type DuckSession, ident, listLiteral } from '../duck/duck.ts'
import { type RowStream, streamRows } from '../duck/stream.ts'
import { guardStatements } from './guards.ts'
import { macroStatements } from './macros.ts'

export class LockedDuck {
  readonly #duck: Duck
  /** For the internal statements before the lock: views, tables of metadata. */
  readonly session: DuckSession

  private constructor(duck: Duck, session: DuckSession) {
    this.#duck = duck
    this.session = session
  }

  static async open(options: DuckOptions): Promise<LockedDuck> {
    const duck = await Duck.open(options)
    try {
      const session = await duck.connect()
      // DuckDB would spill to a folder under the current one when none is given.
      const spill =
        options.spillDir === undefined
          ? "SET temp_directory = ''"
          : `SET max_temp_directory_size = '${limits.querySpillMiB}MiB'`
      await session.run(`SET enable_progress_bar = false; ${spill}`)
      return new LockedDuck(duck, session)
    } catch (error) {
      duck.close()
      throw error
    }
  }

  /** Makes the functions of ours among the named ones, which the statement calls. */
  async defineFunctions(names: ReadonlySet<string>): Promise<void> {
    const statements = [...macroStatements(names), ...guardStatements(names)]
    if (statements.length > 0) await this.session.run(statements.join('; '))
  }

  /** A view `"schema"."name"` that the statement will see. */
  async defineView(schema: string, name: string, columns: readonly string[], sql: string): Promise<void> {
    const list = columns.length === 0 ? '' : ` (${columns.map(ident).join(', ')})`
    await this.session.run(
      `CREATE SCHEMA IF NOT EXISTS ${ident(schema)}; CREATE VIEW ${ident(schema)}.${ident(name)}${list} AS ${sql}`,
    )
  }

  /** From here on nothing but `paths` can be opened and no setting can be changed. */
  async lock(paths: readonly string[]): Promise<void> {
    await this.session.run(
      `SET allowed_paths = ${listLiteral([...new Set(paths)])}; ` +
        'SET allow_community_extensions = false; SET enable_external_access = false; SET lock_configuration = true',
    )
  }

  /** Runs a statement of a user and streams its result. */
  async stream(sql: string): Promise<RowStream> {
    return streamRows(this.session, sql)
  }

  interrupt(): void {
    this.session.interrupt()
  }

  close(): void {
    this.session.close()
    this.#duck.close()
  }
}

/** Schemas that `references.ts` and `compile.ts` put before names; a message is about what the user wrote. */
const INTERNAL_SCHEMA = /"?[~@]\d+"?\./g

/** An error of DuckDB while a user's statement is read or run, as a fault. */
export function statementFault(error: unknown): Fault {
  // The sessions' faults have DuckDB's own words; those of reading tables have ours and stay as they are.
  if (error instanceof Fault) return error.message === messageOf(error.cause) ? statementFault(error.cause) : error
  const message = messageOf(error).replaceAll(INTERNAL_SCHEMA, '')
  if (/^INTERRUPT/.test(message)) return new Fault('cancelled', 'the statement was stopped', {}, error)
  if (/^Out of Memory/i.test(message)) {
    return new Fault('limit', `the statement needs more memory than it may use: ${message}`, {}, error)
  }
  if (/^Permission Error|configuration has been locked/i.test(message)) {
    return new Fault('unsupported', 'SQL reads tables of the catalog only: no files, settings or extensions', {}, error)
  }
  if (DAMAGED_PARQUET.test(message)) {
    return new Fault('corrupt', `a file of a table is damaged; tidewater doctor finds which: ${message}`, {}, error)
  }
  if (/^(IO|HTTP) Error/i.test(message)) return new Fault('unavailable', message, {}, error)
  if (/^INTERNAL/i.test(message)) {
    return new Fault('unsupported', 'DuckDB failed inside on this statement; write it in another way', {}, error)
  }
  return new Fault('invalid', message, {}, error)
}
