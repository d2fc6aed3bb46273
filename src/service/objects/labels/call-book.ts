/**
 * What is remembered of calls that cost money, in one SQLite file: how many were made in each minute of the last hour, and which objects
 * wait for theirs.
 *
 * Invariant: a call is in the file before it is made. Crash story: a call that was counted and not made counts for an hour. The file is
 * not synced at each call: a crash of the machine may forget those of its last moments, one of the process none. Lost altogether, calls
 * are counted from 0, and the rows that wait still say so; `reextract --extractor rekognition` finds them.
 */
import type { StatementSync } from 'node:sqlite'
import { Fault, messageOf } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import { DatabaseSync } from '../../../base/sqlite.ts'
import type { VersionNames } from '../version-store.ts'

const MINUTE_MS = 60_000
const HOUR_MINUTES = 60

const CREATE = `
CREATE TABLE IF NOT EXISTS calls (minute INTEGER PRIMARY KEY, calls INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS waiting (
  bucket TEXT NOT NULL, key TEXT NOT NULL, version_id TEXT NOT NULL, since_ms INTEGER NOT NULL,
  PRIMARY KEY (bucket, key, version_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting_since ON waiting (since_ms);
`

export class CallBook {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #sum: StatementSync
  readonly #add: StatementSync
  readonly #wait: StatementSync
  readonly #forget: StatementSync
  readonly #page: StatementSync
  readonly #count: StatementSync

  private constructor(path: string, database: DatabaseSync) {
    this.#path = path
    this.#database = database
    // A clock that stepped back leaves minutes ahead: they count.
    this.#sum = database.prepare('SELECT coalesce(sum(calls), 0) AS calls FROM calls WHERE minute >= ?')
    this.#add = database.prepare(
      'INSERT INTO calls VALUES (?, max(0, ?)) ON CONFLICT (minute) DO UPDATE SET calls = max(0, calls + ?)',
    )
    this.#wait = database.prepare('INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?)')
    this.#forget = database.prepare('DELETE FROM waiting WHERE bucket = ? AND key = ? AND version_id = ?')
    this.#page = database.prepare(
      'SELECT bucket, key, version_id FROM waiting WHERE since_ms <= ? ORDER BY since_ms LIMIT ?',
    )
    this.#count = database.prepare('SELECT count(*) AS waiting FROM waiting')
  }

  /** @throws Fault `unavailable`, `corrupt` */
  static open(path: string): CallBook {
    return guard(path, () => {
      const database = new DatabaseSync(path, { timeout: limits.catalogBusyMs })
      try {
        database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; ${CREATE}`)
        return new CallBook(path, database)
      } catch (error) {
        database.close()
        throw error
      }
    })
  }

  /** Calls in the hour before now. */
  calls(nowMs: number): number {
    return guard(this.#path, () => (this.#sum.get(minuteOf(nowMs) - HOUR_MINUTES) as { calls: number }).calls)
  }

  /** Counts a call, if fewer than `max` were made in the last hour. */
  take(nowMs: number, max: number): boolean {
    if (this.calls(nowMs) >= max) return false
    guard(this.#path, () => {
      this.#add.run(minuteOf(nowMs), 1, 1)
      this.#database.prepare('DELETE FROM calls WHERE minute < ?').run(minuteOf(nowMs) - 2 * HOUR_MINUTES)
    })
    return true
  }

  /** A call that was counted at that time has cost nothing. */
  giveBack(atMs: number): void {
    guard(this.#path, () => this.#add.run(minuteOf(atMs), -1, -1))
  }

  /** Keeps an object for later: those that wait longest come first. */
  wait({ bucket, key, versionId }: VersionNames, sinceMs: number): void {
    guard(this.#path, () => this.#wait.run(bucket, key, versionId, sinceMs))
  }

  forget({ bucket, key, versionId }: VersionNames): void {
    guard(this.#path, () => this.#forget.run(bucket, key, versionId))
  }

  /** Objects that wait since then or longer. */
  waitingSince(untilMs: number, most: number): VersionNames[] {
    return guard(this.#path, () =>
      this.#page.all(untilMs, most).map((row) => ({
        bucket: String(row['bucket']),
        key: String(row['key']),
        versionId: String(row['version_id']),
      })),
    )
  }

  waitingCount(): number {
    return guard(this.#path, () => (this.#count.get() as { waiting: number }).waiting)
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }
}

function minuteOf(ms: number): number {
  return Math.floor(ms / MINUTE_MS)
}

function guard<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (typeof (error as { errcode?: unknown }).errcode !== 'number') throw error
    throw new Fault(
      'unavailable',
      `The calls for labels in ${path} cannot be counted: ${messageOf(error)}`,
      { path },
      error,
    )
  }
}
