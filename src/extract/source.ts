/**
 * Ranged reading with bounds. Every byte fetched and every fetch counts; the head is fetched once and then shared by
 * the type sniffer and all extractors of the object.
 *
 * Faults raised here: `limit` when a bound is passed, and whatever the reader below raises.
 */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Store } from '../store/store.ts'
import type { ByteSource, RangeReader } from './extract.ts'

export interface SourceBounds {
  /** Bytes fetched for one object, over all its extractors. */
  bytesMax: number
  /** Fetches for one object. */
  readsMax: number
  /** Length of the first fetch. */
  headBytes: number
}

export const defaultBounds: SourceBounds = {
  bytesMax: limits.extractBytesMax,
  readsMax: limits.extractReadsMax,
  headBytes: limits.extractHeadBytes,
}

/** A `ByteSource` that counts what it fetches and keeps the head. */
export class BoundedSource implements ByteSource {
  readonly sizeBytes: number
  bytesRead = 0
  reads = 0
  readonly #fetch: RangeReader
  readonly #bounds: SourceBounds
  #head: Uint8Array | undefined

  constructor(sizeBytes: number, fetch: RangeReader, bounds: SourceBounds = defaultBounds) {
    this.sizeBytes = sizeBytes
    this.#fetch = fetch
    this.#bounds = bounds
  }

  /** The first bytes of the object: all of it when it is short. Fetched once. */
  async head(): Promise<Uint8Array> {
    if (this.#head === undefined) this.#head = await this.#count(0, Math.min(this.sizeBytes, this.#bounds.headBytes))
    return this.#head
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    const from = Math.max(0, Math.min(start, this.sizeBytes))
    const to = Math.max(from, Math.min(end, this.sizeBytes))
    if (!(from <= to)) throw new Fault('invalid', `Expected a byte range of two numbers, got [${start}, ${end}).`)
    const head = this.#head
    if (head !== undefined && to <= head.length) return head.subarray(from, to)
    return this.#count(from, to)
  }

  async #count(from: number, to: number): Promise<Uint8Array> {
    if (from >= to) return new Uint8Array(0)
    if (this.bytesRead + (to - from) > this.#bounds.bytesMax) {
      throw new Fault(
        'limit',
        `An extractor may read ${this.#bounds.bytesMax} bytes of one object; reading bytes ${from} to ${to} after ${this.bytesRead} would pass that.`,
        { bytesMax: this.#bounds.bytesMax },
      )
    }
    if (this.reads >= this.#bounds.readsMax) {
      throw new Fault(
        'limit',
        `An extractor may make ${this.#bounds.readsMax} reads of one object; this would be one more.`,
        {
          readsMax: this.#bounds.readsMax,
        },
      )
    }
    this.reads++
    this.bytesRead += to - from
    const bytes = await this.#fetch(from, to)
    if (bytes.length !== to - from) {
      throw new Fault(
        'superseded',
        `Expected ${to - from} bytes at ${from}, got ${bytes.length}: the object changed while it was read.`,
      )
    }
    return bytes
  }
}

/** A source over bytes in memory, for callers that have the whole object. */
export function memorySource(bytes: Uint8Array, bounds?: SourceBounds): BoundedSource {
  return new BoundedSource(bytes.length, (start, end) => Promise.resolve(bytes.subarray(start, end)), bounds)
}

/** A reader over the store port. With `ifMatch`, bytes of a newer object are refused as `superseded`. */
export function storeReader(
  store: Store,
  key: string,
  pin: { versionId?: string; ifMatch?: string } = {},
): RangeReader {
  return (start, end) => store.get(key, { ...pin, range: { start, end } })
}
