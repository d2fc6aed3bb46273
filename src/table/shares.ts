/**
 * One log for several tables: each table's share of it, as its feed takes it.
 *
 * Sealed segments are split once, for all tables (`segment-split.ts`); the pieces stay until every feed has passed the segment.
 * While there is one table only, segments are read as they are.
 *
 * Feeds of one log come to commit at about the same time. The first seals the log for all; those that come soon after take what is
 * sealed already, so that the number of segments does not grow with the number of tables.
 *
 * Crash story: the pieces are scratch files, made again from the log.
 */
import { rm } from 'node:fs/promises'
import type { Clock } from '../base/clock.ts'
import type { Log, Segment } from '../log/log.ts'
import type { LogShare } from './feed.ts'
import { type Slice, splitSegment, tableOfEntry } from './segment-split.ts'

export { tableOfEntry } from './segment-split.ts'

export interface SharesOptions {
  log: Log
  clock: Clock
  /** A path for a new file. */
  scratch: () => Promise<string>
  /** The table of entries that name none. */
  untagged: () => string | undefined
  /** Whether entries of other tables may be in the log. */
  several: () => boolean
  /** Sealed segments are taken as they are for so long, ms. */
  sealedForMs: () => number
}

export class LogShares {
  readonly #options: SharesOptions
  #sealed: Segment[] = []
  #sealedAtMs = Number.NEGATIVE_INFINITY
  #sealing: Promise<Segment[]> | null = null
  /** Pieces by the first offset of their segment. */
  readonly #pieces = new Map<number, { end: number; slices: Promise<Map<string, Slice>> }>()

  /** Keys of pieces that are a part of a segment. */
  #partial = 0

  constructor(options: SharesOptions) {
    this.#options = options
  }

  /** What the feed of `table` takes. */
  of(table: string): LogShare {
    return {
      seal: (from, bytesMax) => this.#seal(from, bytesMax),
      select: (segments, from, end) => this.#select(table, segments, from, end),
      owns: (text) => tableOfEntry(text, this.#options.untagged()) === table,
    }
  }

  /** Every feed has passed `position`: the pieces of segments before it go. */
  async passed(position: number): Promise<void> {
    this.#sealed = this.#sealed.filter(({ end }) => end > position)
    for (const [first, { end, slices }] of this.#pieces) {
      if (end > position) continue
      this.#pieces.delete(first)
      await removeSlices(await slices.catch(() => null))
    }
  }

  close(): Promise<void> {
    return this.passed(Number.POSITIVE_INFINITY)
  }

  async #seal(from: number, bytesMax: number): Promise<Segment[]> {
    const { clock, sealedForMs } = this.#options
    const age = clock.nowMs() - this.#sealedAtMs
    const known = this.#from(from)
    // Reading the clock twice must not keep anybody from sealing: a step backwards counts as old.
    if (known.length > 0 && age >= 0 && age < sealedForMs()) return within(known, bytesMax)
    this.#sealing ??= this.#sealAll().finally(() => {
      this.#sealing = null
    })
    await this.#sealing
    return within(this.#from(from), bytesMax)
  }

  async #sealAll(): Promise<Segment[]> {
    const { log, clock } = this.#options
    this.#sealed = await log.seal(log.start, Number.MAX_SAFE_INTEGER)
    this.#sealedAtMs = clock.nowMs()
    return this.#sealed
  }

  #from(offset: number): Segment[] {
    return this.#sealed.filter(({ end }) => end > offset)
  }

  async #select(table: string, segments: readonly Segment[], from: number, end: number): Promise<Slice[]> {
    if (!this.#options.several()) {
      const taken = segments.filter((segment) => segment.first < end && segment.end > from)
      return taken.map((segment) => ({
        ...segment,
        entries: Math.min(end, segment.end) - Math.max(from, segment.first),
      }))
    }
    const { scratch, untagged } = this.#options
    const found: Slice[] = []
    for (const segment of segments) {
      if (segment.first >= end || segment.end <= from) continue
      const whole = segment.first >= from && segment.end <= end
      const slices = whole
        ? await this.#split(segment)
        : await splitSegment(segment, { untagged: untagged(), scratch, from, end, only: table })
      const slice = slices.get(table)
      if (slice !== undefined) found.push(slice)
      // A part is asked for by one feed once; it goes with the segment.
      if (!whole) this.#pieces.set(--this.#partial, { end: segment.end, slices: Promise.resolve(slices) })
    }
    return found
  }

  #split(segment: Segment): Promise<Map<string, Slice>> {
    const known = this.#pieces.get(segment.first)
    if (known !== undefined) return known.slices
    const { scratch, untagged } = this.#options
    const slices = splitSegment(segment, { untagged: untagged(), scratch })
    this.#pieces.set(segment.first, { end: segment.end, slices })
    // What could not be made is tried again by the next who asks.
    slices.catch(() => this.#pieces.delete(segment.first))
    return slices
  }
}

async function removeSlices(slices: Map<string, Slice> | null): Promise<void> {
  for (const { path } of slices?.values() ?? []) await rm(path, { force: true })
}

/** The first of `segments` that come to `bytesMax` at most, but one at least. */
function within(segments: readonly Segment[], bytesMax: number): Segment[] {
  const taken: Segment[] = []
  let bytes = 0
  for (const segment of segments) {
    if (taken.length > 0 && bytes + segment.bytes > bytesMax) break
    bytes += segment.bytes
    taken.push(segment)
  }
  return taken
}
