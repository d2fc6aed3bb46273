/**
 * Records of one request as parts of one buffer: most of them are read where they lie, and nothing is made of a single one. Pure.
 */
import { isUtf8 } from 'node:buffer'
import type { IncomingRecord, Operation } from './request.ts'

/** Records, one by one or packed. */
export type Records = readonly IncomingRecord[] | PackedRecords

export class PackedRecords {
  /** Not to be changed until the stream has answered. */
  readonly bytes: Buffer
  /** Of all records; default: what a record itself says. */
  readonly operation: Operation | undefined
  /** Of the records, in sum. */
  readonly recordBytes: number
  readonly #bounds: readonly number[]
  #isText: boolean | undefined = undefined

  /** @param bounds of each record, in their order: where it begins, and the place behind it */
  constructor(bytes: Buffer, bounds: readonly number[], operation?: Operation | undefined) {
    this.bytes = bytes
    this.operation = operation
    this.#bounds = bounds
    let sum = 0
    for (let at = 0; at < bounds.length; at += 2) sum += bounds[at + 1]! - bounds[at]!
    this.recordBytes = sum
  }

  get length(): number {
    return this.#bounds.length / 2
  }

  from(at: number): number {
    return this.#bounds[at * 2]!
  }

  end(at: number): number {
    return this.#bounds[at * 2 + 1]!
  }

  /**
   * The bytes of all records are UTF-8, with what lies between them: then so is each that begins and ends with ASCII. False: each is
   * to be looked at.
   */
  get isText(): boolean {
    this.#isText ??= this.length === 0 || isUtf8(this.bytes.subarray(this.from(0), this.end(this.length - 1)))
    return this.#isText
  }

  /** One by itself. */
  record(at: number): IncomingRecord {
    return { data: this.bytes.subarray(this.from(at), this.end(at)), operation: this.operation }
  }
}

export function recordAt(records: Records, at: number): IncomingRecord {
  return records instanceof PackedRecords ? records.record(at) : records[at]!
}

export function recordList(records: Records): readonly IncomingRecord[] {
  if (!(records instanceof PackedRecords)) return records
  return Array.from({ length: records.length }, (_, at) => records.record(at))
}

/** Bytes of the records in sum. */
export function bytesOf(records: Records): number {
  if (records instanceof PackedRecords) return records.recordBytes
  return records.reduce((sum, { data }) => sum + data.length, 0)
}
