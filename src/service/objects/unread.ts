/**
 * What could not be read or learned of object versions: which dead letters wait for it, and when their stores are asked again
 * (`asking-again.ts`). A table of `state/objects.db`, and the only list of what waits.
 *
 * Crash story: an entry is written before the position of the stage that passes its row on, in the same file; so whatever a crash of
 * the machine takes of both is passed on again, and is written again.
 */
import type { StatementSync } from 'node:sqlite'
import type { DatabaseSync } from '../../base/sqlite.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import type { VersionNames } from './version-store.ts'

/** Dead letters that wait for the bytes of an event's object, or for what its store says of it. */
export interface Unread {
  event: ObjectEvent
  letters: UnreadLetter[]
  /** How often the store has refused this object when it was asked again. */
  tries?: number
  /** When its store is asked again, ms since 1970; absent: only when somebody asks for it. */
  dueMs?: number
}

export interface UnreadLetter {
  code: string
  reason: string
  /** Why it may pass by itself; absent in letters of before this was told. */
  passing?: Passing
}

/**
 * `unanswered`: the store did not answer; `refused`: it said no, as where rights are missing; `unnamed`: nobody could be asked, because
 * the configuration does not name the bucket; `never`: the cause lies in the object.
 */
export type Passing = 'unanswered' | 'refused' | 'unnamed' | 'never'

/** A version with what waits for it. */
export interface WaitingVersion {
  version: VersionNames
  unread: Unread
}

const CREATE = `CREATE TABLE IF NOT EXISTS unread (
  bucket TEXT NOT NULL, key TEXT NOT NULL, version_id TEXT NOT NULL, unread TEXT NOT NULL, due_ms INTEGER,
  PRIMARY KEY (bucket, key, version_id)
) STRICT, WITHOUT ROWID`

const CREATE_INDEX =
  'CREATE INDEX IF NOT EXISTS unread_due ON unread (bucket, due_ms, key, version_id) WHERE due_ms IS NOT NULL'

/** Makes the table where it is lacking. What was unread before it had times is asked again at once. */
export function createUnread(database: DatabaseSync): void {
  database.exec(CREATE)
  const columns = database.prepare("SELECT name FROM pragma_table_info('unread')").all()
  if (!columns.some(({ name }) => name === 'due_ms'))
    database.exec('BEGIN IMMEDIATE; ALTER TABLE unread ADD COLUMN due_ms INTEGER; UPDATE unread SET due_ms = 0; COMMIT')
  database.exec(CREATE_INDEX)
}

/** How the owner of the file reads and writes it, with its faults. */
export interface UnreadAccess {
  read: <T>(work: () => T) => T
  write: (work: () => void) => void
}

export class UnreadVersions {
  readonly #access: UnreadAccess
  readonly #select: StatementSync
  readonly #put: StatementSync
  readonly #remove: StatementSync
  readonly #first: StatementSync
  readonly #nextBucket: StatementSync
  readonly #firstDue: StatementSync
  readonly #due: StatementSync
  readonly #count: StatementSync
  readonly #hasten: StatementSync
  readonly #nextOfAll: StatementSync
  readonly #named: StatementSync
  /** Most of the time there is nothing unread, and nothing to look for. */
  #isAny: boolean

  constructor(database: DatabaseSync, access: UnreadAccess) {
    this.#access = access
    const prepare = (sql: string) => database.prepare(sql)
    this.#select = prepare('SELECT unread, due_ms FROM unread WHERE bucket = ? AND key = ? AND version_id = ?')
    this.#put = prepare('INSERT OR REPLACE INTO unread VALUES (?, ?, ?, ?, ?)')
    this.#remove = prepare('DELETE FROM unread WHERE bucket = ? AND key = ? AND version_id = ?')
    this.#first = prepare('SELECT 1 FROM unread LIMIT 1')
    this.#nextBucket = prepare('SELECT min(bucket) AS bucket FROM unread WHERE due_ms IS NOT NULL AND bucket > ?')
    this.#firstDue = prepare('SELECT min(due_ms) AS due FROM unread WHERE due_ms IS NOT NULL AND bucket = ?')
    this.#due = prepare(
      'SELECT * FROM unread WHERE due_ms IS NOT NULL AND bucket = ? AND due_ms <= ? ORDER BY due_ms, key, version_id LIMIT ?',
    )
    this.#count = prepare('SELECT count(*) AS waiting FROM unread WHERE due_ms IS NOT NULL AND bucket = ?')
    this.#hasten = prepare('UPDATE unread SET due_ms = ? WHERE due_ms IS NOT NULL AND bucket = ? AND due_ms > ?')
    this.#nextOfAll = prepare('SELECT min(bucket) AS bucket FROM unread WHERE bucket > ?')
    // Quotes within a name are escaped, so the text of a letter is found and nothing else.
    this.#named = prepare(
      `UPDATE unread SET due_ms = ? WHERE bucket = ? AND due_ms IS NULL AND instr(unread, '"passing":"unnamed"') > 0`,
    )
    this.#isAny = this.#first.get() !== undefined
  }

  /** What waits of a version, as last set; null: nothing. */
  get({ bucket, key, versionId }: VersionNames): Unread | null {
    if (!this.#isAny) return null
    return this.#access.read(() => {
      const found = this.#select.get(bucket, key, versionId)
      return found === undefined ? null : unreadOf(found)
    })
  }

  set(version: VersionNames, unread: Unread | null): void {
    if (unread === null && this.get(version) === null) return
    const { bucket, key, versionId } = version
    this.#access.write(() => {
      if (unread === null) this.#remove.run(bucket, key, versionId)
      else {
        const { dueMs = null, ...kept } = unread
        this.#put.run(bucket, key, versionId, JSON.stringify(kept), dueMs)
      }
      this.#isAny = this.#first.get() !== undefined
    })
  }

  /** Buckets with objects that are to be asked about again, in order of name, each with the time at which the first is due. */
  *buckets(): Generator<{ bucket: string; dueMs: number }> {
    if (!this.#isAny) return
    for (let bucket = this.#bucketAfter(''); bucket !== null; bucket = this.#bucketAfter(bucket)) {
      const name = bucket
      const due = this.#access.read(() => this.#firstDue.get(name)?.['due'])
      if (typeof due === 'number') yield { bucket, dueMs: due }
    }
  }

  #bucketAfter(bucket: string): string | null {
    return this.#access.read(() => (this.#nextBucket.get(bucket)?.['bucket'] ?? null) as string | null)
  }

  /** Objects of a bucket that are due, those first that are due for longest. */
  due(bucket: string, nowMs: number, limit: number): WaitingVersion[] {
    return this.#access.read(() =>
      this.#due.all(bucket, nowMs, limit).map((row) => ({
        version: { bucket, key: String(row['key']), versionId: String(row['version_id']) },
        unread: unreadOf(row),
      })),
    )
  }

  /** Objects of a bucket that are to be asked about again, due or not. */
  waiting(bucket: string): number {
    return this.#access.read(() => Number(this.#count.get(bucket)?.['waiting']))
  }

  /** What waits for its bucket to be named is due now, of the buckets that are named. */
  named(isNamed: (bucket: string) => boolean, nowMs: number): void {
    if (!this.#isAny) return
    const after = (bucket: string) =>
      this.#access.read(() => (this.#nextOfAll.get(bucket)?.['bucket'] ?? null) as string | null)
    for (let bucket = after(''); bucket !== null; bucket = after(bucket)) {
      const name = bucket
      if (isNamed(name)) this.#access.write(() => this.#named.run(nowMs, name))
    }
  }

  /** What is to be asked of a bucket some time is due now. */
  hasten(bucket: string, nowMs: number): void {
    this.#access.write(() => this.#hasten.run(nowMs, bucket, nowMs))
  }
}

function unreadOf({ unread, due_ms: dueMs }: Record<string, unknown>): Unread {
  return { ...(JSON.parse(unread as string) as Unread), ...(typeof dueMs === 'number' && { dueMs }) }
}
