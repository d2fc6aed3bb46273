/**
 * The objects service: events about objects in, three table logs out.
 *
 * `accept` makes events durable in the `objects` log. The stage then reads that log in windows and, per window,
 *   1. merges the events into what is known of each object version (`version-state.ts`): this decides what is newest,
 *      late or repeated, whatever the order of arrival;
 *   2. asks the stores of versions that changed for what their events do not carry (`ask.ts`), and keeps what they say;
 *   3. extracts the bytes of versions whose newest event is in the window (older ones are superseded: hot keys fold), of each as soon
 *      as its store has answered: what comes out is used when all answers are kept;
 *   4. appends to the journal's, inventory's and content table's logs, side by side; each change carries the offset of its event.
 *
 * Crash story: on start the stage goes back to the last position that all three logs are known to have passed and passes
 * the rest on again. Merging is idempotent, and so are the tables: a change passed on twice is the same row.
 */
import type { Clock } from '../../base/clock.ts'
import type { Fault } from '../../base/fault.ts'
import { follow } from '../../base/follow.ts'
import { limits } from '../../base/limits.ts'
import { type ObjectEvent, objectEventText, readObjectEvent } from '../../change/object-event.ts'
import type { TableChangeEntry } from '../../change/table-change.ts'
import type { Extraction } from '../../extract/extract.ts'
import type { Log } from '../../log/log.ts'
import type { DeadLetters } from '../deadletter/deadletter.ts'
import { appendChanges, appendTexts } from './append.ts'
import { type Asked, type AskFault, Asking, type ObjectStores, type ReadObject } from './ask.ts'
import { type AskedAgain, AskingAgain } from './asking-again.ts'
import type { Difference } from './compare.ts'
import type { ObjectFacts } from './description.ts'
import { askLetter, lettersOf, toldFaults, UNDESCRIBED, unreadOf, unreadWithout } from './letters.ts'
import { type ContentMapping, compileMapping } from './mapping.ts'
import { type KeptFacts, type Redone, type RedoOptions, type RedoParts, redo } from './redo.ts'
import { contentRow, inventoryRow, journalRow, type Known, metadataOf, versionKey } from './rows.ts'
import { isSameEvent, isSameTip } from './version-order.ts'
import { type Effect, isAnswered, shownDescription, type VersionState, visible } from './version-state.ts'
import type { AppliedEvent, VersionStore } from './version-store.ts'

export type { AskedAgain } from './asking-again.ts'
export type { ObjectSourceStatus, ObjectSources, Webhook } from './sources/sources.ts'

export interface ObjectsParts {
  objects: Log
  journal: Log
  inventory: Log
  content: Log
  versions: VersionStore
  deadLetters: DeadLetters
  clock: Clock
  mapping: ContentMapping
  /**
   * Facts of the bytes that a `create` event names. Never throws for what is wrong with the object.
   * @param event with what else is known of the object
   * @param kept of its row as it is: what costs much and holds still is taken from there
   * @param read its bytes, where they are here already
   */
  extract: (event: ObjectEvent, kept?: KeptFacts, read?: ReadObject) => Promise<Extraction>
  /** Stores that can be asked about objects; absent: events are all that is known of them. */
  stores?: ObjectStores
  /** Objects that events are taken of; absent: all. */
  watches?: (event: ObjectEvent) => boolean
  onProgress?: (counts: ObjectsCounts) => void
  /** Told of objects that are asked about again. */
  onAskedAgain?: (event: AskedAgain) => void
}

export type VersionKey = Pick<ObjectEvent, 'bucket' | 'key' | 'versionId'>

/** Totals since the service was opened. */
export interface ObjectsCounts {
  events: number
  /** Left out when they came: of objects that are not watched. */
  excluded: number
  byEffect: Record<Effect, number>
  extracted: number
  extractFaults: number
  castErrors: number
  bytesRead: number
}

export class ObjectsService {
  readonly #parts: ObjectsParts
  #mapping: ContentMapping
  #map: ReturnType<typeof compileMapping>
  /** Windows, and what must not run beside them, one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  /** What is to run when no window does. */
  readonly #waiting: (() => Promise<void>)[] = []
  /** Rows that are being made anew; while `#held` is there no more are begun. */
  readonly #redoing = new Set<Promise<unknown>>()
  #held: Promise<void> | null = null
  readonly #stop = new AbortController()
  readonly #asking: Asking
  readonly #again: AskingAgain
  readonly counts: ObjectsCounts
  #position: number
  #moved = Promise.withResolvers<void>()
  #running: Promise<unknown> | null = null

  constructor(parts: ObjectsParts) {
    this.#parts = parts
    this.#mapping = parts.mapping
    this.#map = compileMapping(parts.mapping)
    this.#asking = new Asking({ ...parts, stores: parts.stores ?? NO_STORES })
    this.#again = new AskingAgain({
      ...parts,
      asking: this.#asking,
      accept: (events) => this.accept(events),
      redo: (version) => this.#readAgain(version),
      isBehind: () => this.accepted - this.position > limits.askAgainBehindMax,
      onEvent: parts.onAskedAgain,
    })
    this.#position = Math.max(parts.versions.emitted, parts.objects.start)
    this.counts = {
      events: 0,
      excluded: 0,
      byEffect: { newest: 0, duplicate: 0, late: 0, update: 0, ignored: 0 },
      extracted: 0,
      extractFaults: 0,
      castErrors: 0,
      bytesRead: 0,
    }
  }

  /** Makes events durable, but for those of objects that are not watched, and gives the offset after the last. */
  async accept(events: readonly ObjectEvent[]): Promise<number> {
    const { watches } = this.#parts
    const taken = watches === undefined ? events : events.filter(watches)
    this.counts.excluded += events.length - taken.length
    await appendTexts(this.#parts.objects, taken.map(objectEventText))
    return this.#parts.objects.end
  }

  /** End offset of the events that are durable. */
  get accepted(): number {
    return this.#parts.objects.end
  }

  /** Every event before this offset has been passed on to the table logs. */
  get position(): number {
    return this.#position
  }

  /** Resolves when every event before `offset` has been passed on; rejects when aborted. */
  async passed(offset: number, signal: AbortSignal): Promise<void> {
    while (this.#position < offset) {
      signal.throwIfAborted()
      await Promise.race([this.#moved.promise, this.#parts.clock.sleep(limits.commitBackoffMaxMs, signal)])
    }
  }

  /** Passes on everything that the objects log holds now. */
  async drain(): Promise<void> {
    while (this.#position < this.#parts.objects.end) await this.#inTurn(() => this.#window())
  }

  /**
   * Follows the objects log, and asks again about objects whose store did not answer, until `stop`. A failure is told to `onFault` and
   * tried again.
   */
  start(onFault: (fault: Fault, retryInMs: number) => void): void {
    this.#running ??= Promise.all([this.#follow(onFault), this.#again.follow(this.#stop.signal, onFault)])
  }

  /** Objects that wait for their stores, by bucket. */
  waiting(): { bucket: string; waiting: number }[] {
    return this.#again.status()
  }

  /** Ends after the window under way. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /**
   * Asks once more for what a dead letter says is not known of a version, also while the stage runs.
   * @param code of the letter @returns why it stays open; null: it is over
   */
  async askAgain(version: VersionKey, code: string): Promise<string | null> {
    const failed = await (code === UNDESCRIBED ? this.#again.describe(version) : this.#again.read(version))
    return failed[0]?.reason ?? null
  }

  /** Passes on the rows of a version as it is known now, its bytes read anew, also while the stage runs. */
  async passOn(version: VersionKey): Promise<void> {
    const state = this.#parts.versions.get(version.bucket, version.key, version.versionId)
    if (state === null) return
    // As in `redo.ts`: a newer event's row comes behind this one.
    await appendChanges(this.#parts.inventory, [this.#inventoryChange(this.#position, state)])
    const { event, present, isDeleteMarker } = visible(state)
    if (present && !isDeleteMarker) await this.#readAgain(version)
    else {
      const row = versionKey(event, 'versionId')
      await appendChanges(this.#parts.content, [{ input: this.#position, op: 'delete', row }])
    }
  }

  /**
   * Passes on to the tables what they lack of these versions. Not while the stage is running. Returns how many objects could
   * not be read.
   */
  async mend(versions: readonly Difference[]): Promise<number> {
    const faultsBefore = this.counts.extractFaults
    const input = this.#position
    for (const { bucket, key, versionId, journal, inventory, content } of versions) {
      const state = this.#parts.versions.get(bucket, key, versionId)
      if (state === null) continue
      const { event } = visible(state)
      const row = () => journalRow(event, this.#known(event, state))
      if (journal) await appendChanges(this.#parts.journal, [{ input, op: 'upsert', row: row() }])
      if (inventory) await appendChanges(this.#parts.inventory, [this.#inventoryChange(input, state)])
      if (content) {
        const extraction = this.#extract(state)
        await appendChanges(this.#parts.content, [await this.#contentOf(input, state, extraction)])
      }
    }
    return this.counts.extractFaults - faultsBefore
  }

  /** Makes the content row of one version anew from its bytes, also while the stage runs; see `redo.ts`. */
  async redo(version: VersionKey, options: RedoOptions = {}): Promise<Redone> {
    while (this.#held !== null) await this.#held
    const redoing = redo(this.#redoParts(), version, options)
    this.#redoing.add(redoing)
    return redoing.finally(() => this.#redoing.delete(redoing))
  }

  /** Makes the row of an object anew that could not be read, behind the one that the stage may be about to pass on. */
  #readAgain(version: VersionKey): Promise<Redone> {
    return redo(this.#redoParts(), version, { isUnread: true, between: (work) => this.#between(work) })
  }

  #redoParts(): RedoParts {
    return { ...this.#parts, change: (event, extraction) => this.#changeOf(event, extraction, this.#position) }
  }

  /** Runs works between two windows, all together that have come by then. */
  #between<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => work().then(resolve, reject))
      if (this.#waiting.length > 1) return
      void this.#inTurn(async () => void (await Promise.all(this.#waiting.splice(0).map((each) => each()))))
    })
  }

  /**
   * Goes on with another mapping, also while the stage runs. `fill` brings the rows that are there to it, while no row is passed on;
   * events are accepted all the while. When it fails, everything stays as it was.
   * @throws Fault `invalid` naming each path that is not JSONPath, and as `fill`
   */
  remap(mapping: ContentMapping, fill: () => Promise<void>): Promise<void> {
    const map = compileMapping(mapping)
    return this.#inTurn(async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#held = promise
      try {
        await Promise.allSettled(this.#redoing)
        await fill()
        this.#mapping = mapping
        this.#map = map
      } finally {
        this.#held = null
        resolve()
      }
    })
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  #follow(onFault: (fault: Fault, retryInMs: number) => void): Promise<void> {
    const { objects, clock } = this.#parts
    const turn = async (signal: AbortSignal) => {
      await objects.waitFor(this.#position, signal)
      await this.#inTurn(() => this.#window())
    }
    return follow({ clock, turn, onFault }, this.#stop.signal)
  }

  async #window(): Promise<void> {
    const { objects, versions } = this.#parts
    const entries = await objects.read(this.#position, limits.extractWindow)
    const last = entries.at(-1)
    if (last === undefined) return
    const events = entries.map(({ offset, text }) => ({ offset, event: readObjectEvent(text) }))
    const end = last.offset + 1
    const applied = versions.applyBatch(events)
    for (const { effect } of applied) this.counts.byEffect[effect]++

    const extractions = new Map<number, Promise<Extraction>>()
    try {
      const asked = await this.#asking.complete(lastOfEachVersion(applied), this.#position, (one, at, read) => {
        const extraction = one.tipOffset >= this.#position ? this.#extract(one.state, read) : undefined
        if (extraction !== undefined) extractions.set(at, extraction)
      })
      await this.#passOn(events, asked, extractions)
    } finally {
      // When the window has failed nothing of it may be under way beside its next try.
      await Promise.allSettled(extractions.values())
    }
    versions.setEmitted(end)
    // What was passed on before this window is on disk with this window's merge; only that is let go.
    await objects.trim(this.#position)
    this.#position = end
    this.#moved.resolve()
    this.#moved = Promise.withResolvers<void>()
    this.counts.events += events.length
    this.#parts.onProgress?.(this.counts)
  }

  async #passOn(
    events: readonly { offset: number; event: ObjectEvent }[],
    { applied: touched, faults }: Asked,
    extractions: ReadonlyMap<number, Promise<Extraction>>,
  ): Promise<void> {
    const { journal, inventory, content } = this.#parts
    const states = new Map(touched.map(({ event, state }) => [versionOf(event), state]))
    await allDone([
      appendChanges(
        journal,
        events.map(({ offset, event }) => {
          const known = this.#known(event, states.get(versionOf(event)))
          return { input: offset, op: 'upsert', row: journalRow(event, known) }
        }),
      ),
      appendChanges(
        inventory,
        touched
          .filter((version) => version.changedOffset >= this.#position)
          .map(({ offset, state }) => this.#inventoryChange(offset, state)),
      ),
      this.#contentChanges(touched, faults, extractions).then((changes) => appendChanges(content, changes)),
    ])
  }

  /** What the store said that belongs to the record of this event. */
  #known(event: ObjectEvent, state: VersionState | undefined): Known {
    if (!this.#asking.asks(event.bucket)) return 'unasked'
    const description = state === undefined ? undefined : shownDescription(state)
    if (state === undefined || description === undefined) return 'unanswered'
    return event.kind === 'update' || isSameEvent(visible(state).event, event) ? description : 'unanswered'
  }

  #inventoryChange(input: number, state: VersionState): TableChangeEntry {
    const version = visible(state)
    if (!version.present) return { input, op: 'delete', row: versionKey(version.event, 'version_id') }
    return { input, op: 'upsert', row: inventoryRow(version, this.#asking.asks(version.event.bucket)) }
  }

  /** Changes of the content table for versions whose deciding event is in this window. */
  async #contentChanges(
    touched: readonly AppliedEvent[],
    faults: ReadonlyMap<number, AskFault>,
    extractions: ReadonlyMap<number, Promise<Extraction>>,
  ): Promise<TableChangeEntry[]> {
    const changes = touched.map(async ({ offset, state, tipOffset, changedOffset }, at) => {
      const fault = faults.get(at)
      if (tipOffset >= this.#position) return [await this.#contentOf(offset, state, extractions.get(at), fault)]
      if (changedOffset >= this.#position) await this.#noteAsked(state, fault)
      return []
    })
    return (await allDone(changes)).flat()
  }

  /** What is in the bytes of the object that a version is; undefined: it is none. */
  #extract(state: VersionState, read?: ReadObject): Promise<Extraction> | undefined {
    const { event, present, isDeleteMarker, facts } = visible(state)
    if (!present || isDeleteMarker) return undefined
    const extraction = this.#parts.extract({ ...facts, ...event }, undefined, read)
    // It may fail before anybody waits for it; who does is told.
    extraction.catch(() => undefined)
    return extraction
  }

  async #contentOf(
    input: number,
    state: VersionState,
    extraction: Promise<Extraction> | undefined,
    fault?: AskFault,
  ): Promise<TableChangeEntry> {
    const { event, facts } = visible(state)
    await this.#settleOlder(event)
    if (extraction === undefined) return { input, op: 'delete', row: versionKey(event, 'versionId') }
    return this.#contentChange(event, facts, await extraction, input, fault)
  }

  /** Once a version is gone or has other bytes, nothing is to be done about bytes that it had before. */
  async #settleOlder(event: ObjectEvent): Promise<void> {
    const { versions, deadLetters } = this.#parts
    const unread = versions.unread.get(event)
    if (unread === null || isSameTip(unread.event, event)) return
    await deadLetters.settle(lettersOf(unread))
    versions.unread.set(event, null)
  }

  async #contentChange(
    event: ObjectEvent,
    facts: ObjectFacts | undefined,
    extraction: Extraction,
    input: number,
    fault: AskFault | undefined,
  ): Promise<TableChangeEntry> {
    const change = this.#changeOf({ ...facts, ...event }, extraction, input)
    const letters = [...toldFaults(extraction.faults), ...(fault === undefined ? [] : [askLetter(fault)])]
    if (letters.length > 0) {
      this.counts.extractFaults++
      await this.#parts.deadLetters.add(lettersOf({ event, letters }))
    }
    this.#parts.versions.unread.set(event, unreadOf(event, letters, this.#parts.clock.nowMs()))
    return change
  }

  #changeOf(event: ObjectEvent, extraction: Extraction, input: number): TableChangeEntry {
    const metadata = metadataOf(extraction)
    const mapped = this.#map(metadata)
    this.counts.extracted++
    this.counts.bytesRead += extraction.bytesRead
    this.counts.castErrors += mapped.castErrors.length
    return { input, op: 'upsert', row: contentRow(event, metadata, mapped, this.#mapping.includeRawMetadata) }
  }

  /** The letter of an object whose tags changed: it is there while they are not known. */
  async #noteAsked(state: VersionState, fault: AskFault | undefined): Promise<void> {
    const { versions, deadLetters, clock } = this.#parts
    const { event } = visible(state)
    const before = versions.unread.get(event)
    const isOver = ({ code }: { code: string }) => code === UNDESCRIBED
    if (fault !== undefined) {
      const letter = askLetter(fault)
      this.counts.extractFaults++
      const of = before?.event ?? event
      await deadLetters.add(lettersOf({ event: of, letters: [letter] }))
      const others = versions.unread.get(event)?.letters.filter((each) => !isOver(each)) ?? []
      versions.unread.set(event, unreadOf(of, [...others, letter], clock.nowMs()))
      return
    }
    const settled = isAnswered(state) ? (before?.letters.filter(isOver) ?? []) : []
    if (before === null || settled.length === 0) return
    await deadLetters.settle(lettersOf({ event: before.event, letters: settled }))
    const now = versions.unread.get(event)
    versions.unread.set(event, now === null ? null : unreadWithout(now, isOver))
  }
}

/** When one fails, the others are waited for all the same: nothing of this try is under way in the next. @throws what failed first */
async function allDone<T>(works: readonly Promise<T>[]): Promise<T[]> {
  const done = await Promise.allSettled(works)
  return done.map((each) => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
}

const NO_STORES: ObjectStores = { asks: () => false, names: () => false, ask: async () => ({ kind: 'gone' }) }

function versionOf({ bucket, key, versionId }: ObjectEvent): string {
  return JSON.stringify([bucket, key, versionId])
}

/** Per version the last event applied, in the order of offsets. */
function lastOfEachVersion(applied: readonly AppliedEvent[]): AppliedEvent[] {
  const last = new Map<string, AppliedEvent>()
  for (const one of applied) {
    const id = versionOf(one.event)
    last.delete(id)
    last.set(id, one)
  }
  return [...last.values()]
}
