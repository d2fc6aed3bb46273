/**
 * What waits for a worker, and in which order it gets one.
 *
 * Records of many requests go into one invocation when workers are busy; nothing waits for more to come. What was once in an
 * invocation that hung or crashed is a suspect: suspects never take all workers where there are several, and with one worker they
 * take turns with what is fresh, so that a record that hangs delays the others, and does not stop them.
 */
import { limits } from '../../../base/limits.ts'
import type { Item } from './items.ts'

/** Records that go into one invocation. */
export interface Group {
  items: readonly Item[]
  /** Invocations that it has failed. */
  tries: number
  isSuspect: boolean
  /** Set once its tries are used up and it is being halved: after this it fails as a whole. */
  untilMs: number | null
}

export class TransformQueue {
  readonly #bytesMax: number
  readonly #suspectsMax: number
  readonly #turns: boolean
  #fresh: Item[] = []
  #at = 0
  readonly #groups: Group[] = []
  readonly #suspects: Group[] = []
  #suspectsRunning = 0
  #lastWasSuspect = false

  constructor({ bytesMax, workers }: { bytesMax: number; workers: number }) {
    this.#bytesMax = bytesMax
    this.#suspectsMax = Math.max(1, workers - 1)
    this.#turns = workers === 1
  }

  add(items: readonly Item[]): void {
    for (const item of items) this.#fresh.push(item)
  }

  /** A group that failed, or what is left of one. */
  addGroup(group: Group): void {
    if (group.isSuspect) this.#suspects.push(group)
    else this.#groups.push(group)
  }

  get isEmpty(): boolean {
    return this.#at === this.#fresh.length && this.#groups.length === 0 && this.#suspects.length === 0
  }

  /** The next group to invoke the function with. Whoever takes it says when it is `over`. */
  take(): Group | undefined {
    const hasOther = this.#groups.length > 0 || this.#at < this.#fresh.length
    const mayBeSuspect = this.#suspectsRunning < this.#suspectsMax && !(this.#turns && this.#lastWasSuspect && hasOther)
    const suspect = mayBeSuspect ? nextWanted(this.#suspects) : undefined
    if (suspect !== undefined) {
      this.#suspectsRunning++
      this.#lastWasSuspect = true
      return suspect
    }
    this.#lastWasSuspect = false
    return nextWanted(this.#groups) ?? this.#takeFresh()
  }

  over(group: Group): void {
    if (group.isSuspect) this.#suspectsRunning--
  }

  clear(): void {
    this.#fresh = []
    this.#at = 0
    this.#groups.length = 0
    this.#suspects.length = 0
  }

  #takeFresh(): Group | undefined {
    const items: Item[] = []
    let bytes = 0
    while (this.#at < this.#fresh.length && items.length < limits.transformRecordsMax) {
      const item = this.#fresh[this.#at]!
      if (items.length > 0 && bytes + item.sizeBytes > this.#bytesMax) break
      this.#at++
      if (item.request.isOver) continue
      items.push(item)
      bytes += item.sizeBytes
    }
    if (this.#at === this.#fresh.length) {
      this.#fresh = []
      this.#at = 0
    }
    return items.length === 0 ? undefined : { items, tries: 0, isSuspect: false, untilMs: null }
  }
}

/** The next group with records that somebody still waits for. */
function nextWanted(groups: Group[]): Group | undefined {
  for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
    const items = group.items.filter((item) => !item.request.isOver)
    if (items.length > 0) return { ...group, items }
  }
  return undefined
}
