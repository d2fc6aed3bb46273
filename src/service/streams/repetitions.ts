/**
 * What one stream has taken already, by its producers' numbers and its requests' keys.
 *
 * New knowledge is kept in this process first and written to `state/streams.db` in batches: an append that is durable is known from
 * that moment on, whatever happens to the file. See `memory.ts` for what holds.
 */
import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { Fault, messageOf } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { type RememberedRequest, readTableChange } from '../../change/table-change.ts'
import type { Log } from '../../log/log.ts'
import { tableOfEntry } from '../../table/shares.ts'
import type { MemoryFile } from './memory.ts'
import { createForStream, dropForStream } from './memory-layout.ts'
import { SourcePositions } from './source-positions.ts'

export interface ProducerState {
  epoch: number
  sequence: number
  /** Offset of the entry with that number. */
  seen: number
  /** So many numbers up to it have entries side by side, ending at `seen`. */
  run: number
}

/** A request's answer: what was remembered, and the offset of its first record's entry. */
export interface KnownRequest extends RememberedRequest {
  first: number
}

/** Rows written without letting others have their turn. */
const ROWS_AT_ONCE = 1_000
const READ_AT_ONCE = 5_000
const KEY_BYTES = 16

export class Repetitions {
  readonly #file: MemoryFile
  readonly #id: number
  readonly #producers = new Map<string, ProducerState>()
  readonly #requests = new Map<string, KnownRequest>()
  /** How far sources stand in the log, entry by entry. */
  readonly sources = new SourcePositions()
  /** Dead letters that were taken again and are not marked so. */
  readonly #letters = new Set<string>()
  /** Producers in the file, and those that are new since. */
  #producerCount: number
  #flushing: Promise<void> | null = null
  #failure: unknown = null

  private constructor(file: MemoryFile, id: number) {
    this.#file = file
    this.#id = id
    this.#producerCount = Number(file.statement(`SELECT count(*) AS n FROM producers_${id}`).get()?.['n'])
  }

  /**
   * Reads what the log holds beyond the file.
   * @param onTable is told of every table that an entry read is for
   */
  static async open(
    file: MemoryFile,
    stream: string,
    log: Log,
    onTable: (table: string) => void = () => undefined,
  ): Promise<Repetitions> {
    await file.patiently(() => file.run('INSERT OR IGNORE INTO streams (name, applied) VALUES (?, 0)', stream))
    const row = file.statement('SELECT id, applied FROM streams WHERE name = ?').get(stream)
    const id = Number(row?.['id'])
    await file.patiently(() => file.exec(createForStream(id)))
    const repetitions = new Repetitions(file, id)
    await repetitions.#catchUp(log, Number(row?.['applied']), onTable)
    return repetitions
  }

  producer(name: string): ProducerState | null {
    const fresh = this.#producers.get(name)
    if (fresh !== undefined) return fresh
    const row = this.#file
      .statement(`SELECT epoch, sequence, seen, run FROM producers_${this.#id} WHERE name = ?`)
      .get(name)
    if (row === undefined) return null
    const { epoch, sequence, seen, run } = row
    return { epoch: Number(epoch), sequence: Number(sequence), seen: Number(seen), run: Number(run) }
  }

  request(key: string): KnownRequest | null {
    const fresh = this.#requests.get(key)
    if (fresh !== undefined) return fresh
    const { hash, bytes } = keyOf(key)
    const row = this.#file
      .statement(`SELECT digest, seen, count, rest FROM requests_${this.#id} WHERE hash = ? AND key = ?`)
      .get(hash, bytes)
    if (row === undefined) return null
    const { letters = [], dropped } = JSON.parse(String(row['rest'] ?? '{}')) as Partial<RememberedRequest>
    const request = {
      key,
      digest: Buffer.from(row['digest'] as Uint8Array).toString('hex'),
      atMs: 0,
      count: Number(row['count']),
      letters,
      ...(dropped === undefined ? {} : { dropped }),
    }
    return { ...request, first: firstOf(request, Number(row['seen'])) }
  }

  /**
   * Call before an append that will have to be remembered.
   * @throws Fault `unavailable` when what is known already cannot be written, `limit` when there are too many producers
   */
  requireRoom(newProducers: number): void {
    if (this.#pending >= limits.streamUnwrittenMax) {
      throw new Fault(
        'unavailable',
        `what was taken cannot be written down (${messageOf(this.#failure)}); send it again later`,
        {},
        this.#failure,
      )
    }
    if (newProducers > 0 && this.#producerCount + newProducers > limits.streamProducersKept) {
      throw new Fault(
        'limit',
        `the stream knows ${this.#producerCount} producers, at most ${limits.streamProducersKept} may be; one that was silent for a week makes room`,
      )
    }
  }

  /**
   * An entry of a producer is in the log. An older one changes nothing. Reads no file, so that it cannot fail.
   * @param before what `producer` said
   */
  sawProducer(offset: number, [name, epoch, sequence]: [string, number, number], before: ProducerState | null): void {
    this.sources.saw(offset, name, sequence)
    const known = this.#producers.get(name) ?? before
    if (known === null) this.#producerCount++
    else if (epoch < known.epoch || (epoch === known.epoch && sequence <= known.sequence)) return
    const joins = known?.epoch === epoch && known.sequence + 1 === sequence && known.seen + 1 === offset
    this.#producers.set(name, { epoch, sequence, seen: offset, run: joins ? known.run + 1 : 1 })
    this.#flushWhenMany()
  }

  /** @param offset of the entry that carries it, which is the last one of the request */
  sawRequest(offset: number, request: RememberedRequest): void {
    if (this.#requests.has(request.key)) return
    this.#requests.set(request.key, { ...request, first: firstOf(request, offset) })
    this.#flushWhenMany()
  }

  /** Was this dead letter taken again? Known until `settle`, however long that is. */
  replayed(letter: string): boolean {
    if (this.#letters.has(letter)) return true
    return this.#file.statement(`SELECT 1 FROM letters_${this.#id} WHERE id = ?`).get(letter) !== undefined
  }

  /** Their entries are in the log. */
  sawReplayed(letters: readonly string[]): void {
    for (const letter of letters) this.#letters.add(letter)
    this.#flushWhenMany()
  }

  /** The letters are durably marked as sent again: nobody asks for them any more. */
  async settle(letters: readonly string[]): Promise<void> {
    await this.#inFile(() => {
      for (const letter of letters) this.#file.run(`DELETE FROM letters_${this.#id} WHERE id = ?`, letter)
    })
    for (const letter of letters) this.#letters.delete(letter)
  }

  /** Makes durable what follows from the entries before `end`, and forgets what is over its bounds. @throws Fault `unavailable` */
  async keep(end: number, nowMs: number): Promise<void> {
    await this.#file.tick(nowMs)
    await this.flush()
    await this.#file.patiently(() =>
      this.#file.run('UPDATE streams SET applied = max(applied, ?) WHERE id = ?', end, this.#id),
    )
    this.sources.passed(end)
    await this.#file.patiently(() => this.#forget())
    await this.#file.sync()
  }

  /** Writes what is new, a part at a time. @throws Fault `unavailable` */
  flush(): Promise<void> {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = null
    })
    return this.#flushing
  }

  /** The stream is removed: one of its name that is made later has taken nothing yet. */
  async forgetAll(end: number): Promise<void> {
    this.#producers.clear()
    this.#requests.clear()
    this.sources.clear()
    this.#letters.clear()
    this.#producerCount = 0
    await this.#file.durably(() => {
      this.#file.exec(dropForStream(this.#id))
      this.#file.run('UPDATE streams SET applied = ? WHERE id = ?', end, this.#id)
    })
  }

  /** One transaction, once the file is free. @throws Fault `unavailable` */
  #inFile(work: () => void): Promise<void> {
    return this.#file.patiently(() => this.#file.transaction(work))
  }

  get #pending(): number {
    return this.#producers.size + this.#requests.size + this.#letters.size
  }

  #flushWhenMany(): void {
    if (this.#pending < limits.streamUnwrittenMax / 4 || this.#flushing !== null) return
    // A failure is kept and told to the next who needs room.
    this.flush().catch(() => undefined)
  }

  async #write(): Promise<void> {
    try {
      const { runningMs } = this.#file
      const producers = [...this.#producers]
      for (let at = 0; at < producers.length; at += ROWS_AT_ONCE) {
        const some = producers.slice(at, at + ROWS_AT_ONCE)
        await this.#inFile(() => {
          for (const [name, { epoch, sequence, seen, run }] of some)
            this.#file.run(
              `INSERT OR REPLACE INTO producers_${this.#id} VALUES (?, ?, ?, ?, ?, ?)`,
              ...([name, epoch, sequence, seen, run, runningMs] as const),
            )
        })
        for (const [name, state] of some) if (this.#producers.get(name) === state) this.#producers.delete(name)
        await turn()
      }
      const requests = [...this.#requests]
      for (let at = 0; at < requests.length; at += ROWS_AT_ONCE) {
        const some = requests.slice(at, at + ROWS_AT_ONCE)
        await this.#inFile(() => {
          for (const [key, request] of some) this.#insertRequest(key, request, runningMs)
        })
        for (const [key] of some) this.#requests.delete(key)
        await turn()
      }
      const letters = [...this.#letters]
      for (let at = 0; at < letters.length; at += ROWS_AT_ONCE) {
        const some = letters.slice(at, at + ROWS_AT_ONCE)
        await this.#inFile(() => {
          // Those that were settled while this waited are not to come back.
          for (const letter of some)
            if (this.#letters.has(letter))
              this.#file.run(`INSERT OR IGNORE INTO letters_${this.#id} VALUES (?)`, letter)
        })
        for (const letter of some) this.#letters.delete(letter)
        await turn()
      }
      this.#failure = null
    } catch (error) {
      this.#failure = error
      throw new Fault('unavailable', `cannot write down what was taken: ${messageOf(error)}`, {}, error)
    }
  }

  #insertRequest(key: string, request: KnownRequest, runningMs: number): void {
    const { digest, first, count, letters, dropped } = request
    const { hash, bytes } = keyOf(key)
    const seen = first + count - letters.length - (dropped?.length ?? 0)
    const rest = letters.length > 0 || dropped !== undefined ? JSON.stringify({ letters, dropped }) : null
    const table = `requests_${this.#id}`
    this.#file.run(
      `INSERT INTO ${table} (hash, key, digest, seen, at_ms, count, rest) SELECT ?, ?, ?, ?, ?, ?, ?
       WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE hash = ? AND key = ?)`,
      ...([hash, bytes, Buffer.from(digest, 'hex').subarray(0, KEY_BYTES), seen, runningMs, count, rest] as const),
      hash,
      bytes,
    )
  }

  #forget(): void {
    const { runningMs } = this.#file
    const requests = `requests_${this.#id}`
    const oldest = this.#file.statement(`SELECT n, at_ms FROM ${requests} ORDER BY n LIMIT 1`).get()
    if (oldest !== undefined) {
      const newest = Number(this.#file.statement(`SELECT max(n) AS n FROM ${requests}`).get()?.['n'])
      const first = Number(oldest['n'])
      const tooOld = runningMs - limits.streamRequestAgeMaxMs
      const tooMany = newest - limits.streamRequestsKept
      if (first <= tooMany || Number(oldest['at_ms']) < tooOld)
        this.#file.run(
          `DELETE FROM ${requests} WHERE n < ? AND (n <= ? OR at_ms < ?)`,
          first + limits.streamForgottenAtOnce,
          tooMany,
          tooOld,
        )
    }
    if (this.#producerCount > limits.streamProducersKept / 2)
      this.#producerCount -= this.#file.run(
        `DELETE FROM producers_${this.#id} WHERE name IN
         (SELECT name FROM producers_${this.#id} WHERE at_ms < ? ORDER BY at_ms LIMIT ${limits.streamForgottenAtOnce})`,
        runningMs - limits.streamProducerAgeMinMs,
      )
  }

  async #catchUp(log: Log, applied: number, onTable: (table: string) => void): Promise<void> {
    const tables = new Set<string>()
    for (let from = Math.max(applied, log.start); from < log.end; ) {
      const entries = await log.read(from, READ_AT_ONCE)
      if (entries.length === 0) return
      for (const { offset, text } of entries) {
        const table = tableOfEntry(text, undefined)
        if (table !== undefined && !tables.has(table)) {
          tables.add(table)
          onTable(table)
        }
        if (!/"(producer|request|replayed)":/.test(text)) continue
        const { producer, request, replayed } = readTableChange(text)
        if (producer !== undefined) this.sawProducer(offset, producer, this.producer(producer[0]))
        if (request !== undefined) this.sawRequest(offset, request)
        if (replayed !== undefined) this.sawReplayed(replayed)
      }
      from += entries.length
      if (this.#pending > limits.streamUnwrittenMax / 4) await this.flush()
    }
  }
}

/** Offset of a request's first record, from that of the entry that ends it. */
function firstOf({ count, letters, dropped }: RememberedRequest, end: number): number {
  return end - (count - letters.length - (dropped?.length ?? 0))
}

function keyOf(key: string): { hash: number; bytes: Buffer } {
  const bytes = createHash('sha256').update(key).digest().subarray(0, KEY_BYTES)
  return { hash: bytes.readUIntBE(0, 6), bytes }
}

/** Whether a request's digest is the one that is remembered, which may be a part of it. */
export function sameDigest(known: KnownRequest, digest: string): boolean {
  return digest.startsWith(known.digest)
}
