/**
 * Which files a stream has taken: `state/files.db`.
 *
 * A file is its bytes as they were written: its path, size, time of writing and the hash of what is in it. The same bytes of the same
 * time under another name are the same file when nothing is under the old one any more: it was renamed, or taken away and brought
 * again. Its rows are numbered under one name all the while, its producer's.
 *
 * Invariants
 * 1. A file is in here before its first row is taken, and marked as done after its last one was.
 * 2. What is in here decides nothing alone while a file is being taken: rows are known by their numbers in the stream's log.
 *
 * Crash story: killed between the last row and the mark, the file is read again and nothing of it is new.
 */
import type { StatementSync } from 'node:sqlite'
import { Fault, messageOf } from '../../../base/fault.ts'
import { sha256Hex } from '../../../base/hash.ts'
import { limits } from '../../../base/limits.ts'
import { DatabaseSync } from '../../../base/sqlite.ts'

export interface FileIdentity {
  /** From the directory, with `/`. */
  path: string
  sizeBytes: number
  /** Nanoseconds since 1970, as text. */
  writtenNs: string
  /** SHA-256 of its bytes, hex. */
  hash: string
}

export interface KnownFile {
  /** Under which its rows are numbered. */
  producer: string
  /** `bad`: done, but it could not be read to its end. */
  state: 'begun' | 'done' | 'bad'
}

const LAYOUT = 1
/** As numbers in the file. */
const STATES = ['begun', 'done', 'bad'] as const

export class FileLedger {
  readonly #db: DatabaseSync
  readonly #path: string
  readonly #statements = new Map<string, StatementSync>()
  #count: number

  /** @throws Fault `unavailable`, `corrupt` */
  constructor(path: string) {
    this.#path = path
    try {
      this.#db = new DatabaseSync(path)
      this.#db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
        CREATE TABLE IF NOT EXISTS files (
          n INTEGER PRIMARY KEY, stream TEXT NOT NULL, path TEXT NOT NULL, stamp TEXT NOT NULL, size INTEGER NOT NULL,
          written_ns TEXT NOT NULL, hash TEXT NOT NULL, producer TEXT NOT NULL, done INTEGER NOT NULL);
        CREATE INDEX IF NOT EXISTS files_by_path ON files (stream, path);
        CREATE INDEX IF NOT EXISTS files_by_hash ON files (stream, hash)`)
      const version = Number(this.#db.prepare('PRAGMA user_version').get()?.['user_version'])
      if (version === 0) this.#db.exec(`PRAGMA user_version = ${LAYOUT}`)
      else if (version !== LAYOUT) throw new Error(`expected layout ${LAYOUT}, got ${version}`)
      this.#count = Number(this.#db.prepare('SELECT count(*) AS n FROM files').get()?.['n'])
    } catch (error) {
      const damaged = /not a database|malformed|expected layout/.test(messageOf(error))
      throw new Fault(damaged ? 'corrupt' : 'unavailable', `cannot open ${path}: ${messageOf(error)}`, { path }, error)
    }
  }

  /** What is known of the file at a path while it looks as it did (`stamp`), without a look into it. */
  glance(stream: string, path: string, stamp: string): KnownFile | null {
    const row = this.#get(
      'SELECT producer, done FROM files WHERE stream = ? AND path = ? AND stamp = ? ORDER BY n DESC LIMIT 1',
      ...[stream, path, stamp],
    )
    return row === undefined ? null : knownOf(row)
  }

  /**
   * The file, remembered from now on.
   * @param isThere whether a path still has the file that it had
   */
  async begin(
    stream: string,
    identity: FileIdentity,
    stamp: string,
    isThere: (path: string, stamp: string) => Promise<boolean>,
  ): Promise<KnownFile> {
    const { path, sizeBytes, writtenNs, hash } = identity
    const same = this.#all(
      'SELECT n, path, stamp, producer, done FROM files WHERE stream = ? AND hash = ? AND size = ? AND written_ns = ? ORDER BY n',
      ...[stream, hash, sizeBytes, writtenNs],
    )
    let found = same.find((row) => row['path'] === path)
    for (const row of same) {
      if (found !== undefined) break
      if (!(await isThere(String(row['path']), String(row['stamp'])))) found = row
    }
    if (found !== undefined) {
      this.#run('UPDATE files SET path = ?, stamp = ? WHERE n = ?', path, stamp, Number(found['n']))
      return knownOf(found)
    }
    const producer = producerOf(identity, same.length)
    this.#run(
      'INSERT INTO files (stream, path, stamp, size, written_ns, hash, producer, done) VALUES (?, ?, ?, ?, ?, ?, ?, 0)',
      ...[stream, path, stamp, sizeBytes, writtenNs, hash, producer],
    )
    this.#count++
    return { producer, state: 'begun' }
  }

  /** All its rows are taken. Durable when it returns. */
  finish(stream: string, producer: string, state: 'done' | 'bad'): void {
    const done = STATES.indexOf(state)
    this.#run('UPDATE files SET done = ? WHERE stream = ? AND producer = ?', done, stream, producer)
  }

  /** The stream is removed: one of its name that is made later has taken nothing. */
  forget(stream: string): void {
    this.#count -= this.#run('DELETE FROM files WHERE stream = ?', stream)
  }

  /** Keeps within its bound, by the oldest files that are done and gone. */
  async prune(stream: string, isThere: (path: string, stamp: string) => Promise<boolean>): Promise<void> {
    if (this.#count <= limits.filesRememberedMax) return
    const old = this.#all(
      `SELECT n, path, stamp FROM files WHERE stream = ? AND done > 0 ORDER BY n LIMIT ${limits.filesForgottenAtOnce}`,
      stream,
    )
    for (const { n, path, stamp } of old)
      if (!(await isThere(String(path), String(stamp))))
        this.#count -= this.#run('DELETE FROM files WHERE n = ?', Number(n))
  }

  close(): void {
    this.#statements.clear()
    this.#db.close()
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  #get(sql: string, ...values: (string | number)[]): Record<string, unknown> | undefined {
    return this.#failing(() => this.#statement(sql).get(...values))
  }

  #all(sql: string, ...values: (string | number)[]): Record<string, unknown>[] {
    return this.#failing(() => this.#statement(sql).all(...values))
  }

  #run(sql: string, ...values: (string | number)[]): number {
    return this.#failing(() => Number(this.#statement(sql).run(...values).changes))
  }

  #failing<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw new Fault('unavailable', `cannot use ${this.#path}: ${messageOf(error)}`, { path: this.#path }, error)
    }
  }
}

function knownOf(row: Record<string, unknown>): KnownFile {
  return { producer: String(row['producer']), state: STATES[Number(row['done'])] ?? 'begun' }
}

const PATH_CHARS = 150

/**
 * A name for people, made one by a hash: a dead letter of a row says where it is.
 * @param copies of it that are known already
 */
function producerOf(identity: FileIdentity, copies: number): string {
  const { path, sizeBytes, writtenNs, hash } = identity
  const id = sha256Hex(Buffer.from(JSON.stringify([path, sizeBytes, writtenNs, hash, copies]))).slice(0, 24)
  return `${path.slice(-PATH_CHARS).replaceAll(/[^\x21-\x7e]/g, '_')}#${id}`
}
