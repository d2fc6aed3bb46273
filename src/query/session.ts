/**
 * A session: statements one after another, each bounded in time, rows and bytes.
 */
import { must, unreachable } from '../base/assert.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { ident } from '../duck/duck.ts'
import type { LoadedTable, TableIdent } from '../iceberg/catalog/catalog.ts'
import { compile } from './compile.ts'
import { runDdl } from './ddl-run.ts'
import { describeTarget, showNamespaces, showProperties, showTables, type TextTable } from './describe.ts'
import { LockedDuck, statementFault } from './locked.ts'
import { type NameScope, ownTable, resolveName, type SessionView } from './names.ts'
import type { SqlParser } from './parser.ts'
import type {
  Column,
  QueryBounds,
  QuerySession,
  QuerySessionOptions,
  ResultStream,
  RunOptions,
  ScanFacts,
  StatementResult,
} from './query.ts'
import { defineRelations, type TableReader } from './relations.ts'
import { createTableStatement } from './show-create.ts'
import { parseStatements, type Statement } from './statements.ts'
import { type Token, untokenize } from './tokens.ts'
import { type Cell, cellBytes, cellOf } from './values.ts'

interface Prepared {
  sql: string
  duck: LockedDuck
  scans: ScanFacts[]
}

/** A statement that cannot be interrupted in time is asked again at this pace. */
const INTERRUPT_EVERY_MS = 50

export type SessionParts = QuerySessionOptions & {
  bounds: QueryBounds
  views: Record<string, string>
  reader: TableReader
}

export class Session implements QuerySession {
  readonly #parts: SessionParts
  readonly #parser: SqlParser
  readonly #readyMade: ReadonlyMap<string, SessionView>
  readonly #views = new Map<string, SessionView>()
  #last: Promise<void> = Promise.resolve()
  #closed = false

  constructor(parts: SessionParts, parser: SqlParser) {
    this.#parts = parts
    this.#parser = parser
    const readyMade = Object.entries(parts.views).map(([name, sql]): [string, SessionView] => [
      name.toLowerCase(),
      { name, sql, columns: [] },
    ])
    this.#readyMade = new Map(readyMade)
  }

  async run(statements: string, options: RunOptions = {}): Promise<StatementResult> {
    const startedMs = performance.now()
    const stream = await this.stream(statements, options)
    const rows: Cell[][] = []
    for await (const page of stream.pages) for (const row of page) rows.push(row)
    const elapsedMs = Math.round(performance.now() - startedMs)
    return { columns: stream.columns, rows, truncated: stream.truncated(), scans: stream.scans, elapsedMs }
  }

  async stream(statements: string, options: RunOptions = {}): Promise<ResultStream> {
    const turn = Promise.withResolvers<void>()
    const before = this.#last
    this.#last = turn.promise
    await before
    const run = new Run(this.#parts.bounds, options, turn.resolve)
    try {
      if (this.#closed) throw new Fault('cancelled', 'the query session is closed; open another')
      const parsed = parseStatements(statements, { writes: this.#parts.writes !== undefined })
      const last = parsed.pop()!
      for (const statement of parsed) {
        const stream = await this.#execute(statement, run)
        for await (const _page of stream.pages);
      }
      const stream = await this.#execute(last, run)
      run.handOver()
      return { ...stream, pages: run.toItsEnd(stream.pages) }
    } catch (error) {
      run.end()
      throw run.faultOf(error)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#last
    this.#parser.close()
  }

  async #execute(statement: Statement, run: Run): Promise<ResultStream> {
    run.check()
    const scope = this.#scope(run)
    switch (statement.kind) {
      case 'select':
        return this.#select(statement.tokens, scope, run, '')
      case 'explain':
        return this.#select(statement.tokens, scope, run, statement.analyze ? 'EXPLAIN ANALYZE ' : 'EXPLAIN ')
      case 'create-view':
        return this.#createView(statement, scope, run)
      case 'drop-view':
        return this.#dropView(statement)
      case 'show-tables':
        return constant(await showTables(scope, statement.namespace))
      case 'show-namespaces':
        return constant(await showNamespaces(this.#parts.catalog))
      case 'describe': {
        const target = await resolveName(scope, statement.parts)
        if (target.kind === 'table') return constant(describeTarget(target.table))
        const name = statement.parts.map(ident).join('.')
        return this.#execute(parseStatements(`DESCRIBE (SELECT * FROM ${name})`)[0]!, run)
      }
      case 'show-create-table':
        return constant(createTableStatement((await ownTable(scope, statement.parts)).table))
      case 'show-properties':
        return constant(showProperties((await ownTable(scope, statement.parts)).table))
      case 'ddl': {
        const { catalog, clock, io } = this.#parts
        const writes = must(this.#parts.writes, 'a session that changes tables')
        return constant(await runDdl({ catalog, clock, io, writes, scope, signal: run.signal }, statement.ddl))
      }
      default:
        return unreachable(statement)
    }
  }

  #scope(run: Run): NameScope {
    const loaded = new Map<string, Promise<LoadedTable>>()
    const load = async (ident: TableIdent): Promise<LoadedTable> => {
      await this.#parts.waitFor?.(ident, run.signal)
      return this.#parts.catalog.load(ident)
    }
    return {
      catalog: this.#parts.catalog,
      views: new Map([...this.#readyMade, ...this.#views]),
      load: (ident) => {
        const key = JSON.stringify([ident.namespace, ident.name])
        const known = loaded.get(key) ?? run.race(load(ident))
        loaded.set(key, known)
        return known
      },
    }
  }

  async #select(tokens: readonly Token[], scope: NameScope, run: Run, prefix: string): Promise<ResultStream> {
    const { duck, scans, sql } = await this.#prepare(tokens, scope, run)
    // A stream that nobody reads on is closed when its time is over; one that is being read closes itself.
    let busy = true
    let closed = false
    const close = (): void => {
      if (closed) return
      closed = true
      stopped()
      duck.close()
    }
    const stopped = run.onAbort(() => (busy ? duck.interrupt() : close()))
    try {
      const result = await duck.stream(prefix + sql)
      const { columns } = result
      const counter = new RowCounter(run.rowsMax, run.overflow)
      const pages = async function* (): AsyncGenerator<Cell[][]> {
        try {
          for (;;) {
            run.check()
            busy = true
            const rows = await result.next()
            busy = false
            run.check()
            if (rows === null) return
            const page = counter.take(rows.map((row) => row.map(cellOf)))
            if (page.length > 0) yield page
            if (counter.full) return
          }
        } catch (error) {
          throw run.faultOf(error)
        } finally {
          close()
        }
      }
      busy = false
      return { columns, pages: pages(), scans, truncated: () => counter.truncated }
    } catch (error) {
      close()
      throw run.faultOf(error)
    }
  }

  /** The statement's text, and an instance that holds what it needs and is locked. The two are made at the same time. */
  async #prepare(tokens: readonly Token[], scope: NameScope, run: Run): Promise<Prepared> {
    const { bounds, clock, io, reader, spillDir } = this.#parts
    const opening = LockedDuck.open({
      memoryMiB: bounds.memoryMiB,
      threads: bounds.threads,
      ...(spillDir === undefined ? {} : { spillDir }),
    })
    const [compiling, opened] = await Promise.allSettled([
      compile(tokens, { scope, parser: this.#parser, clock }),
      opening,
    ])
    if (opened.status === 'rejected') throw opened.reason
    const duck = opened.value
    const stopped = run.onAbort(() => duck.interrupt())
    try {
      if (compiling.status === 'rejected') throw compiling.reason
      const compiled = compiling.value
      run.check()
      await duck.defineFunctions(compiled.functions)
      const { paths, scans } = await defineRelations(duck, io, compiled.relations, reader, run.signal)
      await duck.lock(paths)
      run.check()
      return { sql: compiled.sql, duck, scans }
    } catch (error) {
      duck.close()
      throw error
    } finally {
      stopped()
    }
  }

  async #createView(
    statement: Extract<Statement, { kind: 'create-view' }>,
    scope: NameScope,
    run: Run,
  ): Promise<ResultStream> {
    const { name, columns } = statement
    const key = name.toLowerCase()
    const exists = this.#views.has(key)
    if (exists && statement.ifNotExists) return constant(note(`view ${name} is there already`))
    if (exists && !statement.orReplace) {
      throw new Fault('conflict', `the view "${name}" exists in this session; write CREATE OR REPLACE VIEW`)
    }
    if (!exists && this.#views.size >= limits.queryViewsMax) {
      throw new Fault('limit', `a session may have ${limits.queryViewsMax} views; drop one first`)
    }
    const view: SessionView = { name, columns, sql: untokenize(statement.tokens).trim() }
    // Reading the view once finds wrong names and columns now, not at its first use.
    const trial: NameScope = { ...scope, views: new Map([...scope.views, [key, view]]) }
    const check = parseStatements(`SELECT * FROM ${ident(name)} LIMIT 0`)[0]!
    if (check.kind !== 'select') throw new Fault('invalid', `"${name}" cannot be a view's name`)
    const stream = await this.#select(check.tokens, trial, run, '')
    for await (const _page of stream.pages);
    this.#views.set(key, view)
    return constant(note(`view ${name} created`))
  }

  #dropView(statement: Extract<Statement, { kind: 'drop-view' }>): ResultStream {
    const dropped = this.#views.delete(statement.name.toLowerCase())
    if (!dropped && !statement.ifExists) {
      throw new Fault(
        'not-found',
        `there is no view "${statement.name}" in this session; only its own views can be dropped`,
      )
    }
    return constant(note(dropped ? `view ${statement.name} dropped` : `there is no view ${statement.name}`))
  }
}

function note(text: string): TextTable {
  return { columns: ['status'], rows: [[text]] }
}

function constant(table: TextTable): ResultStream {
  const columns: Column[] = table.columns.map((name) => ({ name, type: 'VARCHAR' }))
  const pages = async function* (): AsyncGenerator<Cell[][]> {
    if (table.rows.length > 0) yield table.rows
  }
  return { columns, pages: pages(), scans: [], truncated: () => false }
}

/** Counts rows and bytes of a result against its bounds. */
class RowCounter {
  truncated = false
  full = false
  #rows = 0
  #bytes = 0
  readonly #rowsMax: number
  readonly #overflow: 'fault' | 'cut'

  constructor(rowsMax: number, overflow: 'fault' | 'cut') {
    this.#rowsMax = rowsMax
    this.#overflow = overflow
  }

  take(page: Cell[][]): Cell[][] {
    const left = this.#rowsMax - this.#rows
    const taken = page.length > left ? page.slice(0, left) : page
    for (const row of taken) for (const cell of row) this.#bytes += cellBytes(cell)
    if (this.#bytes > limits.queryResultBytesMax) {
      throw new Fault('limit', `a result may take ${limits.queryResultBytesMax} bytes; select fewer columns or rows`)
    }
    if (taken.length < page.length) {
      if (this.#overflow === 'fault') {
        throw new Fault('limit', `a result may have ${this.#rowsMax} rows; add LIMIT or a narrower WHERE`)
      }
      this.truncated = true
      this.full = true
    }
    this.#rows += taken.length
    return taken
  }
}

/** The bounds of one call: time and the caller's signal. */
class Run {
  readonly rowsMax: number
  readonly overflow: 'fault' | 'cut'
  readonly #abort = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #timeMs: number
  readonly #ended: () => void
  readonly #caller: AbortSignal | undefined
  readonly #onCallerAbort = (): void =>
    this.#abort.abort(new Fault('cancelled', 'the statement was stopped by its caller'))

  constructor(bounds: QueryBounds, options: RunOptions, ended: () => void) {
    this.rowsMax = Math.min(options.rowsMax ?? bounds.rowsMax, bounds.rowsMax)
    this.overflow = options.overflow ?? 'fault'
    this.#timeMs = bounds.timeMs
    this.#ended = ended
    this.#caller = options.signal
    this.#timer = setTimeout(() => {
      this.#abort.abort(
        new Fault('limit', `the statement took longer than ${this.#timeMs} ms; narrow it with WHERE or LIMIT`),
      )
    }, bounds.timeMs)
    if (this.#caller?.aborted) this.#onCallerAbort()
    else this.#caller?.addEventListener('abort', this.#onCallerAbort, { once: true })
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** @throws Fault when the statement is to stop */
  check(): void {
    this.#abort.signal.throwIfAborted()
  }

  /** An interruption between two steps of DuckDB is lost, so it is repeated until the returned function is called. */
  onAbort(interrupt: () => void): () => void {
    let repeat: NodeJS.Timeout | undefined
    const start = (): void => {
      repeat = setInterval(interrupt, INTERRUPT_EVERY_MS)
      interrupt()
    }
    if (this.signal.aborted) start()
    else this.signal.addEventListener('abort', start, { once: true })
    return () => {
      this.signal.removeEventListener('abort', start)
      clearInterval(repeat)
    }
  }

  /** `work`, or the fault of stopping if that comes first. */
  async race<T>(work: Promise<T>): Promise<T> {
    const stopped = Promise.withResolvers<never>()
    const stop = (): void => stopped.reject(this.signal.reason)
    if (this.signal.aborted) stop()
    this.signal.addEventListener('abort', stop, { once: true })
    try {
      return await Promise.race([work, stopped.promise])
    } finally {
      this.signal.removeEventListener('abort', stop)
    }
  }

  /** Why it failed: stopping first, since DuckDB only says that it was interrupted. */
  faultOf(error: unknown): unknown {
    if (this.signal.aborted) return this.signal.reason
    return error instanceof Error && error.message.startsWith('bug: ') ? error : statementFault(error)
  }

  /** From now on its caller reads at its own pace: when time is over, the next call need not wait for it. */
  handOver(): void {
    this.signal.addEventListener('abort', () => this.end(), { once: true })
    if (this.signal.aborted) this.end()
  }

  async *toItsEnd(pages: AsyncIterable<Cell[][]>): AsyncGenerator<Cell[][]> {
    try {
      yield* pages
    } finally {
      this.end()
    }
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#caller?.removeEventListener('abort', this.#onCallerAbort)
    this.#ended()
  }
}
