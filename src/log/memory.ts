/** The log in memory, for tests and trials: the contract of `log.ts` without the durability. Sealing writes a temporary file. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { segmentPath } from './active-segment.ts'
import { checkEntries } from './entry-text.ts'
import type { EntrySource, Log, LogEntry, Segment } from './log.ts'
import { requireHeld, requireOpen } from './refusal.ts'
import { encodeGroup } from './segment-group.ts'
import { Waiters } from './waiters.ts'

/** Opens an empty log that lives as long as the process. Its sealed segments are removed by `trim` and `close`. */
export function openMemoryLog(options: { name: string }): Log {
  return new MemoryLog(options.name)
}

class MemoryLog implements Log {
  readonly name: string
  #start = 0
  /** Entry texts from `#start` on. */
  #texts: string[] = []
  readonly #sealed: Segment[] = []
  readonly #waiters = new Waiters()
  #folder: Promise<string> | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(name: string) {
    this.name = name
  }

  get start(): number {
    return this.#start
  }

  get end(): number {
    return this.#start + this.#texts.length
  }

  async append(given: readonly string[] | EntrySource): Promise<number> {
    requireOpen(this, this.#closed)
    const entries = checkEntries(this.name, given)
    const first = this.end
    const { bytes } = encodeGroup([entries], first, 0)
    for (const line of bytes.toString('utf8').split('\n')) if (line !== '') this.#texts.push(line)
    this.#waiters.wake(this.end)
    return first
  }

  async read(from: number, limit: number): Promise<LogEntry[]> {
    requireOpen(this, this.#closed)
    requireHeld(this, from)
    const at = from - this.#start
    return this.#texts.slice(at, at + limit).map((text, index) => ({ offset: from + index, text }))
  }

  async seal(from: number, bytesMax: number): Promise<Segment[]> {
    requireOpen(this, this.#closed)
    requireHeld(this, from)
    await this.#inTurn(() => this.#sealRest())
    const taken: Segment[] = []
    let bytes = 0
    for (const segment of this.#sealed.filter(({ end }) => end > from)) {
      if (taken.length > 0 && bytes + segment.bytes > bytesMax) break
      bytes += segment.bytes
      taken.push({ ...segment })
    }
    return taken
  }

  async waitFor(offset: number, signal?: AbortSignal): Promise<void> {
    requireOpen(this, this.#closed)
    if (this.end > offset) return
    await this.#waiters.wait(offset, signal)
  }

  async trim(offset: number): Promise<void> {
    requireOpen(this, this.#closed)
    await this.#inTurn(async () => {
      for (let oldest = this.#sealed[0]; oldest && oldest.end <= offset; oldest = this.#sealed[0]) {
        this.#sealed.shift()
        this.#texts = this.#texts.slice(oldest.end - this.#start)
        this.#start = oldest.end
        await rm(oldest.path, { force: true })
      }
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#waiters.close(this.name)
    await this.#inTurn(async () => {
      if (this.#folder) await rm(await this.#folder, { recursive: true, force: true })
    })
  }

  async #sealRest(): Promise<void> {
    const first = this.#sealed.at(-1)?.end ?? this.#start
    const { end } = this
    if (first === end) return
    this.#folder ??= mkdtemp(join(tmpdir(), 'tidewater-log-'))
    const path = segmentPath(await this.#folder, first)
    const bytes = Buffer.from(`${this.#texts.slice(first - this.#start, end - this.#start).join('\n')}\n`)
    await writeFile(path, bytes)
    this.#sealed.push({ path, first, end, bytes: bytes.length })
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(step)
    this.#turn = result.catch(() => undefined)
    return result
  }
}
