/**
 * Refused records as objects, for those who read the error output of delivery streams: one object per stream and type from each
 * stretch of the dead letters' log.
 *
 * Invariants
 * 1. Every letter of a stream with error output has one line, from its first failure; later ones change the table of dead letters
 *    only. The last `errorLinesKept` letters are known, so that a failure that is told again has no second line.
 * 2. What objects a stretch becomes is written down before the first of them, and a name is given once (put if absent): the same
 *    stretch, written again, changes nothing.
 * 3. The log keeps what has no object yet.
 *
 * Crash story: killed between the plan and its end, the next run writes the plan's objects that are lacking; killed before the plan,
 * nothing was written.
 */

import type { Clock } from '../../base/clock.ts'
import { Fault, messageOf } from '../../base/fault.ts'
import { Follower } from '../../base/follow.ts'
import { limits } from '../../base/limits.ts'
import { DatabaseSync } from '../../base/sqlite.ts'
import { readTableChange } from '../../change/table-change.ts'
import type { Log, LogEntry } from '../../log/log.ts'
import type { Store } from '../../store/store.ts'
import { readLetter, type StoredLetter } from './deadletter.ts'
import { errorLine, errorTypeOf, msOf } from './error-line.ts'
import { errorKey } from './error-prefix.ts'

/** Where a stream's refused records go. */
export interface ErrorTarget {
  stream: string
  version: number
  directory: string
  prefix: string
}

export interface ErrorOutputOptions {
  log: Log
  clock: Clock
  /** Its SQLite file. */
  path: string
  /** Of a letter's stream; null: it has no error output. */
  targetOf: (letter: StoredLetter) => ErrorTarget | null
  openStore: (directory: string) => Promise<Store>
  onStalled: (fault: Fault, retryInMs: number) => void
  /** Runs when everything before `position` has its objects. */
  onPassed: () => Promise<void>
}

const LAYOUT = `
CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL, planned INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS objects (directory TEXT NOT NULL, key TEXT NOT NULL, offsets TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS lines (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
`

const READ_AT_ONCE = 1_000

export class ErrorOutput {
  readonly #options: ErrorOutputOptions
  readonly #db: DatabaseSync
  readonly #stores = new Map<string, Promise<Store>>()
  #position: number
  readonly #follower: Follower
  #turn: Promise<unknown> = Promise.resolve()

  /** @throws Fault `unavailable` when its file cannot be opened */
  constructor(options: ErrorOutputOptions) {
    this.#options = options
    try {
      this.#db = new DatabaseSync(options.path)
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000')
      this.#db.exec(LAYOUT)
      const { start, end } = options.log
      const known = Number(this.#db.prepare('SELECT position FROM state').get()?.['position'] ?? start)
      this.#position = Math.min(Math.max(known, start), end)
    } catch (error) {
      throw new Fault(
        'unavailable',
        `cannot open ${options.path}: ${messageOf(error)}; it may be removed: what was written as objects may then be written once more`,
        { path: options.path },
        error,
      )
    }
    const { log, clock, onStalled } = options
    this.#follower = new Follower({
      clock,
      turn: async (signal) => {
        await log.waitFor(this.#position, signal)
        // Letters that come together share an object.
        await clock.sleep(limits.errorObjectLingerMs, signal)
        await this.#inTurn()
      },
      onFault: onStalled,
    })
  }

  /** Every letter before this offset has its line, where its stream wants one. */
  get position(): number {
    return this.#position
  }

  start(): void {
    this.#follower.start()
  }

  async stop(): Promise<void> {
    await this.#follower.stop()
  }

  /** Writes what the log holds now. @throws Fault of the store */
  async drain(): Promise<void> {
    const { end } = this.#options.log
    while (this.#position < end) await this.#inTurn()
  }

  async close(): Promise<void> {
    await this.stop()
    await this.#turn.catch(() => undefined)
    this.#db.close()
  }

  #inTurn(): Promise<void> {
    const mine = this.#turn.catch(() => undefined).then(() => this.#next())
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #next(): Promise<void> {
    const { log, onPassed } = this.#options
    if (this.#position >= log.end) return
    const planned = this.#planned()
    const entries = planned === null ? await log.read(this.#position, READ_AT_ONCE) : await this.#read(planned)
    const end = planned ?? this.#position + entries.length
    if (planned === null) this.#plan(entries, end)
    const byOffset = new Map(entries.map((entry) => [entry.offset, entry]))
    for (const { directory, key, offsets } of this.#db.prepare('SELECT directory, key, offsets FROM objects').all()) {
      const lines = (JSON.parse(String(offsets)) as number[]).flatMap((offset) => {
        const letter = letterAt(byOffset.get(offset))
        return letter === null ? [] : [errorLine(letter)]
      })
      await (await this.#store(String(directory))).putIfAbsent(String(key), Buffer.from(lines.join('')))
    }
    this.#transaction(() => {
      this.#db.exec('DELETE FROM objects')
      this.#keepPosition(end, end)
      this.#db.prepare('DELETE FROM lines WHERE n <= (SELECT max(n) FROM lines) - ?').run(limits.errorLinesKept)
    })
    this.#position = end
    await onPassed()
  }

  /** End of the stretch that a run before this one began; null: none. */
  #planned(): number | null {
    const planned = Number(this.#db.prepare('SELECT planned FROM state').get()?.['planned'] ?? 0)
    return planned > this.#position ? planned : null
  }

  async #read(end: number): Promise<LogEntry[]> {
    const entries: LogEntry[] = []
    while (this.#position + entries.length < end)
      entries.push(
        ...(await this.#options.log.read(this.#position + entries.length, end - this.#position - entries.length)),
      )
    return entries
  }

  /** Decides what lines there will be, and in which objects. */
  #plan(entries: readonly LogEntry[], end: number): void {
    const objects = new Map<string, { directory: string; key: string; offsets: number[] }>()
    this.#transaction(() => {
      const first = this.#db.prepare('INSERT INTO lines (id) VALUES (?) ON CONFLICT (id) DO NOTHING')
      for (const entry of entries) {
        const letter = letterAt(entry)
        if (letter === null) continue
        if (letter.status !== 'open' || letter.lastFailedAt !== letter.firstFailedAt) continue
        const target = this.#options.targetOf(letter)
        if (target === null || Number(first.run(letter.id).changes) === 0) continue
        const type = errorTypeOf(letter)
        const name = JSON.stringify([target.stream, type])
        const object = objects.get(name)
        if (object !== undefined) object.offsets.push(entry.offset)
        else {
          const { stream, version, directory, prefix } = target
          const atMs = msOf(letter.lastFailedAt)
          const key = errorKey(prefix, { stream, version, type, atMs, offset: entry.offset })
          objects.set(name, { directory, key, offsets: [entry.offset] })
        }
      }
      const put = this.#db.prepare('INSERT INTO objects (directory, key, offsets) VALUES (?, ?, ?)')
      for (const { directory, key, offsets } of objects.values()) put.run(directory, key, JSON.stringify(offsets))
      this.#keepPosition(this.#position, end)
    })
  }

  #keepPosition(position: number, planned: number): void {
    this.#db.prepare('INSERT OR REPLACE INTO state (id, position, planned) VALUES (1, ?, ?)').run(position, planned)
  }

  #transaction(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }

  #store(directory: string): Promise<Store> {
    const known = this.#stores.get(directory)
    if (known !== undefined) return known
    const opening = this.#options.openStore(directory)
    this.#stores.set(directory, opening)
    opening.catch(() => this.#stores.delete(directory))
    return opening
  }
}

/** Null: the entry deletes an old letter. */
function letterAt(entry: LogEntry | undefined): StoredLetter | null {
  if (entry === undefined)
    throw new Fault('corrupt', 'the log of dead letters lacks an entry that objects were planned for')
  const { op, row } = readTableChange(entry.text)
  return op === 'delete' ? null : readLetter(row as Parameters<typeof readLetter>[0])
}
