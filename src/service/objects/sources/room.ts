/** Whether sources may bring more events: what waits to be passed on and committed, and what room the disk has. */
import { statfs } from 'node:fs/promises'
import type { Clock } from '../../../base/clock.ts'
import { limits } from '../../../base/limits.ts'

export interface RoomOptions {
  clock: Clock
  /** The folder whose disk it is about. */
  dir: string
  /** Events that wait to be passed on to the tables' logs. */
  waitingEvents: () => number
  /** Changes that wait to be committed, by table. */
  waitingChanges: () => Iterable<readonly [table: string, entries: number]>
}

export type RoomBounds = Pick<
  typeof limits,
  'objectsBacklogEntriesMax' | 'objectsTableBacklogEntriesMax' | 'objectsFreeBytesMin'
>

export class Room {
  readonly #options: RoomOptions
  readonly #bounds: Readonly<Record<keyof RoomBounds, number>>
  #freeBytes = Number.POSITIVE_INFINITY
  #lookedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: RoomOptions, bounds: Readonly<Record<keyof RoomBounds, number>> = limits) {
    this.#options = options
    this.#bounds = bounds
  }

  /** Why nothing more may come in for the moment; null when it may. */
  async full(): Promise<string | null> {
    const { objectsBacklogEntriesMax, objectsTableBacklogEntriesMax, objectsFreeBytesMin } = this.#bounds
    const events = this.#options.waitingEvents()
    if (events > objectsBacklogEntriesMax)
      return `${events} events wait to be passed on, at most ${objectsBacklogEntriesMax} may`
    for (const [table, entries] of this.#options.waitingChanges())
      if (entries > objectsTableBacklogEntriesMax)
        return `${entries} changes of ${table} wait to be committed, at most ${objectsTableBacklogEntriesMax} may`
    await this.#look()
    if (this.#freeBytes < objectsFreeBytesMin)
      return `the disk has ${this.#freeBytes} bytes left, at least ${objectsFreeBytesMin} must be; make room`
    return null
  }

  async #look(): Promise<void> {
    const nowMs = this.#options.clock.nowMs()
    const age = nowMs - this.#lookedAtMs
    if (age >= 0 && age < limits.objectsFreeCheckMs) return
    this.#lookedAtMs = nowMs
    try {
      const { bavail, bsize } = await statfs(this.#options.dir)
      this.#freeBytes = bavail * bsize
    } catch {
      // A disk that cannot be asked says so when something is appended.
    }
  }
}
