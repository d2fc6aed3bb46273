/**
 * The states of all object versions (`version-state.ts`) in one SQLite file.
 *
 * Invariant: `applied` is written in the transaction that merges the events before it. Merging is idempotent, so a batch
 * that is applied again after a crash changes nothing, whichever part of the log it begins at.
 *
 * Crash story: a batch is in the file as a whole and synced when `applyBatch` returns, or not at all: the log may be trimmed
 * up to what was applied.
 *
 * The file's text encoding is UTF-16 (big-endian), because SQLite compares texts byte by byte: keys so come in the order of
 * stores and JavaScript, by UTF-16 code unit. Two objects of one database file in two processes would overwrite each other's
 * merges; the log's lock keeps the second process out.
 */
import type { StatementSync } from 'node:sqlite'
import { must } from '../../base/assert.ts'
import { Fault, messageOf } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { DatabaseSync } from '../../base/sqlite.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import type { Description } from './description.ts'
import { createUnread, UnreadVersions } from './unread.ts'
import { type Effect, merge, presenceOf, tipOf, type VersionState, withDescription } from './version-state.ts'

/** What became of one event of a batch. */
export interface AppliedEvent {
  offset: number
  event: ObjectEvent
  effect: Effect
  /** The version's state with this event. */
  state: VersionState
  /** Offset of the event that last changed what the version shows; this event's, if it did. */
  changedOffset: number
  /** Offset of the event that last decided what the version is; this event's, if it did. */
  tipOffset: number
  /** `changedOffset` before this event; null when nothing of the version showed. */
  previousOffset: number | null
}

/** A page ends behind this version; the next begins after it. */
export interface VersionCursor {
  key: string
  versionId: string
}

/** A version that is there, object or marker. */
export interface ShownVersion extends VersionCursor {
  state: VersionState
}

export interface VersionCounts {
  objects: number
  markers: number
  /** Versions that are gone, or of which only updates are known. */
  absent: number
}

export interface VersionStore {
  /** End offset of the log entries that have been merged. */
  readonly applied: number
  /** End offset of the entries whose consequences have been passed on, as last set. */
  readonly emitted: number
  /** Not synced: a crash of the machine may bring an older one back, after which the same is passed on again. */
  setEmitted(offset: number): void
  /** Merges events in one transaction, in their order. @returns one result per event */
  applyBatch(events: readonly { offset: number; event: ObjectEvent }[]): AppliedEvent[]
  /**
   * Keeps what a store answered about versions that are known, and gives their states with it. Not synced, as `setEmitted`: what
   * is lost of it is asked again.
   */
  describe(answers: readonly { version: VersionNames; description: Description }[]): VersionState[]
  get(bucket: string, key: string, versionId: string): VersionState | null
  /**
   * Up to `limit` versions that are there, markers too, after a version, in order of key (by UTF-16 code unit) and version id.
   * A cursor with an empty version id stands before the first version of its key.
   */
  listShown(bucket: string, after: VersionCursor, limit: number): ShownVersion[]
  /** Every version of a key that was ever heard of, tombstones too, by version id. */
  versionsOf(bucket: string, key: string): VersionState[]
  /** The deciding events of up to `limit` objects that are there (no markers) after a version, in order of key, version id. */
  listPresent(bucket: string, after: VersionCursor | null, limit: number): ObjectEvent[]
  /** All of them. What is merged during the walk shows if it lies ahead. */
  present(bucket: string): Generator<ObjectEvent>
  counts(): VersionCounts
  /** Every version ever heard of, tombstones too, in no order that means anything. Nothing may be merged meanwhile. */
  all(): Generator<VersionState>
  /**
   * Says that everything before `offset` is merged and passed on: for a store that was made anew, whose `applied` is then more
   * than 0, so that it is told from one that is new.
   */
  setTaken(offset: number): void
  /** What could not be read or learned of versions. Not synced, as `setEmitted`: what is lost of it comes with what is passed on again. */
  readonly unread: UnreadVersions
  close(): void
}

export type VersionNames = Pick<ObjectEvent, 'bucket' | 'key' | 'versionId'>

const LAYOUT = 1

/** How `presenceOf` a state is written. */
const SHOWS = { absent: 0, object: 1, marker: 2 } as const

const NEVER = -1

const CREATE = `
CREATE TABLE versions (
  bucket TEXT NOT NULL,
  key TEXT NOT NULL,
  version_id TEXT NOT NULL,
  shows INTEGER NOT NULL,
  changed_offset INTEGER NOT NULL,
  tip_offset INTEGER NOT NULL,
  state BLOB NOT NULL,
  PRIMARY KEY (bucket, key, version_id)
) STRICT;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('applied', 0), ('emitted', 0);
PRAGMA user_version = ${LAYOUT};
`

/** One version as it is in the file, with what this batch has made of it. */
interface Row {
  /** Any event of it, for its names. */
  event: ObjectEvent
  rowId: number | null
  state: VersionState | null
  changedOffset: number
  tipOffset: number
  dirty: boolean
}

/** Opens the file, creating it if it is not there. @throws Fault `unavailable`, `corrupt`, `unsupported` (another layout) */
export function openVersionStore(options: { path: string }): VersionStore {
  const { path } = options
  return guard(path, () => {
    const database = new DatabaseSync(path, { timeout: limits.catalogBusyMs })
    try {
      const layout = (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version
      if (layout !== LAYOUT && layout !== 0) {
        throw new Fault(
          'unsupported',
          `${path} has layout ${layout}, this version of Tidewater reads ${LAYOUT}: use the version that wrote it.`,
          { path, layout },
        )
      }
      if (layout === 0) database.exec("PRAGMA encoding = 'UTF-16be'")
      database.exec(
        'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16000',
      )
      if (layout === 0) database.exec(`BEGIN IMMEDIATE; ${CREATE} COMMIT`)
      createUnread(database)
      return new SqliteVersionStore(path, database)
    } catch (error) {
      database.close()
      throw error
    }
  })
}

class SqliteVersionStore implements VersionStore {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #select: StatementSync
  readonly #insert: StatementSync
  readonly #update: StatementSync
  readonly #setMeta: StatementSync
  readonly #versionsOf: StatementSync
  readonly #page: StatementSync
  readonly #shownPage: StatementSync
  readonly unread: UnreadVersions
  #applied: number
  #emitted: number

  constructor(path: string, database: DatabaseSync) {
    this.#path = path
    this.#database = database
    this.#select = database.prepare(
      'SELECT rowid, state, changed_offset, tip_offset FROM versions WHERE bucket = ? AND key = ? AND version_id = ?',
    )
    this.#insert = database.prepare('INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?)')
    this.#update = database.prepare(
      'UPDATE versions SET shows = ?, changed_offset = ?, tip_offset = ?, state = ? WHERE rowid = ?',
    )
    this.#setMeta = database.prepare('UPDATE meta SET value = ? WHERE name = ?')
    this.#versionsOf = database.prepare('SELECT state FROM versions WHERE bucket = ? AND key = ? ORDER BY version_id')
    this.#page = database.prepare(
      `SELECT state FROM versions WHERE bucket = ? AND (key, version_id) > (?, ?) AND shows = ${SHOWS.object} ORDER BY key, version_id LIMIT ?`,
    )
    this.#shownPage = database.prepare(
      `SELECT key, version_id, state FROM versions WHERE bucket = ? AND (key, version_id) > (?, ?) AND shows <> ${SHOWS.absent} ORDER BY key, version_id LIMIT ?`,
    )
    this.unread = new UnreadVersions(database, {
      read: (work) => guard(path, work),
      write: (work) => this.#unsynced(work),
    })
    const metaOf = database.prepare('SELECT value FROM meta WHERE name = ?')
    this.#applied = (metaOf.get('applied') as { value: number }).value
    this.#emitted = (metaOf.get('emitted') as { value: number }).value
  }

  get applied(): number {
    return this.#applied
  }

  get emitted(): number {
    return this.#emitted
  }

  setEmitted(offset: number): void {
    this.#unsynced(() => this.#setMeta.run(offset, 'emitted'))
    this.#emitted = offset
  }

  #unsynced(work: () => unknown): void {
    guard(this.#path, () => {
      this.#database.exec('PRAGMA synchronous = NORMAL')
      try {
        work()
      } finally {
        this.#database.exec('PRAGMA synchronous = FULL')
      }
    })
  }

  applyBatch(events: readonly { offset: number; event: ObjectEvent }[]): AppliedEvent[] {
    if (events.length === 0) return []
    return guard(this.#path, () => {
      this.#database.exec('BEGIN IMMEDIATE')
      try {
        const rows = new Map<string, Row>()
        const results = events.map(({ offset, event }) => this.#apply(rows, offset, event))
        for (const row of rows.values()) if (row.dirty) this.#write(row)
        const applied = events.reduce((end, { offset }) => Math.max(end, offset + 1), this.#applied)
        this.#setMeta.run(applied, 'applied')
        this.#database.exec('COMMIT')
        this.#applied = applied
        return results
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
        throw error
      }
    })
  }

  describe(answers: readonly { version: VersionNames; description: Description }[]): VersionState[] {
    if (answers.length === 0) return []
    const states: VersionState[] = []
    this.#unsynced(() => {
      const set = this.#database.prepare('UPDATE versions SET state = ? WHERE rowid = ?')
      this.#database.exec('BEGIN IMMEDIATE')
      try {
        for (const { version, description } of answers) {
          const found = must(this.#select.get(version.bucket, version.key, version.versionId), 'a known version')
          const state = withDescription(stateOf(found), description)
          set.run(Buffer.from(JSON.stringify(state)), found['rowid'] as number)
          states.push(state)
        }
        this.#database.exec('COMMIT')
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
        throw error
      }
    })
    return states
  }

  #apply(rows: Map<string, Row>, offset: number, event: ObjectEvent): AppliedEvent {
    const id = `${event.bucket.length}:${event.versionId.length}:${event.bucket}${event.versionId}${event.key}`
    let row = rows.get(id)
    if (row === undefined) {
      row = this.#read(event)
      rows.set(id, row)
    }
    const previousOffset = row.changedOffset === NEVER ? null : row.changedOffset
    const { state, effect, changed, decided } = merge(row.state, event)
    row.dirty ||= row.state === null || (effect !== 'duplicate' && !isSame(row.state, state))
    row.state = state
    if (changed) row.changedOffset = offset
    if (decided) row.tipOffset = offset
    return { offset, event, effect, state, changedOffset: row.changedOffset, tipOffset: row.tipOffset, previousOffset }
  }

  #read(event: ObjectEvent): Row {
    const found = this.#select.get(event.bucket, event.key, event.versionId)
    if (found === undefined)
      return { event, rowId: null, state: null, changedOffset: NEVER, tipOffset: NEVER, dirty: false }
    return {
      event,
      rowId: found['rowid'] as number,
      state: stateOf(found),
      changedOffset: found['changed_offset'] as number,
      tipOffset: found['tip_offset'] as number,
      dirty: false,
    }
  }

  #write(row: Row): void {
    const state = must(row.state, 'the state of a changed version')
    const { bucket, key, versionId } = row.event
    const shows = SHOWS[presenceOf(state)]
    const bytes = Buffer.from(JSON.stringify(state))
    if (row.rowId === null) this.#insert.run(bucket, key, versionId, shows, row.changedOffset, row.tipOffset, bytes)
    else this.#update.run(shows, row.changedOffset, row.tipOffset, bytes, row.rowId)
  }

  get(bucket: string, key: string, versionId: string): VersionState | null {
    return guard(this.#path, () => {
      const found = this.#select.get(bucket, key, versionId)
      return found === undefined ? null : stateOf(found)
    })
  }

  versionsOf(bucket: string, key: string): VersionState[] {
    return guard(this.#path, () => this.#versionsOf.all(bucket, key).map(stateOf))
  }

  listPresent(bucket: string, after: VersionCursor | null, limit: number): ObjectEvent[] {
    // No key is empty: before the first stands the empty text.
    const { key, versionId } = after ?? { key: '', versionId: '' }
    return guard(this.#path, () =>
      this.#page
        .all(bucket, key, versionId, limit)
        .map((row) => must(tipOf(stateOf(row)), 'the event that made an object')),
    )
  }

  listShown(bucket: string, { key, versionId }: VersionCursor, limit: number): ShownVersion[] {
    return guard(this.#path, () =>
      this.#shownPage.all(bucket, key, versionId, limit).map((row) => ({
        key: row['key'] as string,
        versionId: row['version_id'] as string,
        state: stateOf(row),
      })),
    )
  }

  *present(bucket: string): Generator<ObjectEvent> {
    let page = this.listPresent(bucket, null, limits.scanPageFiles)
    while (page.length > 0) {
      yield* page
      page = page.length < limits.scanPageFiles ? [] : this.listPresent(bucket, page.at(-1)!, limits.scanPageFiles)
    }
  }

  counts(): VersionCounts {
    return guard(this.#path, () => {
      const counts = new Map(
        this.#database
          .prepare('SELECT shows, count(*) AS versions FROM versions GROUP BY shows')
          .all()
          .map((row) => [row['shows'] as number, row['versions'] as number]),
      )
      return {
        objects: counts.get(SHOWS.object) ?? 0,
        markers: counts.get(SHOWS.marker) ?? 0,
        absent: counts.get(SHOWS.absent) ?? 0,
      }
    })
  }

  *all(): Generator<VersionState> {
    for (const row of this.#database.prepare('SELECT state FROM versions').iterate()) yield stateOf(row)
  }

  setTaken(offset: number): void {
    guard(this.#path, () => {
      this.#database.exec('BEGIN IMMEDIATE')
      this.#setMeta.run(Math.max(offset, 1), 'applied')
      this.#setMeta.run(offset, 'emitted')
      this.#database.exec('COMMIT')
    })
    this.#applied = Math.max(offset, 1)
    this.#emitted = offset
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }
}

function stateOf(row: Record<string, unknown>): VersionState {
  const bytes = row['state'] as Uint8Array
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as VersionState
}

/** Merging leaves the parts it does not change as they are, so comparing the members by identity is enough. */
function isSame(one: VersionState, other: VersionState): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof VersionState>
  for (const name of names) if (one[name] !== other[name]) return false
  return true
}

const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26

function guard<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const code = (error as { errcode?: unknown }).errcode
    if (typeof code !== 'number') throw error
    const kind = (code & 0xff) === SQLITE_CORRUPT || code === SQLITE_NOTADB ? 'corrupt' : 'unavailable'
    const advice = kind === 'corrupt' ? '' : ' See that the disk has room and is sound, then try again.'
    throw new Fault(
      kind,
      `The object versions in ${path} cannot be used: ${messageOf(error)}.${advice}`,
      { path, code },
      error,
    )
  }
}
