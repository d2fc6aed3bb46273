/**
 * The row index of one keyed table: key hash (128 bits) → where the key's row is (data file, position), and its ordering value.
 *
 * A cache in a DuckDB file of its own, stamped with the snapshot it describes. Two tables make it up: `base`, large and
 * rarely touched, and `delta`, newer words on keys (also "gone": no file), of which the last one counts. A small commit only
 * appends to the delta, which is merged into the base when it has grown; a large one goes to the base at once.
 *
 * Rows are found by `p`, the first 32 bits of the hash: a pass over ten million of them costs a third of one over whole hashes,
 * which are compared only where `p` agrees. `ord` is null throughout, and takes no space, where a table has no ordering column;
 * where it has one, the keys deleted last are in `tombstones` (`tombstones.ts`).
 *
 * Crash story: every change of the index is one transaction that also moves the stamp. If the process dies between the
 * table's commit and the index's, the stamp is behind and `catchUp` brings it up from the files.
 */
import { rm, stat } from 'node:fs/promises'
import { assert } from '../base/assert.ts'
import { isFault } from '../base/fault.ts'
import { type Json, parseJson, stringifyJson } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { Duck, type DuckSession, ident, literal } from '../duck/duck.ts'
import type { DataFile, Value } from '../iceberg/spec/manifest.ts'

/** Raised when the layout changes: an index of another layout is built anew. */
const LAYOUT = 5

/** One bitmap is of so many positions (as a power of two) of a file. */
const BITMAP_SHIFT = 16

/** The 32 bits of hash `h` that rows are found by. */
export function hashPrefix(h: string): string {
  return `(${h} >> 96)::UINTEGER`
}

/** A data file whose rows the index knows. */
export interface IndexedFile {
  id: number
  /** Letter by letter as in the manifest. */
  path: string
  specId: number
  partition: Value[]
  /** Rows that are not deleted. */
  liveRows: number
}

export class RowIndex {
  readonly #session: DuckSession
  readonly #alias: string
  readonly #path: string
  /** The delta is merged into the base beyond so many rows. */
  readonly #deltaRowsMax: number
  #snapshotId: bigint | null = null
  #nextFileId = 0
  /** Rows of the delta, or more: 0 only when it is empty, also when looking at it has failed. */
  #deltaRows = 0
  /** Of the last word in the delta. */
  #word = 0

  private constructor(session: DuckSession, alias: string, path: string, deltaRowsMax: number) {
    this.#session = session
    this.#alias = alias
    this.#path = path
    this.#deltaRowsMax = deltaRowsMax
  }

  /**
   * Opens or makes the index file. A file that cannot be opened, or is of another layout or key, is replaced by an
   * empty index: it is a cache.
   * @param identity text that names table uuid and key columns
   */
  static async open(
    session: DuckSession,
    alias: string,
    path: string,
    identity: string,
    deltaRowsMax: number = limits.indexDeltaRowsMax,
  ): Promise<RowIndex> {
    const index = new RowIndex(session, alias, path, deltaRowsMax)
    await settleWal(path)
    try {
      await index.#attach()
      if (await index.#load(identity)) return index
      await index.#detach()
    } catch (error) {
      // Held by another process is no damage: say so instead of taking its file away.
      if (isFault(error, 'unavailable') && /lock/i.test(error.message)) throw error
      await index.#detach().catch(() => undefined)
    }
    await rm(path, { force: true })
    await rm(`${path}.wal`, { force: true })
    await index.#attach()
    await index.#create(identity)
    return index
  }

  /** Opens an index to look at it, changing nothing. Null when there is none that belongs to the table. @throws Fault */
  static async peek(session: DuckSession, alias: string, path: string, identity: string): Promise<RowIndex | null> {
    const index = new RowIndex(session, alias, path, limits.indexDeltaRowsMax)
    await index.#attach(' (READ_ONLY)')
    try {
      if (await index.#load(identity)) return index
    } catch (error) {
      await index.#detach()
      throw error
    }
    await index.#detach()
    return null
  }

  /** The snapshot that the index describes; null: an empty table. */
  get snapshotId(): bigint | null {
    return this.#snapshotId
  }

  /** A table of the index by its qualified name. */
  name(table: 'base' | 'delta' | 'files' | 'delete_files' | 'tombstones'): string {
    return `${ident(this.#alias)}.${table}`
  }

  /**
   * The relation of where the keys in relation `keys` (column h, each once) stand now: (h, file, pos, ord). A key may have
   * several rows if another engine wrote them; all are given.
   */
  locate(keys: string): string {
    // Compared by `xor`: as a second condition of the join, the whole hash would be hashed and probed with, too.
    const found = `SELECT k.h, b.file, b.pos, b.ord FROM ${this.name('base')} b
      JOIN (SELECT h, ${hashPrefix('h')} AS p FROM ${keys}) k ON b.p = k.p WHERE xor(b.h, k.h) = 0::UHUGEINT`
    if (this.#deltaRows === 0) return found
    const said = this.#newest(` SEMI JOIN ${keys} k ON d.h = k.h`)
    return `WITH said AS MATERIALIZED (${said})
      SELECT h, file, pos, ord FROM said WHERE file IS NOT NULL
      UNION ALL SELECT b.* FROM (${found}) b ANTI JOIN said d ON b.h = d.h`
  }

  /** All rows as (h, file, pos, ord): for checks and merging. */
  get live(): string {
    return `SELECT h, file, pos, ord FROM (${this.#newest('')}) WHERE file IS NOT NULL
      UNION ALL SELECT b.h, b.file, b.pos, b.ord FROM ${this.name('base')} b ANTI JOIN ${this.name('delta')} d ON b.h = d.h`
  }

  /** The last word on each key of the delta (`d`) that `joined` leaves, as (h, file, pos, ord). */
  #newest(joined: string): string {
    return `SELECT h, last.file AS file, last.pos AS pos, last.ord AS ord FROM (
      SELECT d.h, arg_max(struct_pack(file := d.file, pos := d.pos, ord := d.ord), d.word) AS last FROM ${this.name('delta')} d${joined} GROUP BY d.h)`
  }

  /** Registers files with all their rows live under new, successive ids, inside the caller's transaction. Gives the first. */
  async addFiles(files: readonly DataFile[]): Promise<number> {
    const first = this.#nextFileId
    if (files.length === 0) return first
    const values = files.map((file) => {
      const partition = literal(stringifyJson(file.partition.map(encodeValue)))
      return `(${this.#nextFileId++}, ${literal(file.filePath)}, ${file.specId}, ${partition}, ${file.recordCount})`
    })
    await this.#session.run(`INSERT INTO ${this.name('files')} VALUES ${values.join(', ')}`)
    return first
  }

  /** All files, or those that `where` (a condition on id and path) selects. */
  async files(where = 'true'): Promise<IndexedFile[]> {
    const rows = await this.#session.rows(
      `SELECT id, path, spec_id, partition, live FROM ${this.name('files')} WHERE ${where}`,
    )
    return rows.map((row) => ({
      id: Number(row['id']),
      path: String(row['path']),
      specId: Number(row['spec_id']),
      partition: (parseJson(String(row['partition'])) as Json[]).map(decodeValue),
      liveRows: Number(row['live']),
    }))
  }

  /** Takes the rows of relation `rows` (file, one per row that was live) off the files' counts, inside the caller's transaction. */
  async countOff(rows: string): Promise<void> {
    await this.#session.run(
      `UPDATE ${this.name('files')} SET live = live - gone.n FROM (SELECT file, count(*) AS n FROM (${rows}) GROUP BY file) gone WHERE gone.file = id`,
    )
  }

  /** Counts the live rows of every file anew, inside the caller's transaction: a pass over the whole index. */
  async recount(): Promise<void> {
    await this.#session.run(
      `UPDATE ${this.name('files')} SET live = counted.n FROM (${this.counts}) counted WHERE counted.id = files.id`,
    )
  }

  /** Relation (id, live, n): the live rows of each file as kept, and as counted in a pass over the whole index. */
  get counts(): string {
    return `SELECT f.id, f.live, count(l.file) AS n FROM ${this.name('files')} f LEFT JOIN (${this.live}) l ON l.file = f.id GROUP BY ALL`
  }

  /** Forgets files and every row in them, inside the caller's transaction. The delta must be merged before. */
  async removeFiles(ids: readonly number[]): Promise<void> {
    if (ids.length === 0) return
    assert(this.#deltaRows === 0, 'the delta is merged before files are removed')
    await this.#session.run(`DELETE FROM ${this.name('base')} WHERE file IN (${ids.join(', ')})`)
    await this.#session.run(`DELETE FROM ${this.name('files')} WHERE id IN (${ids.join(', ')})`)
  }

  async deleteFiles(): Promise<string[]> {
    return (await this.#session.rows(`SELECT path FROM ${this.name('delete_files')}`)).map((row) => String(row['path']))
  }

  async addDeleteFiles(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) return
    const values = paths.map((path) => `(${literal(path)})`).join(', ')
    await this.#session.run(`INSERT INTO ${this.name('delete_files')} VALUES ${values}`)
  }

  /** Adds the rows of relation `rows` (h, file, pos, ord) to the base, inside the caller's transaction. */
  async addRows(rows: string): Promise<void> {
    await this.#session.run(
      `INSERT INTO ${this.name('base')} SELECT ${hashPrefix('h')}, h, file, pos, ord FROM (${rows})`,
    )
  }

  /**
   * Makes relation `rows` (h, file, pos, ord; file NULL: gone), of `count` rows, the newest word on its keys, inside the
   * caller's transaction. One row per key.
   * @param old table of all the rows that these keys have had until now: what `locate` gave
   */
  async put(rows: string, count: number, old: string): Promise<void> {
    if (count <= this.#deltaRowsMax) {
      this.#deltaRows += count
      await this.#session.run(
        `INSERT INTO ${this.name('delta')} SELECT h, file, pos, ord, ${++this.#word} FROM (${rows})`,
      )
      return
    }
    if (this.#deltaRows > 0) await this.#toBase()
    await this.#takeOut(old)
    await this.addRows(`SELECT * FROM (${rows}) WHERE file IS NOT NULL`)
  }

  /** The relation (h, pos) of what is known to be at places of a file. */
  at(file: number, places: readonly number[]): string {
    const of = (table: 'base' | 'delta') =>
      `SELECT h, pos FROM ${this.name(table)} WHERE file = ${file} AND pos IN (${places.join(', ')})`
    return `${of('base')} UNION ALL ${of('delta')}`
  }

  /**
   * Takes the rows of table `rows` (file, pos) out of the base. By bitmaps of their positions: that costs half of looking for their
   * hashes. They are short, since DuckDB is slow with long ones, and takes memory beyond its bound for them.
   */
  async #takeOut(rows: string): Promise<void> {
    const bits = 2 ** BITMAP_SHIFT
    await this.#session.run(
      `DELETE FROM ${this.name('base')} b USING (
        SELECT file, (pos >> ${BITMAP_SHIFT})::INTEGER AS part, bitstring_agg((pos & ${bits - 1})::INTEGER, 0, ${bits - 1}) AS gone
        FROM ${rows} GROUP BY ALL) r
      WHERE b.file = r.file AND (b.pos >> ${BITMAP_SHIFT})::INTEGER = r.part AND get_bit(r.gone, (b.pos & ${bits - 1})::INTEGER) = 1`,
    )
  }

  /** Runs `work` and moves the stamp to `snapshotId`, in one transaction. */
  async change(snapshotId: bigint | null, work: () => Promise<void>): Promise<void> {
    const nextFileId = this.#nextFileId
    try {
      await this.#session.transaction(async () => {
        await work()
        await this.#session.run(
          `UPDATE ${ident(this.#alias)}.meta SET snapshot_id = ${snapshotId ?? 'NULL'}, next_file_id = ${this.#nextFileId}`,
        )
      })
    } catch (error) {
      this.#nextFileId = nextFileId
      throw error
    }
    this.#snapshotId = snapshotId
    await this.#countDelta()
  }

  async #countDelta(): Promise<void> {
    const [delta] = await this.#session.rows(
      `SELECT count(*) AS held, coalesce(max(word), 0) AS word FROM ${this.name('delta')}`,
    )
    this.#deltaRows = Number(delta?.['held'])
    this.#word = Number(delta?.['word'])
  }

  /** Merges the delta into the base when it has grown past its bound, or when told to. */
  async merge(force = false): Promise<void> {
    if (this.#deltaRows === 0 || (!force && this.#deltaRows <= this.#deltaRowsMax)) return
    await this.#session.transaction(() => this.#toBase())
    this.#deltaRows = 0
  }

  /** The delta becomes part of the base. */
  async #toBase(): Promise<void> {
    const [base, delta] = [this.name('base'), this.name('delta')]
    await this.#session.run(`DELETE FROM ${base} WHERE h IN (SELECT h FROM ${delta})`)
    await this.addRows(`SELECT * FROM (${this.#newest('')}) WHERE file IS NOT NULL`)
    await this.#session.run(`DELETE FROM ${delta}`)
  }

  /** Empties the index but for its tombstones, inside the caller's transaction. */
  async clear(): Promise<void> {
    for (const table of ['base', 'delta', 'files', 'delete_files'] as const)
      await this.#session.run(`DELETE FROM ${this.name(table)}`)
  }

  async close(): Promise<void> {
    await this.#detach()
  }

  async #attach(mode = ''): Promise<void> {
    await this.#session.run(`ATTACH ${literal(this.#path)} AS ${ident(this.#alias)}${mode}`)
  }

  async #detach(): Promise<void> {
    await this.#session.run(`DETACH ${ident(this.#alias)}`)
  }

  async #create(identity: string): Promise<void> {
    const alias = ident(this.#alias)
    await this.#session.transaction(async () => {
      await this.#session.run(
        `CREATE TABLE ${alias}.meta (layout INTEGER, identity VARCHAR, snapshot_id BIGINT, next_file_id BIGINT)`,
      )
      await this.#session.run(
        `CREATE TABLE ${alias}.files (id INTEGER, path VARCHAR, spec_id INTEGER, partition VARCHAR, live BIGINT)`,
      )
      await this.#session.run(`CREATE TABLE ${alias}.delete_files (path VARCHAR)`)
      await this.#session.run(
        `CREATE TABLE ${alias}.base (p UINTEGER, h UHUGEINT, file INTEGER, pos BIGINT, ord BIGINT)`,
      )
      await this.#session.run(
        `CREATE TABLE ${alias}.delta (h UHUGEINT, file INTEGER, pos BIGINT, ord BIGINT, word BIGINT)`,
      )
      await this.#session.run(`CREATE TABLE ${alias}.tombstones (h UHUGEINT, ord BIGINT, at_ms BIGINT)`)
      await this.#session.run(`INSERT INTO ${alias}.meta VALUES (${LAYOUT}, ${literal(identity)}, NULL, 0)`)
    })
    this.#snapshotId = null
    this.#nextFileId = 0
  }

  async #load(identity: string): Promise<boolean> {
    const [meta] = await this.#session.rows(`SELECT * FROM ${ident(this.#alias)}.meta`)
    if (meta === undefined || meta['layout'] !== LAYOUT || meta['identity'] !== identity) return false
    this.#snapshotId = (meta['snapshot_id'] as bigint | null) ?? null
    this.#nextFileId = Number(meta['next_file_id'])
    await this.#countDelta()
    return true
  }
}

/**
 * After a kill the index has a write-ahead log, which DuckDB replays when it attaches the file. Where it cannot, it declares the
 * whole instance invalid, with all that is attached to it: so this is done in an instance of its own. An index that cannot be
 * replayed is taken away.
 */
async function settleWal(path: string): Promise<void> {
  const wal = await stat(`${path}.wal`).catch(() => null)
  if (wal === null) return
  const duck = await Duck.open({ memoryMiB: limits.indexReplayMemoryMiB, threads: 1 })
  try {
    const session = await duck.connect()
    await session.run(`ATTACH ${literal(path)} AS settled`)
    await session.run('DETACH settled')
  } catch (error) {
    if (isFault(error, 'unavailable') && /lock/i.test(error.message)) throw error
    await rm(path, { force: true })
    await rm(`${path}.wal`, { force: true })
  } finally {
    duck.close()
  }
}

/** Partition values as JSON that keeps bytes and long integers apart from text and small numbers. */
function encodeValue(value: Value): Json {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') }
  if (typeof value === 'bigint') return { long: String(value) }
  if (typeof value === 'number' && !Number.isFinite(value)) return { double: String(value) }
  return value
}

function decodeValue(json: Json): Value {
  if (json === null || typeof json !== 'object') return json
  assert(!Array.isArray(json), 'a partition value is no list')
  if (typeof json['bytes'] === 'string') return Buffer.from(json['bytes'], 'hex')
  if (typeof json['long'] === 'string') return BigInt(json['long'])
  return Number(json['double'])
}
