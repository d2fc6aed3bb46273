/**
 * What streams remember: the last numbers of each producer, the answers to requests that came with an idempotency key, the tables
 * that entries of a log are for; and what was set through the API: definitions, tags, pauses.
 *
 * Invariants
 * 1. What is remembered of producers and requests is a function of the stream's log: entries carry it. `Repetitions` holds it for
 *    the running process; this file is behind it, and holds at least what follows from the entries before `applied`.
 * 2. Taking an entry into account twice changes nothing.
 * 3. A table is in `destinations` before the first entry for it is in the log.
 *
 * Crash story: `keep` makes durable what follows from the entries that the log is about to forget. Whatever is missing here after
 * a crash is still in the log, and read from there at start. Definitions and the like are synced when made.
 *
 * SQLite works synchronously: while it waits for a lock of another process, nobody is answered. So it waits for a moment only, and
 * what writes is tried again between sleeps (`patiently`). Reading waits for nobody.
 */
import { open } from 'node:fs/promises'
import type { StatementSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault, isFault, messageOf, sqliteCode } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { DatabaseSync } from '../../base/sqlite.ts'
import { MEMORY_LAYOUT, prepareLayout } from './memory-layout.ts'

export interface StoredDefinition {
  name: string
  definition: string
  createdMs: number
}

/** What is set of a stream beside its settings. */
export interface StreamNotes {
  /** Grows with every change of the settings. */
  version: number
  paused: boolean
  tags: Record<string, string>
}

/** A table that entries of a stream's log are for, and how they are to be applied. */
export interface StoredDestination {
  /** `namespace.name`. */
  table: string
  uniqueKeys: string[]
  orderingField?: string
}

/** The file `state/streams.db`. */
export class MemoryFile {
  readonly #path: string
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  #syncing: Promise<void> | null = null
  #syncNext: Promise<void> | null = null
  /** Time for which the service has run, ms: what is remembered ages by it. */
  #runningMs: number
  #lastMs: number | null = null

  /** @throws Fault `unavailable`, `corrupt` (no SQLite file, or another layout) */
  constructor(path: string) {
    this.#path = path
    try {
      this.#db = new DatabaseSync(path)
      // Nobody is served yet who would have to wait.
      this.#db.exec(`PRAGMA busy_timeout = ${limits.streamFileBusyMs}`)
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
      prepareLayout(this.#db)
      this.#runningMs = Number(this.#db.prepare('SELECT running_ms FROM age').get()?.['running_ms'] ?? 0)
      this.#db.exec(`PRAGMA busy_timeout = ${limits.streamFileWaitMs}`)
    } catch (error) {
      const damaged = /not a database|malformed|expected layout/.test(messageOf(error))
      throw new Fault(
        damaged ? 'corrupt' : 'unavailable',
        `cannot open ${path}: ${messageOf(error)}${damaged ? '; run tidewater doctor --repair to set it aside' : ''}`,
        { path, layout: MEMORY_LAYOUT },
        error,
      )
    }
  }

  definitions(): StoredDefinition[] {
    const rows = this.statement('SELECT name, definition, created_ms FROM definitions ORDER BY name').all()
    return rows.map((row) => ({
      name: String(row['name']),
      definition: String(row['definition']),
      createdMs: Number(row['created_ms']),
    }))
  }

  /** Durable when it resolves. @throws as `durably` */
  define({ name, definition, createdMs }: StoredDefinition): Promise<void> {
    return this.durably(() =>
      this.run('INSERT OR REPLACE INTO definitions VALUES (?, ?, ?)', name, definition, createdMs),
    )
  }

  /** Durable when it resolves. What is remembered of the stream's log stays. @throws as `durably` */
  undefine(name: string): Promise<void> {
    return this.durably(() => {
      this.run('DELETE FROM definitions WHERE name = ?', name)
      this.run('DELETE FROM notes WHERE stream = ?', name)
    })
  }

  notes(stream: string): StreamNotes {
    const row = this.statement('SELECT version, paused, tags FROM notes WHERE stream = ?').get(stream)
    if (row === undefined) return { version: 1, paused: false, tags: {} }
    return {
      version: Number(row['version']),
      paused: row['paused'] === 1,
      tags: JSON.parse(String(row['tags'])) as Record<string, string>,
    }
  }

  /** Durable when it resolves. @param change of what is noted then @throws as `durably`, and what `change` throws */
  note(stream: string, change: (notes: StreamNotes) => Partial<StreamNotes>): Promise<void> {
    return this.durably(() => {
      const before = this.notes(stream)
      const { version, paused, tags } = { ...before, ...change(before) }
      this.run(
        'INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)',
        stream,
        version,
        paused ? 1 : 0,
        JSON.stringify(tags),
      )
    })
  }

  /** Of one stream, or the streams that have any. */
  destinations(stream: string): StoredDestination[] {
    const rows = this.statement('SELECT settings FROM destinations WHERE stream = ? ORDER BY name').all(stream)
    return rows.map((row) => JSON.parse(String(row['settings'])) as StoredDestination)
  }

  streamsWithDestinations(): string[] {
    const rows = this.statement('SELECT DISTINCT stream FROM destinations ORDER BY stream').all()
    return rows.map((row) => String(row['stream']))
  }

  /** Durable when it resolves. @throws as `durably` */
  addDestination(stream: string, destination: StoredDestination): Promise<void> {
    const values = [stream, destination.table, JSON.stringify(destination)] as const
    return this.durably(() => this.run('INSERT OR REPLACE INTO destinations VALUES (?, ?, ?)', ...values))
  }

  /** The log holds no entry for them any more. Durable when it resolves. @throws as `durably` */
  forgetDestinations(stream: string): Promise<void> {
    return this.durably(() => this.run('DELETE FROM destinations WHERE stream = ?', stream))
  }

  get runningMs(): number {
    return this.#runningMs
  }

  /** Lets time pass. A step of the clock counts as an hour at most, so that none makes everything old at once. */
  async tick(nowMs: number): Promise<void> {
    const stepMs = this.#lastMs === null ? 0 : nowMs - this.#lastMs
    this.#lastMs = nowMs
    this.#runningMs += Math.max(0, Math.min(stepMs, limits.streamClockStepMaxMs))
    await this.patiently(() => this.run('INSERT OR REPLACE INTO age VALUES (1, ?)', this.#runningMs))
  }

  /** What was written is on disk when it resolves; those who come meanwhile share the next sync. @throws Fault `unavailable` */
  sync(): Promise<void> {
    if (this.#syncing === null) {
      this.#syncing = this.#syncLog().finally(() => {
        this.#syncing = this.#syncNext
        this.#syncNext = null
      })
      return this.#syncing
    }
    // The sync under way may have begun before our bytes were there.
    this.#syncNext ??= this.#syncing.then(
      () => this.#syncLog(),
      () => this.#syncLog(),
    )
    return this.#syncNext
  }

  /** Everything committed is in SQLite's log or was moved into the file by a checkpoint, which syncs by itself. */
  async #syncLog(): Promise<void> {
    try {
      await using file = await open(`${this.#path}-wal`, 'r+')
      await file.datasync()
    } catch (error) {
      throw new Fault('unavailable', `cannot sync ${this.#path}: ${messageOf(error)}`, { path: this.#path }, error)
    }
  }

  /** Runs `work` as one transaction that is on disk when it resolves; `work` may run more than once. @throws as `patiently` */
  durably(work: () => void): Promise<void> {
    return this.patiently(() => {
      try {
        this.#db.exec('PRAGMA synchronous = FULL')
        this.transaction(work)
      } finally {
        this.#db.exec('PRAGMA synchronous = NORMAL')
      }
    })
  }

  /**
   * Runs `work`, again while another process holds the file. `work` is one statement or transaction, and without effect when it throws.
   * @throws Fault `unavailable`: it was held for too long, or cannot be written
   */
  async patiently<T>(work: () => T): Promise<T> {
    let waitedMs = 0
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
      try {
        return work()
      } catch (error) {
        if (!isBusy(error)) throw isFault(error) ? error : this.#unwritable(error)
        if (waitedMs >= limits.streamFileBusyMs) throw this.#unwritable(error)
        await sleep(pauseMs)
        waitedMs += pauseMs + limits.streamFileWaitMs
      }
    }
  }

  transaction(work: () => void): void {
    this.#db.exec('BEGIN')
    try {
      work()
      this.#db.exec('COMMIT')
    } catch (error) {
      // SQLite may have rolled back by itself, as on a full disk.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }

  /** @returns rows changed. @throws Fault `unavailable` (locked, or the disk is full) */
  run(sql: string, ...values: (string | number | Uint8Array | null)[]): number {
    try {
      return Number(this.statement(sql).run(...values).changes)
    } catch (error) {
      throw this.#unwritable(error)
    }
  }

  statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  /** @throws Fault `unavailable` */
  exec(sql: string): void {
    try {
      this.#db.exec(sql)
    } catch (error) {
      throw this.#unwritable(error)
    }
  }

  #unwritable(error: unknown): Fault {
    if (isFault(error, 'unavailable')) return error
    return new Fault('unavailable', `cannot write ${this.#path}: ${messageOf(error)}`, { path: this.#path }, error)
  }

  close(): void {
    this.#statements.clear()
    this.#db.close()
  }
}

/** Between two tries of a change while another process holds the file. */
const PAUSE_MS = 5
const PAUSE_MAX_MS = 250

/** SQLITE_BUSY, SQLITE_LOCKED. */
function isBusy(error: unknown): boolean {
  const code = sqliteCode(error) ?? (isFault(error) ? sqliteCode(error.cause) : undefined)
  return code === 5 || code === 6
}
