/**
 * Other Iceberg engines, as witnesses: a warm Spark, and PyIceberg, over one catalog.
 *
 * Both give rows as lines of canonical text (`engines/canonical.py`), so that rows compare as text between engines and
 * no number passes through a double on the way. The engines are installed once into `TIDEWATER_CACHE`, outside the clone.
 */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

const folder = join(import.meta.dirname, 'engines')

/** The first use on a machine downloads about 1 GB. */
const installMs = 25 * 60_000
const sparkStartMs = 180_000
const statementMs = 180_000
const closeMs = 30_000
const stderrKeptChars = 4_000
const outputBytesMax = 512 * 1024 * 1024

/** The rows of one result. */
export interface Rows {
  /** One line of canonical text per row, in the order in which the engine gave them. */
  readonly rows: readonly string[]
  /** SHA-256 (hex) of the lines sorted by their text, so that two engines' results compare whatever their order. */
  readonly sha256: string
}

/** What an engine answered instead of rows; the message is the engine's own, shortened. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
}

/** One warm Spark process. Statements run one after another, in the order in which they were given. */
export interface Spark {
  /**
   * Runs one statement; tables are named `namespace.table`. A statement without a result gives no rows.
   *
   * @param limitMs how long it may take, the wait for earlier statements included
   * @throws EngineError when Spark refuses the statement, does not answer in time (it is then ended), or has ended.
   */
  sql(statement: string, limitMs?: number): Promise<Rows>
  /** Ends Spark and waits until it has gone. */
  close(): Promise<void>
}

export interface SparkOptions {
  /** Where new tables go, as a URI; the folder `warehouse` beside the SQLite file unless given. */
  readonly warehouse?: string
  /** The value of `iceberg_tables.catalog_name`; `tidewater` unless given. Another name sees no tables. */
  readonly catalogName?: string
  /** Further properties of the catalog, as `s3.endpoint`; its files are on S3 then. */
  readonly properties?: Readonly<Record<string, string>>
}

/**
 * Starts Spark over a catalog and waits until it answers.
 *
 * @param catalog the path of a SQLite file (made if missing), or the URL of an Iceberg REST catalog
 */
export async function openSpark(catalog: string, options: SparkOptions = {}): Promise<Spark> {
  await installEngines()
  const environment: NodeJS.ProcessEnv = { ...process.env }
  if (options.warehouse !== undefined) environment['SPARK_WAREHOUSE'] = options.warehouse
  if (options.catalogName !== undefined) environment['TIDEWATER_CATALOG'] = options.catalogName
  if (options.properties !== undefined) environment['CATALOG_PROPERTIES'] = JSON.stringify(options.properties)
  // Its own process group: Spark is a shell, a Python and a Java process, and all of them must go.
  const child = spawn(join(folder, 'spark-sql.sh'), [catalog, '-'], {
    env: environment,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const spark = new SparkProcess(child)
  await spark.ask('select 1', sparkStartMs)
  return { sql: (statement, limitMs = statementMs) => spark.ask(statement, limitMs), close: () => spark.close() }
}

interface Waiting {
  readonly resolve: (rows: Rows) => void
  readonly reject: (error: EngineError) => void
  readonly timer: NodeJS.Timeout
}

class SparkProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #waiting: Waiting[] = []
  readonly #gone: Promise<void>
  #ended: string | undefined
  #stderr = ''

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#child = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrKeptChars)
    })
    child.stdin.on('error', () => {}) // a broken pipe is told by the end of the process
    createInterface({ input: child.stdout }).on('line', (line) => this.#answer(line))
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gone = promise
    const end = (how: string): void => {
      this.#ended ??= `${how}; the end of its log:\n${this.#stderr}`
      for (const waiting of this.#waiting.splice(0)) settle(waiting).reject(new EngineError(this.#ended))
      resolve()
    }
    child.on('error', (error) => end(`Spark could not be started: ${error.message}`))
    child.on('close', (code, signal) => end(`Spark has ended (${signal ?? `exit code ${code}`})`))
  }

  ask(statement: string, limitMs: number): Promise<Rows> {
    if (this.#ended !== undefined) return Promise.reject(new EngineError(this.#ended))
    const { promise, resolve, reject } = Promise.withResolvers<Rows>()
    const timer = setTimeout(() => {
      this.#ended ??= `Spark did not answer within ${limitMs} ms and was ended: ${statement.slice(0, 200)}`
      this.#kill()
    }, limitMs)
    this.#waiting.push({ resolve, reject, timer })
    this.#child.stdin.write(`${JSON.stringify(statement)}\n`)
    return promise
  }

  #answer(line: string): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) return
    const { resolve, reject } = settle(waiting)
    try {
      resolve(rowsOf(line))
    } catch (error) {
      reject(
        error instanceof EngineError ? error : new EngineError(`Spark's answer is not JSON: ${line.slice(0, 200)}`),
      )
    }
  }

  async close(): Promise<void> {
    this.#child.stdin.end()
    const timer = setTimeout(() => this.#kill(), closeMs)
    await this.#gone
    clearTimeout(timer)
  }

  #kill(): void {
    const { pid } = this.#child
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return
    process.kill(-pid, 'SIGKILL')
  }
}

function settle(waiting: Waiting): Waiting {
  clearTimeout(waiting.timer)
  return waiting
}

function rowsOf(text: string): Rows {
  const answer: { rows: string[]; sha256: string } | { error: string } = JSON.parse(text)
  if ('error' in answer) throw new EngineError(answer.error)
  return { rows: answer.rows, sha256: answer.sha256 }
}

export interface ReadOptions {
  /** The snapshot to read; the current one unless given. */
  readonly snapshotId?: bigint | string
  /** A branch or tag to read instead. */
  readonly ref?: string
  /** A row filter in PyIceberg's words: `id > 3 and name = 'x'`. */
  readonly filter?: string
  /** The columns to read; all unless given. */
  readonly columns?: readonly string[]
  /** Further properties of the catalog, as `s3.endpoint`. */
  readonly properties?: Readonly<Record<string, string>>
}

/**
 * Reads a table with PyIceberg, in a process of its own (about a second).
 *
 * @param catalog the path of a SQLite file, the URL of a REST catalog or, with `table` `-`, the path of a metadata file
 * @throws EngineError with PyIceberg's message when it refuses
 */
export async function pyicebergRead(catalog: string, table: string, options: ReadOptions = {}): Promise<Rows> {
  const flags: string[] = []
  if (options.snapshotId !== undefined) flags.push('--snapshot-id', String(options.snapshotId))
  if (options.ref !== undefined) flags.push('--ref', options.ref)
  if (options.filter !== undefined) flags.push('--filter', options.filter)
  if (options.columns !== undefined) flags.push('--columns', options.columns.join(','))
  return rowsOf(await pyiceberg(['read', catalog, table, ...flags], '', options.properties))
}

/**
 * Runs Python that finds the open catalog as `catalog`; gives back what it left in `result`, as JSON.
 *
 * @throws EngineError with the end of Python's traceback
 */
export async function pyicebergRun(
  catalog: string,
  code: string,
  properties: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const answer: { result: unknown } = JSON.parse(await pyiceberg(['run', catalog], code, properties))
  return answer.result
}

async function pyiceberg(
  args: readonly string[],
  stdin: string,
  properties: Readonly<Record<string, string>> = {},
): Promise<string> {
  await installEngines()
  return runScript('pyiceberg.sh', args, statementMs, stdin, properties)
}

let installed: Promise<string> | undefined

/** Installs the engines unless they are there; several processes may ask at once. */
export function installEngines(): Promise<string> {
  installed ??= runScript('install.sh', [], installMs, '')
  return installed
}

function runScript(
  name: string,
  args: readonly string[],
  limitMs: number,
  stdin: string,
  properties: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const env = { ...process.env, CATALOG_PROPERTIES: JSON.stringify(properties) }
  const options = { timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: outputBytesMax, env } as const
  const child = execFile(join(folder, name), args, options, (error, stdout, stderr) => {
    if (error === null) resolve(stdout.trim())
    else
      reject(
        new EngineError(
          `${name} failed${error.killed ? ` after ${limitMs} ms` : ''}: ${stderr.slice(-stderrKeptChars)}`,
        ),
      )
  })
  child.stdin?.on('error', () => {})
  child.stdin?.end(stdin)
  return promise
}
