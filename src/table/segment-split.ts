/**
 * The entries of a log's segment, table by table: one pass over its bytes, whatever the number of tables.
 *
 * An entry says first which table it is for (`"to":"namespace.name"`, see `change/table-change.ts`), so that lines are sorted by
 * their beginning and never parsed. Entries without a table: one that changes nothing (`none`) is for nobody, any other for the
 * table that `untagged` names.
 */
import { type FileHandle, open, rm } from 'node:fs/promises'
import { Fault, messageOf } from '../base/fault.ts'
import type { Segment } from '../log/log.ts'

/** Entries of one table out of a segment. */
export interface Slice extends Segment {
  /** Entries in it. Offsets in between belong to others. */
  entries: number
}

export interface SplitOptions {
  /** Table of entries that name none. */
  untagged: string | undefined
  /** Only offsets in [from, end). Default: all. */
  from?: number
  end?: number
  /** Only this table. Default: all. */
  only?: string
  /** A path for a new file. */
  scratch: () => Promise<string>
}

/** Lines are sorted without letting others have their turn: some milliseconds of them. */
const CHUNK_BYTES = 1024 ** 2
const LINE_FEED = 0x0a
const QUOTE = 0x22
const COMMA = 0x2c
const ZERO = 0x30
const NINE = 0x39
const HEAD = Buffer.from('{"offset":')
const TO = Buffer.from('"to":"')
const NONE = /^"input":\d+,"op":"none"/

/** Slices by table. Whoever asked removes their files. @throws Fault `unavailable`, `corrupt` (a line that is no entry) */
export async function splitSegment(segment: Segment, options: SplitOptions): Promise<Map<string, Slice>> {
  const outputs = new Outputs(segment, options)
  try {
    await using file = await open(segment.path, 'r')
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    let held = Buffer.alloc(0)
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES)
      if (bytesRead === 0) break
      const bytes =
        held.length === 0 ? chunk.subarray(0, bytesRead) : Buffer.concat([held, chunk.subarray(0, bytesRead)])
      const used = outputs.take(bytes)
      // What is kept for the files must be written before the chunk is read into again.
      await outputs.flush()
      held = Buffer.from(bytes.subarray(used))
    }
    if (held.length > 0)
      throw new Fault('corrupt', `${segment.path} does not end with a line feed; run tidewater doctor`)
    return await outputs.finish()
  } catch (error) {
    await outputs.remove()
    if (error instanceof Fault) throw error
    throw new Fault('unavailable', `cannot split ${segment.path}: ${messageOf(error)}`, { path: segment.path }, error)
  }
}

interface Output {
  slice: Slice
  file: FileHandle | null
  pending: Buffer[]
}

class Outputs {
  readonly #segment: Segment
  readonly #options: SplitOptions
  readonly #byTable = new Map<string, Output>()

  constructor(segment: Segment, options: SplitOptions) {
    this.#segment = segment
    this.#options = options
  }

  /** Sorts the whole lines of `bytes`; neighbours of one table stay one piece. @returns how many bytes they are */
  take(bytes: Buffer): number {
    const { from = 0, end = Number.MAX_SAFE_INTEGER, only } = this.#options
    let at = 0
    let pieceFrom = 0
    let pieceOf: Output | null = null
    for (;;) {
      const feed = bytes.indexOf(LINE_FEED, at)
      if (feed < 0) break
      const { offset, table } = this.#headOf(bytes, at, feed)
      const wanted = table !== undefined && offset >= from && offset < end && (only === undefined || only === table)
      const output = wanted ? this.#output(table) : null
      if (output !== pieceOf) {
        pieceOf?.pending.push(bytes.subarray(pieceFrom, at))
        pieceFrom = at
        pieceOf = output
      }
      if (output !== null) output.slice.entries++
      at = feed + 1
    }
    pieceOf?.pending.push(bytes.subarray(pieceFrom, at))
    return at
  }

  async flush(): Promise<void> {
    for (const output of this.#byTable.values()) {
      if (output.pending.length === 0) continue
      const bytes = output.pending.length === 1 ? output.pending[0]! : Buffer.concat(output.pending)
      output.pending = []
      if (output.file === null) {
        output.slice.path = await this.#options.scratch()
        output.file = await open(output.slice.path, 'w')
      }
      await output.file.writeFile(bytes)
      output.slice.bytes += bytes.length
    }
  }

  async finish(): Promise<Map<string, Slice>> {
    for (const { file } of this.#byTable.values()) await file?.close()
    return new Map([...this.#byTable].map(([table, { slice }]) => [table, slice]))
  }

  async remove(): Promise<void> {
    for (const { file, slice } of this.#byTable.values()) {
      await file?.close().catch(() => undefined)
      if (slice.path !== '') await rm(slice.path, { force: true }).catch(() => undefined)
    }
  }

  #output(table: string): Output {
    const known = this.#byTable.get(table)
    if (known !== undefined) return known
    const { first, end } = this.#segment
    const output = { slice: { path: '', first, end, bytes: 0, entries: 0 }, file: null, pending: [] }
    this.#byTable.set(table, output)
    return output
  }

  #headOf(bytes: Buffer, at: number, end: number): { offset: number; table: string | undefined } {
    let place = at + HEAD.length
    let offset = 0
    for (; place < end && bytes[place]! >= ZERO && bytes[place]! <= NINE; place++)
      offset = offset * 10 + bytes[place]! - ZERO
    if (bytes[at] !== HEAD[0] || place === at + HEAD.length || bytes[place] !== COMMA) {
      throw new Fault(
        'corrupt',
        `${this.#segment.path} has a line that is no entry: ${bytes.toString('latin1', at, Math.min(end, at + 40))}; run tidewater doctor`,
      )
    }
    place++
    if (!TO.equals(bytes.subarray(place, place + TO.length))) {
      const none = NONE.test(bytes.toString('latin1', place, Math.min(end, place + 60)))
      return { offset, table: none ? undefined : this.#options.untagged }
    }
    return { offset, table: tableIn(bytes, place + TO.length, end) }
  }
}

/** The JSON text that begins at `from`, to its quote. */
function tableIn(bytes: Buffer, from: number, end: number): string {
  const quote = bytes.indexOf(QUOTE, from)
  const text = bytes.toString('utf8', from, quote)
  if (!text.includes('\\')) return text
  // A name with a quote or a backslash in it: rare, and read as what it is.
  const whole = /^"(?:[^"\\]|\\.)*"/.exec(bytes.toString('utf8', from - 1, end))
  return whole === null ? text : (JSON.parse(whole[0]) as string)
}

/** The table that a log entry's text is for, by the same rules as `splitSegment`. */
export function tableOfEntry(text: string, untagged: string | undefined): string | undefined {
  const tagged = /^\{"offset":\d+,"to":("(?:[^"\\]|\\.)*")/.exec(text)
  if (tagged !== null) return JSON.parse(tagged[1]!) as string
  return /^\{"offset":\d+,"input":\d+,"op":"none"/.test(text) ? undefined : untagged
}
