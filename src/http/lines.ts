/**
 * Lines of a body that arrives in chunks, as parts of one buffer: a line is found and no more, so that nothing is made of it. Of a line
 * that is too long for a record nothing is kept.
 */
import { limits } from '../base/limits.ts'

/** A line that is no blank; too long for a record, or its bytes from `from` to `end`. */
export interface Line {
  /** Without what ends it. */
  size: number
  tooLong: boolean
  from: number
  end: number
}

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const BYTES_MIN = 64 * 1024
/** What is taken for bytes that may never come. */
const GROWTH_BYTES_MAX = 4 * 1024 * 1024

export class LineCutter {
  bytes: Buffer
  /** What `next` gives: one for all lines. */
  readonly #line: Line = { size: 0, tooLong: false, from: 0, end: 0 }
  #used = 0
  /** Where the line begins that is not complete yet, and how far it was looked through. */
  #from = 0
  #seen = 0
  /** Bytes of that line that were not kept. */
  #dropped = 0

  constructor(bytes: number) {
    this.bytes = Buffer.allocUnsafe(Math.max(bytes, BYTES_MIN))
  }

  add(chunk: Uint8Array): void {
    const needed = this.#used + chunk.length
    if (needed > this.bytes.length) {
      const more = Math.min(this.bytes.length, GROWTH_BYTES_MAX)
      const grown = Buffer.allocUnsafe(Math.max(needed, this.bytes.length + more))
      this.bytes.copy(grown, 0, 0, this.#used)
      this.bytes = grown
    }
    this.bytes.set(chunk, this.#used)
    this.#used = needed
  }

  /** The body has come to its end: so has its last line. */
  end(): void {
    if (this.#used > this.#from || this.#dropped > 0) this.add(Uint8Array.of(LINE_FEED))
  }

  /** The next line with something in it, until the next call. Null: more has to come first. */
  next(): Line | null {
    const bytes = this.bytes.subarray(0, this.#used)
    for (;;) {
      const feed = bytes.indexOf(LINE_FEED, this.#seen)
      if (feed < 0) {
        this.#seen = this.#used
        this.#dropLong()
        return null
      }
      const from = this.#from
      const size = this.#dropped + feed - from
      this.#from = feed + 1
      this.#seen = feed + 1
      this.#dropped = 0
      if (this.#read(bytes, from, feed, size)) return this.#line
    }
  }

  /** False: it is blank. */
  #read(bytes: Buffer, from: number, feed: number, size: number): boolean {
    const line = this.#line
    const end = feed > from && bytes[feed - 1] === CARRIAGE_RETURN ? feed - 1 : feed
    line.from = from
    line.end = end
    line.tooLong = size > limits.streamRecordBytesMax + 1 || end - from > limits.streamRecordBytesMax
    line.size = size > limits.streamRecordBytesMax + 1 ? size : end - from
    return line.tooLong || !isBlank(bytes, from, end)
  }

  #dropLong(): void {
    const size = this.#used - this.#from
    if (this.#dropped + size <= limits.streamRecordBytesMax + 1) return
    this.#dropped += size
    this.#used = this.#from
    this.#seen = this.#from
  }

  /** Lines before `from`, which is the beginning of one, are not needed any more: what lies behind moves to the front. */
  forget(from: number): void {
    this.bytes.copyWithin(0, from, this.#used)
    this.#used -= from
    this.#from -= from
    this.#seen -= from
  }
}

function isBlank(bytes: Buffer, from: number, end: number): boolean {
  for (let at = from; at < end; at++) if (bytes[at] !== 0x20 && bytes[at] !== 0x09) return false
  return true
}
