/** Rows gathered as one log segment, in a temporary file, for a single commit. */
import { type FileHandle, open, rm } from 'node:fs/promises'
import path from 'node:path'
import { Fault } from '../base/fault.ts'
import { uuidv7 } from '../base/ids.ts'
import { stringifyJson } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import type { Segment } from '../log/log.ts'

/** Text kept in memory before it is written. */
const CHUNK_CHARS = 1 << 20

export class SegmentBuffer {
  readonly #path: string
  readonly #file: FileHandle
  readonly #first: number
  #end: number
  #bytes = 0
  #chunk = ''

  private constructor(filePath: string, file: FileHandle, first: number) {
    this.#path = filePath
    this.#file = file
    this.#first = first
    this.#end = first
  }

  /** @param first offset of the first row */
  static async open(dir: string, first: number): Promise<SegmentBuffer> {
    const filePath = path.join(dir, `${uuidv7(Date.now())}.ndjson`)
    return new SegmentBuffer(filePath, await open(filePath, 'w'), first)
  }

  /** @throws Fault `limit` (a row or the whole too large) */
  async add(row: object, op: 'upsert' | 'delete'): Promise<void> {
    const line = `{"offset":${this.#end},"op":"${op}","row":${stringifyJson(row)}}\n`
    if (line.length > limits.logEntryBytesMax) {
      throw new Fault(
        'limit',
        `row ${this.#end - this.#first}: expected at most ${limits.logEntryBytesMax} bytes as JSON, got ${line.length}`,
      )
    }
    this.#end++
    this.#chunk += line
    if (this.#chunk.length >= CHUNK_CHARS) await this.#flush()
  }

  /** Null when no row was added. */
  async finish(): Promise<Segment | null> {
    await this.#flush()
    if (this.#end === this.#first) return null
    return { path: this.#path, first: this.#first, end: this.#end, bytes: this.#bytes }
  }

  async discard(): Promise<void> {
    await this.#file.close()
    await rm(this.#path, { force: true })
  }

  async #flush(): Promise<void> {
    const { bytesWritten } = await this.#file.write(this.#chunk)
    this.#bytes += bytesWritten
    this.#chunk = ''
  }
}
