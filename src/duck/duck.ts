/**
 * The only door to DuckDB: open, run, read rows, interrupt.
 *
 * One process opens one working instance (an index file attached by two instances would not be refused and would be
 * damaged); queries by users run in a second, locked instance without files of its own. Statements on one connection
 * run one after another; two connections run side by side. Nothing is ever downloaded: extensions are off.
 */
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from '@duckdb/node-api'
import { Fault, messageOf } from '../base/fault.ts'

export interface DuckOptions {
  /** Bound of DuckDB's own buffers. The process needs about 300 MiB more. */
  memoryMiB: number
  threads: number
  /** Folder for spilled data; created when first needed. Absent: no spilling. */
  spillDir?: string
}

/** A row as DuckDB gives it: BIGINT and wider as bigint, DECIMAL, DATE, TIMESTAMP, LIST, … as node-api value objects. */
export type DuckRow = Record<string, DuckDBValue>

export class Duck {
  readonly #instance: DuckDBInstance

  private constructor(instance: DuckDBInstance) {
    this.#instance = instance
  }

  /** An in-memory instance. Time zone UTC, insertion order kept, no extension loading. */
  static async open(options: DuckOptions): Promise<Duck> {
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: `${options.memoryMiB}MiB`,
      threads: String(options.threads),
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      // Pages of files that are long gone would fill the bound before they leave; the system keeps pages of local files as well.
      enable_external_file_cache: 'false',
      // Without a word here DuckDB would spill into the working directory.
      temp_directory: options.spillDir ?? '',
    })
    const duck = new Duck(instance)
    const connection = await duck.connect()
    await connection.run("SET GLOBAL TimeZone = 'UTC'")
    connection.close()
    return duck
  }

  async connect(): Promise<DuckSession> {
    return new DuckSession(await this.#instance.connect())
  }

  close(): void {
    this.#instance.closeSync()
  }
}

/** One connection. Statements given at the same time are run in the order given. */
export class DuckSession {
  readonly #connection: DuckDBConnection
  #last: Promise<unknown> = Promise.resolve()

  constructor(connection: DuckDBConnection) {
    this.#connection = connection
  }

  /** The connection itself, for what this door does not wrap (prepared statements, appender, result pages). */
  get raw(): DuckDBConnection {
    return this.#connection
  }

  /** Runs one statement for its effect. @throws Fault `unavailable`, `limit`, `invalid` by DuckDB's error class */
  async run(sql: string, params: DuckDBValue[] = []): Promise<void> {
    await this.#inOrder(async () => {
      await this.#connection.run(sql, params)
    })
  }

  /** Runs one statement and returns all of its rows: for small results only. */
  async rows(sql: string, params: DuckDBValue[] = []): Promise<DuckRow[]> {
    return this.#inOrder(async () => (await this.#connection.runAndReadAll(sql, params)).getRowObjects())
  }

  /**
   * Runs one statement and gives its rows in pages of up to 2,048, as they are made: memory is bounded by a page.
   * Nothing else may run on this connection until the iteration ends.
   */
  async *pages(sql: string): AsyncGenerator<DuckRow[]> {
    const result = await this.#inOrder(() => this.#connection.stream(sql))
    try {
      yield* result.yieldRowObjects()
    } catch (error) {
      throw duckFault(error)
    }
  }

  /** The first row's first column, or undefined when there is none. */
  async value(sql: string, params: DuckDBValue[] = []): Promise<DuckDBValue | undefined> {
    const row = (await this.rows(sql, params))[0]
    return row === undefined ? undefined : Object.values(row)[0]
  }

  /** Runs `work` between BEGIN and COMMIT; rolls back when it throws. */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    await this.run('BEGIN')
    try {
      const result = await work()
      await this.run('COMMIT')
      return result
    } catch (error) {
      await this.run('ROLLBACK').catch(() => undefined)
      throw error
    }
  }

  /** Drops tables that were made along the way. Where that fails (a closed session, an aborted transaction) they are gone already. */
  async dropTables(names: readonly string[]): Promise<void> {
    for (const name of names) await this.run(`DROP TABLE IF EXISTS ${name}`).catch(() => undefined)
  }

  /** Stops the running statement; it fails with fault `cancelled`. */
  interrupt(): void {
    this.#connection.interrupt()
  }

  close(): void {
    this.#connection.closeSync()
  }

  async #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work)
    this.#last = turn.catch(() => undefined)
    try {
      return await turn
    } catch (error) {
      throw duckFault(error)
    }
  }
}

/**
 * What DuckDB says of a file that is no Parquet file, is cut off, or has bytes changed in its footer or pages. From the beginning of
 * the message: further on it may repeat a value.
 */
export const DAMAGED_PARQUET = new RegExp(
  `^(?:Invalid Input|Invalid|IO) Error: (?:${[
    'No magic bytes found',
    "File '[^']*' too small to be a Parquet file",
    'Footer length error',
    'Failed to read file "[^"]*"',
    'Could not read enough bytes from file',
    'Invalid string encoding found in Parquet file',
    'TProtocolException',
    "don't know what type",
    'invalid TType',
    'Out of buffer',
    'Prefetch registered for bytes outside file',
    '\\w+ decompression fail',
  ].join('|')})`,
  'i',
)

function duckFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  const message = messageOf(error)
  if (/^INTERRUPT/.test(message)) return new Fault('cancelled', 'the statement was interrupted', {}, error)
  if (/^Out of Memory|memory limit|max_temp_directory_size/i.test(message))
    return new Fault('limit', message, {}, error)
  if (DAMAGED_PARQUET.test(message)) return new Fault('corrupt', message, {}, error)
  if (/^IO Error|No space left/i.test(message)) return new Fault('unavailable', message, {}, error)
  return new Fault('invalid', message, {}, error)
}

/** A name as a quoted SQL identifier. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text as a SQL string literal. NUL cannot be written in SQL text. @throws Fault `invalid` */
export function literal(text: string): string {
  if (text.includes('\0')) throw new Fault('invalid', 'a text with a NUL character cannot be part of a statement')
  return `'${text.replaceAll("'", "''")}'`
}

/** Texts as a SQL list literal: `['a', 'b']`. */
export function listLiteral(texts: readonly string[]): string {
  return `[${texts.map(literal).join(', ')}]`
}
