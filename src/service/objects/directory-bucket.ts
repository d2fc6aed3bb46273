/**
 * A directory kept in step: what differs between its files and what is known of the bucket becomes events.
 *
 * Invariant: a comparison runs only against a state that has taken in every event told before, so nothing is told twice.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/fault.ts'
import { NULL_VERSION, type ObjectEvent } from '../../change/object-event.ts'
import {
  compareKeys,
  type DirectoryHint,
  HybridClock,
  type InventoryEntry,
  scanDirectory,
  watchDirectory,
} from '../../source/source.ts'
import type { Store } from '../../store/store.ts'
import type { ObjectsService } from './objects.ts'
import { visible } from './version-state.ts'
import type { VersionStore } from './version-store.ts'

export interface DirectoryBucketParts {
  bucket: string
  /** Absolute path of the directory. */
  root: string
  /** A store of that directory whose etags change with each write. */
  store: Store
  objects: Pick<ObjectsService, 'accept' | 'accepted' | 'passed'>
  versions: VersionStore
  clock: Clock
  /** Folders in it that are no objects: above all the state folder. */
  excluded: readonly string[]
}

export interface SyncCounts {
  added: number
  changed: number
  removed: number
}

export class DirectoryBucket {
  readonly #parts: DirectoryBucketParts
  readonly #sequencers: HybridClock

  constructor(parts: DirectoryBucketParts) {
    this.#parts = parts
    this.#sequencers = new HybridClock(parts.clock)
  }

  /** Compares everything and makes the differences durable as events; `onEvents` is told the count so far. */
  async sync(onEvents?: (events: number) => void, signal?: AbortSignal): Promise<SyncCounts> {
    const { store, objects } = this.#parts
    const counts: SyncCounts = { added: 0, changed: 0, removed: 0 }
    let told = 0
    for await (const page of scanDirectory(store, {
      ...this.#options(),
      inventory: this.#inventory(),
      ...(signal ? { signal } : {}),
    })) {
      const events = page.map((event) => this.#afterTombstone(event))
      for (const event of events) this.#count(counts, event)
      await objects.accept(events)
      told += page.length
      onEvents?.(told)
    }
    return counts
  }

  /** Follows the directory until the signal is aborted. The stage must be running. */
  async watch(signal: AbortSignal, onWarning: (message: string) => void): Promise<void> {
    const { root, excluded, objects } = this.#parts
    for await (const hint of watchDirectory(root, { signal, excluded, onWarning })) {
      try {
        const offset = await this.#follow(hint, signal)
        if (offset !== null) await objects.passed(offset, signal)
      } catch (error) {
        if (signal.aborted) return
        // The next hint or rescan tries again: the comparison itself holds no state.
        onWarning(`comparing ${root} failed: ${messageOf(error)}`)
      }
    }
  }

  async #follow(hint: DirectoryHint, signal: AbortSignal): Promise<number | null> {
    const { store, objects } = this.#parts
    switch (hint.kind) {
      case 'rescan': {
        const { added, changed, removed } = await this.sync(undefined, signal)
        return added + changed + removed > 0 ? objects.accepted : null
      }
      case 'keys': {
        const known = new Map(hint.keys.flatMap((key) => this.#known(key) ?? []).map((entry) => [entry.key, entry]))
        const events = await compareKeys(store, hint.keys, known, this.#options())
        return events.length > 0 ? objects.accept(events) : null
      }
    }
  }

  #options() {
    const { bucket, clock, excluded } = this.#parts
    return { bucket, clock, excluded, sequencers: this.#sequencers }
  }

  #count(counts: SyncCounts, event: ObjectEvent): void {
    if (event.kind === 'delete') counts.removed++
    else if (this.#known(event.key) === null) counts.added++
    else counts.changed++
  }

  /** A key that was deleted and is back must be newer than its tombstone, also when the clock has stepped back since. */
  #afterTombstone(event: ObjectEvent): ObjectEvent {
    const state = this.#parts.versions.get(event.bucket, event.key, event.versionId)
    const before = state === null ? undefined : visible(state).event.sequencer
    if (before === undefined || event.sequencer === undefined || event.sequencer > before) return event
    this.#sequencers.observe(before)
    return { ...event, sequencer: this.#sequencers.next() }
  }

  #known(key: string): InventoryEntry | null {
    const state = this.#parts.versions.get(this.#parts.bucket, key, NULL_VERSION)
    if (state === null) return null
    const { present, event } = visible(state)
    if (event.sequencer !== undefined && event.source === 'directory') this.#sequencers.observe(event.sequencer)
    return present ? entryOf(event) : null
  }

  async *#inventory(): AsyncGenerator<InventoryEntry> {
    for (const event of this.#parts.versions.present(this.#parts.bucket)) yield entryOf(event)
  }
}

function entryOf(event: ObjectEvent): InventoryEntry {
  return {
    key: event.key,
    ...(event.etag === undefined ? {} : { etag: event.etag }),
    ...(event.sizeBytes === undefined ? {} : { sizeBytes: event.sizeBytes }),
    ...(event.sequencer === undefined || event.source !== 'directory' ? {} : { sequencer: event.sequencer }),
  }
}
