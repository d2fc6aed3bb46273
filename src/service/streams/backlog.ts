/**
 * How much may wait, over all streams of a home: rows, dead letters, and what room the disk has.
 *
 * Records are refused here, before anything of their request is taken; `facts.backlogBytes` says that it is for what waits.
 */
import { statfs } from 'node:fs/promises'
import type { Clock } from '../../base/clock.ts'
import { Fault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { Progress } from './progress.ts'

export interface BacklogOptions {
  clock: Clock
  /** The folder whose disk it is about. */
  dir: string
  /** Offsets of the dead letters' log: its end, and up to where their table holds it. */
  letters: { end: () => number; position: () => number }
}

export type BacklogBounds = Readonly<
  Record<'streamBacklogBytesMax' | 'streamsBacklogBytesMax' | 'streamLettersBytesMax' | 'streamFreeBytesMin', number>
>

export class Backlog {
  readonly #options: BacklogOptions
  readonly #bounds: BacklogBounds
  readonly #streams = new Set<Progress>()
  readonly #letters = new Progress()
  #freeBytes = Number.POSITIVE_INFINITY
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | null = null

  constructor(options: BacklogOptions, bounds: BacklogBounds = limits) {
    this.#options = options
    this.#bounds = bounds
  }

  join(progress: Progress): void {
    this.#streams.add(progress)
  }

  leave(progress: Progress): void {
    this.#streams.delete(progress)
  }

  /** Bytes accepted by all streams that are not in tables yet. */
  get bytes(): number {
    let bytes = 0
    for (const progress of this.#streams) bytes += progress.bytes
    return bytes
  }

  /** @throws Fault `unavailable` when `stream`, all streams, dead letters or the disk have no room for more */
  async requireRoom(stream: string, { bytes }: Progress): Promise<void> {
    await this.#look()
    const { streamBacklogBytesMax, streamsBacklogBytesMax, streamLettersBytesMax, streamFreeBytesMin } = this.#bounds
    if (bytes > streamBacklogBytesMax)
      throw full(`stream ${stream}: ${bytes} bytes wait to be committed, at most ${streamBacklogBytesMax} may`, bytes)
    const all = this.bytes
    if (all > streamsBacklogBytesMax)
      throw full(`all streams: ${all} bytes wait to be committed, at most ${streamsBacklogBytesMax} may`, all)
    this.#letters.reach(this.#options.letters.position())
    if (this.#letters.bytes > streamLettersBytesMax)
      throw full(
        `dead letters: ${this.#letters.bytes} bytes wait to be committed, at most ${streamLettersBytesMax} may`,
        this.#letters.bytes,
      )
    if (this.#freeBytes < streamFreeBytesMin)
      throw full(`the disk has ${this.#freeBytes} bytes left, at least ${streamFreeBytesMin} must be; make room`, all)
  }

  /** Dead letters were added. */
  addLetters(bytes: number): void {
    const { letters, clock } = this.#options
    this.#letters.add(letters.end(), bytes, clock.nowMs())
  }

  /** Looks at the disk now and then; nobody waits for it but the first. */
  async #look(): Promise<void> {
    const age = this.#options.clock.nowMs() - this.#lookedAtMs
    if (age >= 0 && age < limits.streamFreeCheckMs) return
    this.#looking ??= statfs(this.#options.dir)
      .then(
        ({ bavail, bsize }) => {
          this.#freeBytes = bavail * bsize
        },
        // A disk that cannot be asked says so when something is appended.
        () => undefined,
      )
      .finally(() => {
        this.#lookedAtMs = this.#options.clock.nowMs()
        this.#looking = null
      })
    if (this.#freeBytes === Number.POSITIVE_INFINITY || this.#freeBytes < this.#bounds.streamFreeBytesMin)
      await this.#looking
  }
}

function full(message: string, backlogBytes: number): Fault {
  return new Fault('unavailable', `${message}; send it again later`, { backlogBytes })
}
