/**
 * A listing read in parts, several at once. A part is a range of keys. It is split when another reader is free: at a key behind which
 * the listing shows something, found by looking, from where the part has come to outward. So small buckets stay whole, and large ones
 * divide as they are read, whatever their keys are like.
 *
 * Invariant: parts that are not finished, from where each has come to, are everything that is left to read. Whoever keeps them
 * can go on after a crash.
 */
import { assert } from '../base/assert.ts'
import { compareKeyOrder } from '../base/key-order.ts'
import { limits } from '../base/limits.ts'
import type { BucketStore } from '../store/store.ts'
import { type ListedKey, listKeys } from './listing.ts'

/** Keys after one (exclusive) up to another (inclusive); absent: from the first, to the last. */
export interface PartRange {
  after?: string
  upTo?: string
}

/** A part while it is read. Its end comes nearer when it is split. */
export interface ListingPart extends PartRange {
  prefix: string
  /** Its keys, to its end. Once. */
  keys(): AsyncGenerator<ListedKey>
  /** Everything up to this key is done with, durably. */
  done(key: string): void
}

export interface ListingPartsOptions {
  store: BucketStore
  prefix: string
  versions: boolean
  /** What is left of an earlier reading; default: everything. */
  left?: readonly PartRange[]
  atOnce?: number
  signal?: AbortSignal
}

interface OpenPart extends ListingPart {
  /** The last key that was read. */
  at: string | undefined
  /** The first one. */
  first: string | undefined
  read: number
  /** Not to be split before so many were read. */
  splitFrom: number
}

export class ListingParts {
  readonly #options: ListingPartsOptions
  readonly #waiting: PartRange[]
  readonly #open = new Set<OpenPart>()
  #isSplitting = false
  #made: number

  constructor(options: ListingPartsOptions) {
    this.#options = options
    this.#waiting = options.left === undefined ? [{}] : [...options.left]
    this.#made = this.#waiting.length
  }

  /** What is not done with yet. */
  left(): PartRange[] {
    return [...this.#open, ...this.#waiting].map(({ after, upTo }) => ({
      ...(after === undefined ? {} : { after }),
      ...(upTo === undefined ? {} : { upTo }),
    }))
  }

  /** Gives each part to `work`, several at once. @throws what `work` throws first; the others end before */
  async run(work: (part: ListingPart) => Promise<void>): Promise<void> {
    const atOnce = this.#options.atOnce ?? limits.reconcilePartsAtOnce
    const running = new Set<Promise<void>>()
    const failures: unknown[] = []
    for (;;) {
      while (failures.length === 0 && running.size < atOnce && this.#waiting.length > 0) {
        const one = this.#work(this.#waiting.shift()!, work)
          .catch((error: unknown) => void failures.push(error))
          .finally(() => running.delete(one))
        running.add(one)
      }
      if (running.size === 0) break
      const split = this.#splitWhenFree(atOnce - running.size)
      await Promise.race([...running, split])
    }
    if (failures.length > 0) throw failures[0]
  }

  async #work(range: PartRange, work: (part: ListingPart) => Promise<void>): Promise<void> {
    const part = this.#part(range)
    this.#open.add(part)
    try {
      await work(part)
      this.#open.delete(part)
    } catch (error) {
      // It is left, from where it has come to.
      this.#open.delete(part)
      this.#waiting.push(part)
      throw error
    }
  }

  #part(range: PartRange): OpenPart {
    const { store, prefix, versions, signal } = this.#options
    const moved = () => this.#moved.resolve()
    const part: OpenPart = {
      ...range,
      prefix,
      at: range.after,
      first: undefined,
      read: 0,
      splitFrom: limits.reconcileSplitKeys,
      done: (key) => {
        part.after = key
      },
      keys: async function* () {
        const options = { prefix, versions, ...(part.after === undefined ? {} : { after: part.after }) }
        for await (const listed of listKeys(store, options)) {
          signal?.throwIfAborted()
          if (part.upTo !== undefined && compareKeyOrder(listed.key, part.upTo) > 0) return
          part.at = listed.key
          part.first ??= listed.key
          if (++part.read % limits.reconcileSplitKeys === 0) moved()
          yield listed
        }
      },
    }
    return part
  }

  #moved = Promise.withResolvers<void>()

  /** Resolves when a part was split; never, as long as there is none to split. */
  async #splitWhenFree(free: number): Promise<void> {
    for (;;) {
      const isFree = free > 0 && !this.#isSplitting && this.#made < limits.reconcilePartsMax
      const part = isFree ? this.#largest() : undefined
      if (part !== undefined && (await this.#split(part))) return
      this.#moved = Promise.withResolvers<void>()
      await this.#moved.promise
    }
  }

  #largest(): OpenPart | undefined {
    const able = [...this.#open].filter(({ read, splitFrom }) => read >= splitFrom)
    return able.sort((one, other) => other.read - one.read)[0]
  }

  async #split(part: OpenPart): Promise<boolean> {
    this.#isSplitting = true
    try {
      part.splitFrom = part.read * 2
      const boundary = await this.#boundaryIn(part)
      // The part went on meanwhile.
      if (boundary === null || part.at === undefined || compareKeyOrder(boundary, part.at) <= 0) return false
      if (!this.#open.has(part)) return false
      assert(part.upTo === undefined || compareKeyOrder(boundary, part.upTo) < 0, 'a part is split before its end')
      this.#waiting.push({ after: boundary, ...(part.upTo === undefined ? {} : { upTo: part.upTo }) })
      part.upTo = boundary
      part.splitFrom = part.read + limits.reconcileSplitKeys
      this.#made++
      return true
    } catch {
      // A look that failed: the readers will meet what is wrong with the store.
      return false
    } finally {
      this.#isSplitting = false
    }
  }

  /** A text between where the part is and its end, behind which it has keys. */
  async #boundaryIn({ prefix, first, at, upTo }: OpenPart): Promise<string | null> {
    if (at === undefined) return null
    let probes = 0
    for (const candidate of boundaries(at, sharedLength(first ?? at, at), prefix.length)) {
      const { key } = candidate
      if (upTo !== undefined && compareKeyOrder(key, upTo) >= 0) {
        candidate.tooFar()
        continue
      }
      if (probes++ >= limits.reconcileSplitProbesMax) return null
      const next = await this.#firstAfter(key)
      if (next !== null && (upTo === undefined || compareKeyOrder(next, upTo) <= 0)) return key
      candidate.tooFar()
    }
    return null
  }

  async #firstAfter(after: string): Promise<string | null> {
    const { store, prefix, versions } = this.#options
    for await (const { key } of listKeys(store, { prefix, versions, after })) return key
    return null
  }
}

function sharedLength(one: string, other: string): number {
  let at = 0
  while (at < one.length && at < other.length && one[at] === other[at]) at++
  return at
}

const FIRST = 0x20
const LAST = 0x7e

/**
 * Texts behind `at`, halving the way to the end of what begins as it does: first where its keys differ now, then at ever shorter
 * beginnings. `tooFar` says that nothing lies behind the last one.
 */
export function* boundaries(
  at: string,
  depth: number,
  depthMin: number,
): Generator<{ key: string; tooFar: () => void }> {
  for (let length = Math.min(depth, at.length); length >= depthMin; length--) {
    const stem = at.slice(0, length)
    const low = length < at.length ? at.charCodeAt(length) : FIRST - 1
    let high = LAST + 1
    while (high - low > 1) {
      const middle = (low + high) >> 1
      let isTooFar = false
      yield { key: stem + String.fromCharCode(middle), tooFar: () => (isTooFar = true) }
      if (!isTooFar) break
      high = middle
    }
  }
}
