/**
 * A listing, or a report, against what is known: two streams in the order of keys, merged.
 *
 * What differs becomes drift (`drift.ts`) with the events that mend it; whoever calls makes them durable. Nothing here writes.
 *
 * A key of which something is known and which differs is looked at once more before it is judged: the listing may be minutes old,
 * a report days. The look is one request, and what is known is read anew after it. Keys of which nothing is known need none: a
 * listing that shows them is proof enough that they were there.
 *
 * Crash story: none is needed. A page's `upTo` says how far the comparison is whole; begun after it, or anew, it finds what is left.
 *
 * Memory: a page of keys, and the versions of one.
 */
import type { Clock } from '../../base/clock.ts'
import { compareKeyOrder } from '../../base/key-order.ts'
import { limits } from '../../base/limits.ts'
import type { ListedKey } from '../../source/source.ts'
import { type ComparedKey, type Drift, driftOf, isCurrentInStep, isInStep } from './drift.ts'
import { type KeyRange, type KnownKey, knownKeys } from './known-keys.ts'
import { presenceOf, type VersionState, visible } from './version-state.ts'
import type { VersionStore } from './version-store.ts'

export interface CompareParts {
  bucket: string
  versions: VersionStore
  clock: Clock
  /**
   * A key as it is in the bucket now. Absent: what the listing says is all there is to go by.
   */
  look?: (key: string) => Promise<ListedKey>
  /** Keys that are no business of ours, in the listing and in what is known. */
  isExcluded?: (key: string) => boolean
}

export interface Comparison extends CompareParts {
  /** Of the keys of `range`, in the order of code points. */
  listing: AsyncIterable<ListedKey>
  range: KeyRange
  /** When the listing was begun, by our clock: what happened before shows in it. */
  begunMs: number
  /** A report is looked after in every difference: it may be days old, and lacks what was new when it was made. */
  kind: 'listing' | 'inventory'
  /** Of a bucket that has versions, only the current objects are listed, and not as which version. Needs `look`. */
  currentOnly?: boolean
}

export interface ComparedPage {
  /** Keys and versions that were listed. */
  keys: number
  versions: number
  drifts: Drift[]
  /** Versions that the listing may be too old to judge. */
  unsettled: number
  /** Keys with more versions than are compared. */
  tooMany: string[]
  /** Every key up to this one has been compared. */
  upTo: string
}

/** What is to be looked at again, or stands already. */
type Suspect = { kind: 'look'; key: string } | { kind: 'found'; drifts: Drift[]; unsettled: number }

/** Pages of what differs, also where nothing does. @throws what the listing or a look throws; pages before stand */
export async function* compareListing(comparison: Comparison): AsyncGenerator<ComparedPage> {
  const { bucket, versions, range } = comparison
  const knowns = knownKeys(versions, bucket, range)
  let known = knowns.next()
  let page = new Page(comparison)
  const passOver = function* (isBefore: (key: string) => boolean) {
    while (known.done !== true && isBefore(known.value.key) && isWithin(range, known.value.key)) {
      page.gone(known.value)
      known = knowns.next()
      if (page.isFull) yield
    }
  }
  try {
    for await (const listed of comparison.listing) {
      for (const _ of passOver((key) => compareKeyOrder(key, listed.key) < 0)) {
        yield await page.end()
        page = new Page(comparison)
      }
      const isKnown = known.done !== true && known.value.key === listed.key
      page.listed(listed, isKnown ? (known.value as KnownKey) : null)
      if (isKnown) known = knowns.next()
      if (!page.isFull) continue
      yield await page.end()
      page = new Page(comparison)
    }
    for (const _ of passOver(() => true)) {
      yield await page.end()
      page = new Page(comparison)
    }
    if (!page.isEmpty) yield await page.end()
  } finally {
    knowns.return(undefined)
  }
}

/** Keys under comparison until there are enough of them. */
class Page {
  readonly #comparison: Comparison
  readonly #suspects: Suspect[] = []
  readonly #tooMany: string[] = []
  #seen = 0
  #keys = 0
  #versions = 0
  #upTo = ''

  constructor(comparison: Comparison) {
    this.#comparison = comparison
  }

  get isFull(): boolean {
    return this.#seen >= limits.reconcilePageKeys
  }

  get isEmpty(): boolean {
    return this.#seen === 0
  }

  listed(listed: ListedKey, known: KnownKey | null): void {
    this.#seen++
    this.#keys++
    this.#versions += listed.versions.length
    this.#upTo = listed.key
    if (this.#isExcluded(listed.key)) return
    if (listed.isCut || isTooMany(known)) this.#tooMany.push(listed.key)
    else this.#compare(listed.key, listed.versions, known)
  }

  /** A key that is known and not listed. */
  gone(known: KnownKey): void {
    this.#seen++
    this.#upTo = known.key
    if (this.#isExcluded(known.key)) return
    if (isTooMany(known)) this.#tooMany.push(known.key)
    else this.#compare(known.key, [], known)
  }

  async end(): Promise<ComparedPage> {
    const { look } = this.#comparison
    const drifts: Drift[] = []
    let unsettled = 0
    const take = (found: { drifts: Drift[]; unsettled: number }) => {
      drifts.push(...found.drifts)
      unsettled += found.unsettled
    }
    const looks: string[] = []
    for (const suspect of this.#suspects) {
      if (suspect.kind === 'found') take(suspect)
      else looks.push(suspect.key)
    }
    for (let start = 0; start < looks.length && look !== undefined; start += limits.reconcileLooksAtOnce) {
      const some = looks.slice(start, start + limits.reconcileLooksAtOnce)
      for (const found of await Promise.all(some.map((key) => this.#lookAt(key, look)))) take(found)
    }
    return {
      keys: this.#keys,
      versions: this.#versions,
      drifts,
      unsettled,
      tooMany: this.#tooMany,
      upTo: this.#upTo,
    }
  }

  #isExcluded(key: string): boolean {
    return this.#comparison.isExcluded?.(key) === true
  }

  #compare(key: string, listed: ComparedKey['listed'], known: KnownKey | null): void {
    const { bucket, versions, begunMs, kind, look, currentOnly } = this.#comparison
    const shown = known?.versions ?? []
    if (isInStep({ listed, shown })) return
    if (currentOnly === true) {
      if (!isCurrentInStep({ listed, shown })) this.#suspects.push({ kind: 'look', key })
      return
    }
    const mayLook = look !== undefined && (known !== null || kind === 'inventory')
    const compared: ComparedKey = {
      bucket,
      key,
      listed,
      shown,
      known: (versionId) => stateAmong(shown, versionId) ?? versions.get(bucket, key, versionId) ?? undefined,
      begunMs,
      source: kind,
      isFinal: !mayLook,
    }
    const found = driftOf(compared)
    if (found.drifts.length === 0 && found.unsettled === 0) return
    this.#suspects.push(mayLook ? { kind: 'look', key } : { kind: 'found', ...found })
  }

  async #lookAt(key: string, look: (key: string) => Promise<ListedKey>) {
    const { bucket, versions, clock } = this.#comparison
    const begunMs = clock.nowMs()
    const { versions: listed, isCut } = await look(key)
    if (isCut) {
      this.#tooMany.push(key)
      return { drifts: [], unsettled: 0 }
    }
    const states = new Map(versions.versionsOf(bucket, key).map((state) => [visible(state).event.versionId, state]))
    const shown = [...states]
      .map(([versionId, state]) => ({ versionId, state }))
      .filter(({ state }) => presenceOf(state) !== 'absent')
    return driftOf({
      bucket,
      key,
      listed,
      shown,
      known: (versionId) => states.get(versionId),
      begunMs,
      source: 'listing',
      isFinal: true,
    })
  }
}

/** The end of a range may have come nearer since the key was read. */
function isWithin({ upTo }: KeyRange, key: string): boolean {
  return upTo === undefined || compareKeyOrder(key, upTo) <= 0
}

function isTooMany(known: KnownKey | null): boolean {
  return known !== null && known.versions.length > limits.reconcileVersionsPerKeyMax
}

function stateAmong(shown: ComparedKey['shown'], versionId: string): VersionState | undefined {
  if (shown.length <= FEW) return shown.find((each) => each.versionId === versionId)?.state
  let found = byId.get(shown)
  if (found === undefined) {
    found = new Map(shown.map((each) => [each.versionId, each.state]))
    byId.set(shown, found)
  }
  return found.get(versionId)
}

const FEW = 8
const byId = new WeakMap<ComparedKey['shown'], Map<string, VersionState>>()
