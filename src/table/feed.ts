/**
 * The commit loop of one table: waits for entries, lets a few more gather, commits them, again.
 *
 * A failure that may pass is told (`stalled`) and tried again with growing pauses; meanwhile entries stay in the log.
 * An entry that does not fit the table is found by halving the batch, handed to `onPoison`, and left out: one bad
 * entry never stops the others.
 *
 * A log may be for several tables: each has a feed, which takes its share of the entries (`LogShare`) and passes over the others.
 * Then no feed alone may let the log forget; whoever made them does, at the least position of all (`onPassed`).
 */
import type { Clock } from '../base/clock.ts'
import { Fault, isFault } from '../base/fault.ts'
import { Follower } from '../base/follow.ts'
import { limits } from '../base/limits.ts'
import type { Slots } from '../base/slots.ts'
import type { Log, Segment } from '../log/log.ts'
import { withSlice } from './segment-slice.ts'
import type { Slice } from './segment-split.ts'
import type { CommitReport, FeedEvent } from './table.ts'
import type { TableWriter } from './writer.ts'

/** One table's entries of a log that is for several. */
export interface LogShare {
  /** As `Log.seal`; may leave out what came just now. */
  seal(from: number, bytesMax: number): Promise<Segment[]>
  /** The table's entries of [from, end), which `segments` hold; none when they have none. Kept until the feed has passed them. */
  select(segments: readonly Segment[], from: number, end: number): Promise<Slice[]>
  owns(text: string): boolean
}

export interface FeedOptions {
  writer: TableWriter
  log: Log
  clock: Clock
  /** Told of every commit and stall. Must not throw. */
  onEvent: (event: FeedEvent) => void
  /** Makes an entry that the table refuses durable elsewhere (dead letters) before the feed passes over it. */
  onPoison: (text: string, reason: Fault) => Promise<void>
  /** Told after commits that the table's upkeep may be due. Returns at once: no commit waits for upkeep. */
  upkeep?: () => void
  /** Offset before which there is nothing for the table. */
  from?: number
  /** How long a commit waits for more entries after the first; `hurry` ends the wait. */
  lingerMs?: number | (() => number)
  /** Default: the log is this table's alone. */
  share?: LogShare
  /** Commits of all feeds that share them wait for each other. */
  slots?: { commit: Slots }
  /** When the entry at an offset was accepted, ms since 1970; null when nobody knows. */
  acceptedMs?: (offset: number) => number | null
  /** Runs when [.., end) is in the table. Default: the log may forget it. */
  onPassed?: (end: number) => Promise<void>
}

export class TableFeed {
  readonly #options: FeedOptions
  readonly #follower: Follower
  #position: number
  /** Commits are made one after the other, whoever asks. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Ends the wait for more entries. */
  #hurry = new AbortController()

  private constructor(options: FeedOptions, position: number) {
    this.#options = options
    this.#position = position
    this.#follower = new Follower({
      clock: options.clock,
      turn: async (signal) => {
        await options.log.waitFor(this.#position, signal)
        await this.#linger(signal)
        await this.#inTurn(() => this.#commitNext())
      },
      onFault: (fault, retryInMs) => options.onEvent({ kind: 'stalled', table: options.writer.name, fault, retryInMs }),
    })
  }

  /** @throws Fault `corrupt` when the table holds more than the log: the log was lost or is another one */
  static async open(options: FeedOptions): Promise<TableFeed> {
    const held = await options.writer.committedOffset()
    if (held > options.log.end) {
      throw new Fault(
        'corrupt',
        `table ${options.writer.name} holds its log up to offset ${held}, but the log ends at ${options.log.end}: the log was lost or replaced; run tidewater doctor --repair to continue the log after the table`,
        { held, end: options.log.end },
      )
    }
    return new TableFeed(options, Math.max(held, options.log.start, options.from ?? 0))
  }

  /** Every entry before this offset is in the table (or was passed over as poison). */
  get position(): number {
    return this.#position
  }

  /** Follows the log until `stop`. May be started again. */
  start(): void {
    this.#follower.start()
  }

  /** Ends after the commit under way. Entries not yet committed stay in the log. */
  async stop(): Promise<void> {
    await this.#follower.stop()
  }

  /** Commits without waiting for more, if there is anything to commit. */
  hurry(): void {
    this.#hurry.abort()
  }

  /** Commits what the log holds now, in as many commits as it takes. @throws Fault of the first commit that fails */
  async drain(): Promise<void> {
    const { log } = this.#options
    const { end } = log
    while (this.#position < end) await this.#inTurn(() => this.#commitNext())
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  /** Lets more entries gather, until the time is over or somebody hurries. */
  async #linger(signal: AbortSignal): Promise<void> {
    const hurry = this.#hurry.signal
    try {
      const { clock, lingerMs = limits.commitLingerMs } = this.#options
      await clock.sleep(typeof lingerMs === 'number' ? lingerMs : lingerMs(), AbortSignal.any([signal, hurry]))
    } catch (error) {
      if (signal.aborted || !hurry.aborted) throw error
    }
    this.#hurry = new AbortController()
  }

  async #commitNext(): Promise<void> {
    const { log, share, onPassed, upkeep } = this.#options
    const from = this.#position
    const segments = await (share ?? log).seal(from, limits.commitBytesMax)
    const sealedEnd = segments.at(-1)?.end ?? from
    const end = Math.min(sealedEnd, from + limits.commitEntriesMax)
    if (end <= from) return
    await this.#commitShare(segments, from, end)
    this.#position = end
    if (onPassed === undefined) await log.trim(end)
    else await onPassed(end)
    upkeep?.()
  }

  async #commitShare(segments: readonly Segment[], from: number, end: number): Promise<void> {
    const { share, slots, onEvent, writer } = this.#options
    const commit = async () => {
      if (share === undefined) return this.#commitRange(segments, { from, end }, end - from)
      const slices = await share.select(segments, from, end)
      const entries = slices.reduce((sum, slice) => sum + slice.entries, 0)
      if (entries > 0) await this.#commitRange(slices, { from, end }, entries)
      else onEvent({ kind: 'unchanged', table: writer.name, from, end })
    }
    await (slots === undefined ? commit() : slots.commit.run(commit))
  }

  /** Commits [from, end); a range that the table refuses is halved until the refused entries stand alone. */
  async #commitRange(
    segments: readonly Segment[],
    { from, end }: { from: number; end: number },
    entries: number,
  ): Promise<void> {
    const { writer, onEvent, log } = this.#options
    let report: CommitReport | null
    try {
      report = await writer.commit(segments, from, end, entries)
    } catch (error) {
      if (!isFault(error, 'invalid') || isStatementError(error)) throw error
      const alone = segments.length === 1 && segments[0]?.first === from && segments[0].end === end
      if (alone && end - from === 1) {
        const [entry] = await log.read(from, 1)
        if (entry !== undefined) await this.#options.onPoison(entry.text, error)
        return
      }
      const middle = from + Math.ceil((end - from) / 2)
      for (const range of [
        { from, end: middle },
        { from: middle, end },
      ]) {
        if (range.from < range.end) await this.#commitSlice(range)
      }
      return
    }
    if (report === null) return onEvent({ kind: 'unchanged', table: writer.name, from, end })
    const oldestAtMs = this.#options.acceptedMs?.(from) ?? null
    const oldestMs = oldestAtMs === null ? null : Math.max(0, this.#options.clock.nowMs() - oldestAtMs)
    onEvent({ kind: 'committed', report: { ...report, oldestMs, waitingEntries: log.end - end } })
  }

  /** Commits a range that is read without its neighbours, which may be what the table refuses. */
  async #commitSlice(range: { from: number; end: number }): Promise<void> {
    const { log, share, writer } = this.#options
    const path = await writer.parts.io.scratch('.ndjson')
    const commit = async (slice: Slice) => {
      if (slice.entries > 0) await this.#commitRange([slice], range, slice.entries)
    }
    await withSlice(log, range, path, commit, (text) => share === undefined || share.owns(text))
  }
}

/**
 * DuckDB's word that something else than a value is wrong (the statement, its transaction, DuckDB itself): no entry is to
 * blame, and none may be passed over for it.
 */
function isStatementError(fault: Fault): boolean {
  const kind = /^([A-Za-z][A-Za-z ]*) Error:/.exec(fault.message)?.[1]
  return kind !== undefined && !['Conversion', 'Invalid Input', 'Out of Range', 'Constraint'].includes(kind)
}
