/**
 * Upkeep of all tables of a process, beside their commits: one turn at a time, on a DuckDB connection of its own, so that what it
 * takes of memory and time is bounded however many tables there are.
 *
 * A table is due after a commit (`due`), and from time to time without one, since others commit and snapshots grow old. A turn that
 * did something is followed by another, after the other tables that are due. One that failed is told (`upkeep-failed`), comes again
 * after growing pauses, and hinders neither commits nor the other tables.
 */
import { backoffMs } from '../base/backoff.ts'
import type { Clock } from '../base/clock.ts'
import { faultOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Duck, DuckSession } from '../duck/duck.ts'
import type { KeptTable } from './kept-table.ts'
import type { FeedEvent } from './table.ts'
import { type OptimizeReport, TableUpkeep } from './upkeep.ts'

export interface UpkeepHandle {
  /** The table has changed. Returns at once. */
  due(): void
  /** Ends the table's upkeep: what is being written is given up, a swap under way is ended. */
  remove(): Promise<void>
}

interface Kept {
  name: string
  /** Null: turns of something else. */
  upkeep: TableUpkeep | null
  turn: () => Promise<string[]>
  dueMs: number
  /** It has changed since the turn under way began. */
  changed: boolean
  failures: number
}

export class UpkeepLoop {
  readonly #session: DuckSession
  readonly #clock: Clock
  readonly #onEvent: (event: FeedEvent) => void
  readonly #tables = new Set<Kept>()
  readonly #stop = new AbortController()
  #changed = new AbortController()
  /** The table at work. */
  #current: { kept: Kept; ended: Promise<void> } | null = null
  #work: Promise<unknown> = Promise.resolve()
  readonly #running: Promise<void>

  private constructor(session: DuckSession, clock: Clock, onEvent: (event: FeedEvent) => void) {
    this.#session = session
    this.#clock = clock
    this.#onEvent = onEvent
    this.#running = this.#run()
  }

  /** @param onEvent told of `upkeep` and `upkeep-failed`; must not throw */
  static async open(parts: { duck: Duck; clock: Clock; onEvent: (event: FeedEvent) => void }): Promise<UpkeepLoop> {
    return new UpkeepLoop(await parts.duck.connect(), parts.clock, parts.onEvent)
  }

  add(table: KeptTable): UpkeepHandle {
    const upkeep = new TableUpkeep(table, this.#session)
    return this.#add(table.name, upkeep, () => upkeep.turn())
  }

  /** @param turn does a bounded piece of work and tells what it did */
  addTurns(name: string, turn: () => Promise<string[]>): UpkeepHandle {
    return this.#add(name, null, turn)
  }

  /** Compacts a table at once, whatever its turn. Of a table that is not among these, without an index. */
  optimize(table: KeptTable): Promise<OptimizeReport> {
    const known = [...this.#tables].find(({ name }) => name === table.name)?.upkeep
    return this.#alone(() => (known ?? new TableUpkeep(table, this.#session)).optimize())
  }

  #add(name: string, upkeep: TableUpkeep | null, turn: () => Promise<string[]>): UpkeepHandle {
    const kept: Kept = {
      name,
      upkeep,
      turn,
      dueMs: this.#clock.nowMs() + limits.upkeepIntervalMs,
      changed: false,
      failures: 0,
    }
    this.#tables.add(kept)
    this.#wake()
    return {
      due: () => {
        kept.changed = true
        // After a failure its pause holds.
        if (kept.failures === 0) kept.dueMs = Math.min(kept.dueMs, this.#clock.nowMs())
        this.#wake()
      },
      remove: async () => {
        this.#tables.delete(kept)
        if (this.#current?.kept !== kept) return
        this.#session.interrupt()
        await this.#current.ended
      },
    }
  }

  /** Resolves when no table is due, or each that is has had its share of turns. Failures are told, not thrown. */
  async rest(): Promise<void> {
    const turnsMax = limits.upkeepTurnsAtEnd * this.#tables.size
    for (let turns = 0; turns < turnsMax && !this.#stop.signal.aborted; ) {
      if (this.#current !== null) {
        await this.#current.ended
        turns++
      } else if (this.#next() === undefined) return
      this.#wake()
      // The loop takes the next table a little later.
      await new Promise((later) => setImmediate(later))
    }
  }

  /** As `remove`, for all. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.#session.interrupt()
    await this.#running
    this.#session.close()
  }

  /** The connection, and the memory, are for one piece of work at a time. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#work.then(work)
    this.#work = mine.catch(() => undefined)
    return mine
  }

  #wake(): void {
    this.#changed.abort()
  }

  /** The table that has been due for longest. */
  #next(): Kept | undefined {
    const nowMs = this.#clock.nowMs()
    const due = [...this.#tables].filter((kept) => kept.dueMs <= nowMs)
    return due.toSorted((a, b) => a.dueMs - b.dueMs)[0]
  }

  async #run(): Promise<void> {
    const stop = this.#stop.signal
    while (!stop.aborted) {
      const kept = this.#next()
      if (kept === undefined) {
        await this.#wait(AbortSignal.any([stop, this.#changed.signal]))
        if (this.#changed.signal.aborted) this.#changed = new AbortController()
        continue
      }
      const ended = this.#turn(kept)
      this.#current = { kept, ended }
      await ended
      this.#current = null
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const nextMs = Math.min(...[...this.#tables].map((kept) => kept.dueMs))
    // A clock that was set back must not make it wait longer than this.
    const waitMs = Math.min(limits.upkeepIntervalMs, Math.max(0, nextMs - this.#clock.nowMs()))
    await this.#clock.sleep(waitMs, signal).catch(() => undefined)
  }

  async #turn(kept: Kept): Promise<void> {
    kept.changed = false
    try {
      const done = await this.#alone(kept.turn)
      kept.failures = 0
      for (const what of done) this.#onEvent({ kind: 'upkeep', table: kept.name, what })
      const more = done.length > 0 || kept.changed
      kept.dueMs = this.#clock.nowMs() + (more ? 0 : limits.upkeepIntervalMs)
    } catch (error) {
      if (!this.#tables.has(kept) || this.#stop.signal.aborted) return
      const fault = faultOf(error)
      const retryInMs = backoffMs(++kept.failures, limits.upkeepBackoffMs, limits.upkeepBackoffMaxMs)
      kept.dueMs = this.#clock.nowMs() + retryInMs
      this.#onEvent({ kind: 'upkeep-failed', table: kept.name, fault, retryInMs })
    }
  }
}
