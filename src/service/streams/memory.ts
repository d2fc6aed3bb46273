/**
 * What streams remember against repetition: the last sequence number of each producer, and the answers to requests that came
 * with an idempotency key. And the definitions of streams that were made through the API.
 *
 * Invariant: what is remembered of a stream is a function of its log. Entries carry their producer and request; this file holds
 * what follows from the entries before `applied`, and at start the rest of the log is read again. Applying an entry twice
 * changes nothing.
 *
 * Crash story: writes are not synced one by one. `keep` syncs, and runs before the log forgets entries: so whatever is missing
 * here after a crash is still in the log. Definitions are synced when made.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { Fault, messageOf } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { type RememberedRequest, readTableChange } from '../../change/table-change.ts'
import type { Log } from '../../log/log.ts'

export interface ProducerState {
  epoch: number
  sequence: number
}

/** A request's answer: what was remembered, and the offset of its first record's entry. */
export interface KnownRequest extends RememberedRequest {
  first: number
}

const LAYOUT = 2
/** What layout 2 added. */
const CREATE_2 = `
CREATE TABLE notes (stream TEXT PRIMARY KEY, version INTEGER NOT NULL, paused INTEGER NOT NULL, tags TEXT NOT NULL) STRICT;
PRAGMA user_version = 2;
`
const CREATE_1 = `
CREATE TABLE definitions (name TEXT PRIMARY KEY, definition TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE applied (stream TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;
CREATE TABLE producers (stream TEXT NOT NULL, id TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
  seen INTEGER NOT NULL, PRIMARY KEY (stream, id)) STRICT, WITHOUT ROWID;
CREATE INDEX producers_seen ON producers (stream, seen);
CREATE TABLE requests (stream TEXT NOT NULL, key TEXT NOT NULL, at_ms INTEGER NOT NULL, seen INTEGER NOT NULL,
  body TEXT NOT NULL, PRIMARY KEY (stream, key)) STRICT, WITHOUT ROWID;
CREATE INDEX requests_seen ON requests (stream, seen);
`

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

export class StreamMemory {
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  /** @throws Fault `unavailable`, `corrupt` (another layout) */
  constructor(path: string) {
    try {
      this.#db = new DatabaseSync(path)
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000')
      const version = Number(this.#db.prepare('PRAGMA user_version').get()?.['user_version'])
      if (version === 0) this.#db.exec(`BEGIN; ${CREATE_1} ${CREATE_2} COMMIT`)
      else if (version === 1) this.#db.exec(`BEGIN; ${CREATE_2} COMMIT`)
      else if (version !== LAYOUT) throw new Error(`expected layout ${LAYOUT}, got ${version}`)
    } catch (error) {
      throw new Fault('unavailable', `cannot open ${path}: ${messageOf(error)}`, { path }, error)
    }
  }

  definitions(): StoredDefinition[] {
    const rows = this.#statement('SELECT name, definition, created_ms FROM definitions ORDER BY name').all()
    return rows.map((row) => ({
      name: String(row['name']),
      definition: String(row['definition']),
      createdMs: Number(row['created_ms']),
    }))
  }

  /** Durable when it returns. */
  define({ name, definition, createdMs }: StoredDefinition): void {
    this.#run('INSERT OR REPLACE INTO definitions VALUES (?, ?, ?)', name, definition, createdMs)
    this.#sync()
  }

  /** Durable when it returns. What was remembered of the stream stays: its log goes on if it is made again. */
  undefine(name: string): void {
    this.#run('DELETE FROM definitions WHERE name = ?', name)
    this.#run('DELETE FROM notes WHERE stream = ?', name)
    this.#sync()
  }

  notes(stream: string): StreamNotes {
    const row = this.#statement('SELECT version, paused, tags FROM notes WHERE stream = ?').get(stream)
    if (row === undefined) return { version: 1, paused: false, tags: {} }
    return {
      version: Number(row['version']),
      paused: row['paused'] === 1,
      tags: JSON.parse(String(row['tags'])) as Record<string, string>,
    }
  }

  /** Durable when it returns. */
  note(stream: string, change: Partial<StreamNotes>): StreamNotes {
    const notes = { ...this.notes(stream), ...change }
    const { version, paused, tags } = notes
    this.#run('INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)', stream, version, paused ? 1 : 0, JSON.stringify(tags))
    this.#sync()
    return notes
  }

  producer(stream: string, id: string): ProducerState | null {
    const row = this.#statement('SELECT epoch, sequence FROM producers WHERE stream = ? AND id = ?').get(stream, id)
    return row === undefined ? null : { epoch: Number(row['epoch']), sequence: Number(row['sequence']) }
  }

  request(stream: string, key: string): KnownRequest | null {
    const row = this.#statement('SELECT body FROM requests WHERE stream = ? AND key = ?').get(stream, key)
    return row === undefined ? null : (JSON.parse(String(row['body'])) as KnownRequest)
  }

  /** The last entry of a producer's stretch. An older one changes nothing. */
  sawProducer(stream: string, offset: number, [id, epoch, sequence]: [string, number, number]): void {
    this.#run(
      `INSERT INTO producers VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
       SET epoch = excluded.epoch, sequence = excluded.sequence, seen = excluded.seen
       WHERE (excluded.epoch, excluded.sequence) > (producers.epoch, producers.sequence)`,
      stream,
      id,
      epoch,
      sequence,
      offset,
    )
  }

  /** @param offset of the entry that carries it, which is the last one of the request */
  sawRequest(stream: string, offset: number, request: RememberedRequest): void {
    const known: KnownRequest = {
      ...request,
      first: offset - (request.count - request.letters.length - (request.dropped?.length ?? 0)),
    }
    this.#run(
      'INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?)',
      stream,
      request.key,
      request.atMs,
      offset,
      JSON.stringify(known),
    )
  }

  /** Applies what the log holds from where this file ends. */
  async catchUp(stream: string, log: Log, end = log.end): Promise<void> {
    const row = this.#statement('SELECT until FROM applied WHERE stream = ?').get(stream)
    let from = Math.max(Number(row?.['until'] ?? 0), log.start)
    while (from < end) {
      const entries = await log.read(from, 5_000)
      this.#transaction(() => {
        for (const { offset, text } of entries) {
          if (!/"(producer|request)":/.test(text)) continue
          const { producer, request } = readTableChange(text)
          if (producer !== undefined) this.sawProducer(stream, offset, producer)
          if (request !== undefined) this.sawRequest(stream, offset, request)
        }
        from += entries.length
        this.#applied(stream, from)
      })
      if (entries.length === 0) return
    }
  }

  /** Makes durable what follows from the entries before `end`, and forgets what is over its bounds. */
  async keep(stream: string, log: Log, end: number, nowMs: number): Promise<void> {
    await this.catchUp(stream, log, end)
    this.#forget('requests', stream, limits.streamRequestsKept)
    this.#forget('producers', stream, limits.streamProducersKept)
    this.#run('DELETE FROM requests WHERE stream = ? AND at_ms < ?', stream, nowMs - limits.streamRequestAgeMaxMs)
    this.#sync()
  }

  close(): void {
    this.#statements.clear()
    this.#db.close()
  }

  #applied(stream: string, until: number): void {
    this.#run('INSERT OR REPLACE INTO applied VALUES (?, ?)', stream, until)
  }

  #forget(table: 'requests' | 'producers', stream: string, kept: number): void {
    this.#run(
      `DELETE FROM ${table} WHERE stream = ? AND seen <= (SELECT seen FROM ${table} WHERE stream = ? ORDER BY seen DESC LIMIT 1 OFFSET ${kept})`,
      stream,
      stream,
    )
  }

  #sync(): void {
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  #transaction(work: () => void): void {
    this.#db.exec('BEGIN')
    try {
      work()
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }

  #run(sql: string, ...values: (string | number)[]): void {
    this.#statement(sql).run(...values)
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}
