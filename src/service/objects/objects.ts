/**
 * The objects service: events about objects in, three table logs out.
 *
 * `accept` makes events durable in the `objects` log. The stage then reads that log in windows and, per window,
 *   1. merges the events into what is known of each object version (`version-state.ts`): this decides what is newest,
 *      late or repeated, whatever the order of arrival;
 *   2. extracts the bytes of versions whose newest event is in the window (older ones are superseded: hot keys fold);
 *   3. appends to the journal's, inventory's and content table's logs; each change carries the offset of its event.
 *
 * Crash story: on start the stage goes back to the last position that all three logs are known to have passed and passes
 * the rest on again. Merging is idempotent, and so are the tables: a change passed on twice is the same row.
 */
import type { Clock } from '../../base/clock.ts'
import { Fault, isFault, messageOf } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import { type TableChangeEntry, tableChangeText } from '../../change/table-change.ts'
import type { Extraction } from '../../extract/extract.ts'
import type { Log } from '../../log/log.ts'
import type { DeadLetters } from '../deadletter/deadletter.ts'
import { compileMapping, type ContentMapping } from './mapping.ts'
import { contentRow, inventoryRow, journalRow, metadataOf, versionKey } from './rows.ts'
import { type Effect, visible } from './version-state.ts'
import type { AppliedEvent, VersionStore } from './version-store.ts'

export interface ObjectsParts {
  objects: Log
  journal: Log
  inventory: Log
  content: Log
  versions: VersionStore
  deadLetters: DeadLetters
  clock: Clock
  mapping: ContentMapping
  /** Facts of the bytes that a `create` event names. Never throws for what is wrong with the object. */
  extract: (event: ObjectEvent) => Promise<Extraction>
  onProgress?: (counts: ObjectsCounts) => void
}

/** Totals since the service was opened. */
export interface ObjectsCounts {
  events: number
  byEffect: Record<Effect, number>
  extracted: number
  extractFaults: number
  castErrors: number
  bytesRead: number
}

export class ObjectsService {
  readonly #parts: ObjectsParts
  readonly #map: ReturnType<typeof compileMapping>
  readonly #stop = new AbortController()
  readonly counts: ObjectsCounts
  #position: number
  #running: Promise<void> | null = null

  constructor(parts: ObjectsParts) {
    this.#parts = parts
    this.#map = compileMapping(parts.mapping)
    this.#position = Math.max(parts.versions.emitted, parts.objects.start)
    this.counts = {
      events: 0,
      byEffect: { newest: 0, duplicate: 0, late: 0, update: 0, ignored: 0 },
      extracted: 0,
      extractFaults: 0,
      castErrors: 0,
      bytesRead: 0,
    }
  }

  /** Makes events durable and gives the offset after the last. */
  async accept(events: readonly ObjectEvent[]): Promise<number> {
    for (let at = 0; at < events.length; at += limits.logBatchEntriesMax) {
      await this.#parts.objects.append(events.slice(at, at + limits.logBatchEntriesMax).map((event) => JSON.stringify(event)))
    }
    return this.#parts.objects.end
  }

  /** Every event before this offset has been passed on to the table logs. */
  get position(): number {
    return this.#position
  }

  /** Passes on everything that the objects log holds now. */
  async drain(): Promise<void> {
    while (this.#position < this.#parts.objects.end && !this.#stop.signal.aborted) await this.#window()
  }

  /** Follows the objects log until `stop`. A failure is told to `onFault` and tried again. */
  start(onFault: (fault: Fault, retryInMs: number) => void): void {
    this.#running ??= this.#follow(onFault)
  }

  /** Ends after the window under way. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** Extracts the newest bytes of versions anew and passes their rows on: for replays and new columns. */
  async reextract(events: readonly ObjectEvent[]): Promise<void> {
    const rows = await Promise.all(events.map((event) => this.#contentChange(event, this.#position)))
    await appendAll(this.#parts.content, rows)
  }

  async #follow(onFault: (fault: Fault, retryInMs: number) => void): Promise<void> {
    const { objects, clock } = this.#parts
    const { signal } = this.#stop
    let failures = 0
    while (!signal.aborted) {
      try {
        await objects.waitFor(this.#position, signal)
        await this.#window()
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        const fault = isFault(error) ? error : new Fault('unavailable', messageOf(error), {}, error)
        const retryInMs = Math.min(limits.commitBackoffMaxMs * 8, 100 * 2 ** Math.min(failures++, 16))
        onFault(fault, retryInMs)
        await clock.sleep(retryInMs, signal).catch(() => undefined)
      }
    }
  }

  async #window(): Promise<void> {
    const { objects, versions } = this.#parts
    const entries = await objects.read(this.#position, limits.extractWindow)
    const last = entries.at(-1)
    if (last === undefined) return
    const events = entries.map(({ offset, text }) => ({ offset, event: JSON.parse(text) as ObjectEvent }))
    const end = last.offset + 1
    const applied = versions.applyBatch(events)
    for (const { effect } of applied) this.counts.byEffect[effect]++

    const touched = lastOfEachVersion(applied)
    await appendAll(this.#parts.journal, events.map(({ offset, event }) => ({ input: offset, op: 'upsert', row: journalRow(event) })))
    await appendAll(this.#parts.inventory, touched.filter((version) => version.changedOffset >= this.#position).map(inventoryChange))
    await appendAll(this.#parts.content, await this.#contentChanges(touched))
    versions.setEmitted(end)
    this.#position = end
    this.counts.events += events.length
    this.#parts.onProgress?.(this.counts)
  }

  /** Changes of the content table for versions whose deciding event is in this window. */
  async #contentChanges(touched: readonly AppliedEvent[]): Promise<TableChangeEntry[]> {
    const decided = touched.filter(({ tipOffset }) => tipOffset >= this.#position)
    return Promise.all(
      decided.map(async ({ offset, state }) => {
        const { event, present, isDeleteMarker } = visible(state)
        if (present && !isDeleteMarker) return this.#contentChange(event, offset)
        return { input: offset, op: 'delete' as const, row: versionKey(event, 'versionId') }
      }),
    )
  }

  async #contentChange(event: ObjectEvent, input: number): Promise<TableChangeEntry> {
    const extraction = await this.#parts.extract(event)
    const metadata = metadataOf(extraction)
    const mapped = this.#map(metadata)
    this.counts.extracted++
    this.counts.bytesRead += extraction.bytesRead
    this.counts.castErrors += mapped.castErrors.length
    if (extraction.faults.length > 0) {
      this.counts.extractFaults++
      await this.#parts.deadLetters.add(
        extraction.faults.map((fault) => ({
          stage: 'extract',
          stream: 'objects',
          code: fault.kind,
          reason: `${fault.extractor}: ${fault.message}`,
          payload: Buffer.from(JSON.stringify(event)),
          subject: `${event.bucket}/${event.key}@${event.versionId}`,
        })),
      )
    }
    return { input, op: 'upsert', row: contentRow(event, metadata, mapped, this.#parts.mapping.includeRawMetadata) }
  }
}

/** In batches that the log takes, each whole; a batch's changes are in the order of their inputs. */
async function appendAll(log: Log, changes: readonly TableChangeEntry[]): Promise<void> {
  let batch: string[] = []
  let bytes = 0
  for (const change of changes) {
    const text = tableChangeText(change)
    const size = Buffer.byteLength(text) + 32
    if (batch.length > 0 && (bytes + size > limits.logBatchBytesMax || batch.length >= limits.logBatchEntriesMax)) {
      await log.append(batch)
      batch = []
      bytes = 0
    }
    batch.push(text)
    bytes += size
  }
  if (batch.length > 0) await log.append(batch)
}

function inventoryChange({ offset, state }: AppliedEvent): TableChangeEntry {
  const version = visible(state)
  if (!version.present) return { input: offset, op: 'delete', row: versionKey(version.event, 'version_id') }
  return { input: offset, op: 'upsert', row: inventoryRow(version) }
}

/** Per version the last event applied, in the order of offsets. */
function lastOfEachVersion(applied: readonly AppliedEvent[]): AppliedEvent[] {
  const last = new Map<string, AppliedEvent>()
  for (const one of applied) {
    const id = JSON.stringify([one.event.bucket, one.event.key, one.event.versionId])
    last.delete(id)
    last.set(id, one)
  }
  return [...last.values()]
}
