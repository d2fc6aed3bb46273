/**
 * What became of the records of one request, in their order. Rows are kept as the bytes that they are, mostly the records' own; letters
 * and the like, of which there are few, one by one. `LogEntries` writes the rows into the log from there, so that a row is copied once.
 */
import { type ProducerNumber, rowChangeHead, rowChangeTail, rowChangeText } from '../../change/table-change.ts'
import type { EntrySource } from '../../log/log.ts'
import type { DeadLetter } from '../deadletter/deadletter.ts'
import type { RecordProblem } from './record.ts'
import type { RecordResult } from './request.ts'
import type { RowBytes } from './row-reader.ts'

/** What becomes of a record that is no row. */
export type NoRow =
  | { kind: 'letter'; problem: RecordProblem; letter: DeadLetter; id: string }
  | { kind: 'dropped' }
  /** Decided by its number alone. */
  | { kind: 'told'; result: RecordResult }

/** What becomes of a record. */
export type Reading = { kind: 'row'; head: RowHead; rowText: string } | NoRow

/** What an entry has before its row: the same for all rows of a table and an operation. */
export interface RowHead {
  to: string
  op: 'upsert' | 'delete'
  /** As it stands in the log behind an offset. */
  bytes: Buffer
}

export function rowHead(to: string, op: RowHead['op']): RowHead {
  return { to, op, bytes: Buffer.from(`,${rowChangeHead({ to, input: 0, op })}`) }
}

export class Readings {
  readonly length: number
  /** Records that are no rows, by their place. */
  readonly #others = new Map<number, NoRow>()
  readonly #heads: (RowHead | undefined)[]
  /** Text, or bytes of which the row is the part between two places. */
  readonly #rows: (Buffer | string)[]
  readonly #from: number[]
  readonly #end: number[]

  constructor(length: number) {
    this.length = length
    this.#heads = new Array(length)
    this.#rows = new Array(length)
    this.#from = new Array(length)
    this.#end = new Array(length)
  }

  static of(list: readonly Reading[]): Readings {
    const readings = new Readings(list.length)
    for (const [at, reading] of list.entries()) readings.set(at, reading)
    return readings
  }

  set(at: number, reading: Reading): void {
    if (reading.kind !== 'row') {
      this.#heads[at] = undefined
      this.#others.set(at, reading)
      return
    }
    this.#others.delete(at)
    this.#heads[at] = reading.head
    this.#rows[at] = reading.rowText
    this.#from[at] = 0
    this.#end[at] = Buffer.byteLength(reading.rowText)
  }

  /** A row whose bytes stay as they are until the request is answered. */
  setRow(at: number, head: RowHead, { bytes, from, end }: RowBytes): void {
    if (this.#others.size > 0) this.#others.delete(at)
    this.#heads[at] = head
    this.#rows[at] = bytes
    this.#from[at] = from
    this.#end[at] = end
  }

  /** The same as `place` of `other`. */
  take(at: number, other: Readings, place: number): void {
    const head = other.#heads[place]
    if (head === undefined) {
      this.set(at, other.#others.get(place)!)
      return
    }
    this.#heads[at] = head
    this.#rows[at] = other.#rows[place]!
    this.#from[at] = other.#from[place]!
    this.#end[at] = other.#end[place]!
  }

  /** Are all records rows? */
  get areRows(): boolean {
    return this.#others.size === 0
  }

  /** Null: it is a row. */
  other(at: number): NoRow | null {
    return this.#others.get(at) ?? null
  }

  /** Those that are no rows, in their order. */
  *others(): Generator<[at: number, reading: NoRow]> {
    for (const at of [...this.#others.keys()].sort((one, other) => one - other)) yield [at, this.#others.get(at)!]
  }

  /** The record's reading by itself. */
  at(at: number): Reading {
    const head = this.#heads[at]
    if (head === undefined) return this.#others.get(at)!
    const row = this.#rows[at]!
    const rowText = typeof row === 'string' ? row : row.toString('utf8', this.#from[at], this.#end[at])
    return { kind: 'row', head, rowText }
  }

  /** Bytes of a row's entry without its tail. */
  entryBytes(at: number): number {
    return this.#heads[at]!.bytes.length + this.#end[at]! - this.#from[at]!
  }

  /** Writes head and row. @returns the place behind them */
  writeRow(at: number, into: Buffer, from: number): number {
    const { bytes } = this.#heads[at]!
    const begin = from + bytes.copy(into, from)
    const row = this.#rows[at]!
    if (typeof row === 'string') return begin + into.write(row, begin)
    return begin + row.copy(into, begin, this.#from[at], this.#end[at])
  }
}

const CLOSE = 0x7d

/** The entries of a request: its rows, what stands for records that have none but a number, and what is remembered of it. */
export class LogEntries implements EntrySource {
  readonly length: number
  readonly bytes: number
  readonly bytesMax: number
  readonly #readings: Readings
  /** Place of a record → number of its entry; null: they are the same. */
  readonly #places: readonly (number | null)[] | null
  /** Number of an entry → place of its record, or -1: it is in `#texts`. Null: as `#places`. */
  readonly #records: readonly number[] | null
  readonly #texts = new Map<number, string>()
  /** What stands behind a record's row, by its place; null: only what closes the entry. */
  readonly #tails: readonly string[] | null

  /** @param behind entries as text that come last */
  constructor(readings: Readings, marks: readonly (ProducerNumber | null)[] | null, behind: readonly string[]) {
    this.#readings = readings
    this.#tails = marks === null ? null : marks.map((mark) => rowChangeTail(mark ?? undefined))
    let entries = readings.length
    if (readings.areRows) {
      this.#places = null
      this.#records = null
    } else {
      const records: number[] = []
      this.#places = Array.from({ length: readings.length }, (_, at) => {
        const mark = marks?.[at] ?? null
        const isRow = readings.other(at) === null
        if (!isRow && mark === null) return null
        if (!isRow) this.#texts.set(records.length, rowChangeText({ input: 0, op: 'none', ...sentBy(mark) }, '{}'))
        return records.push(isRow ? at : -1) - 1
      })
      this.#records = records
      entries = records.length
    }
    for (const [at, text] of behind.entries()) this.#texts.set(entries + at, text)
    this.length = entries + behind.length
    let bytes = 0
    let bytesMax = 0
    for (let at = 0; at < this.length; at++) {
      const one = this.#bytesOf(at)
      bytes += one
      if (one > bytesMax) bytesMax = one
    }
    this.bytes = bytes
    this.bytesMax = bytesMax
  }

  /** Number of a record's entry; null: it has none. */
  place(record: number): number | null {
    return this.#places === null ? record : this.#places[record]!
  }

  #bytesOf(at: number): number {
    const record = this.#recordOf(at)
    if (record < 0) return Buffer.byteLength(this.#texts.get(at)!)
    // Names of producers are ASCII.
    return this.#readings.entryBytes(record) + (this.#tails === null ? 1 : this.#tails[record]!.length)
  }

  #recordOf(at: number): number {
    if (this.#records !== null) return at < this.#records.length ? this.#records[at]! : -1
    return at < this.#readings.length ? at : -1
  }

  write(at: number, into: Buffer, from: number): number {
    const record = this.#recordOf(at)
    if (record < 0) {
      const end = from + into.write(this.#texts.get(at)!, from)
      into[from] = 0x2c
      return end
    }
    const end = this.#readings.writeRow(record, into, from)
    if (this.#tails !== null) return end + into.write(this.#tails[record]!, end)
    into[end] = CLOSE
    return end + 1
  }
}

function sentBy(mark: ProducerNumber | null): { producer?: ProducerNumber } {
  return mark === null ? {} : { producer: mark }
}
