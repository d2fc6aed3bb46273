/**
 * Asks stores about objects: what their events do not carry (`description.ts`).
 *
 * A version is asked about once per creation, and once more per change of tags or class that was told without its outcome; of
 * many such events in one window, only the last asks. A question that fails never holds up an event: its rows come with what
 * is known, and what is missing is a dead letter of the object until it is answered.
 */
import { must } from '../../base/assert.ts'
import { limits } from '../../base/limits.ts'
import { Slots } from '../../base/slots.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import { sequenceNumber } from '../../change/sequence.ts'
import { type Description, justAfter, type ObjectFacts } from './description.ts'
import { isUntold, type VersionState, visible, withDescription } from './version-state.ts'
import type { AppliedEvent, VersionStore } from './version-store.ts'

export interface ObjectStores {
  /** Can objects of this bucket be asked about? */
  asks(bucket: string): boolean
  /** Does the configuration say where objects of this bucket are? */
  names(bucket: string): boolean
  /**
   * About the object that a creation made. Never throws for what is wrong with the object or its store.
   * @param isRead its bytes are wanted next, and may come with the answer
   */
  ask(creation: ObjectEvent, isRead: boolean): Promise<Answer>
}

/** An object that was small enough to come with the answer about it: all of its bytes. */
export interface ReadObject {
  etag: string
  bytes: Uint8Array
}

export type Answer =
  /** `fault`: what could not be learned of it, and why. */
  | { kind: 'facts'; facts: ObjectFacts; fault?: AskFault; read?: ReadObject }
  | { kind: 'failed'; fault: AskFault }
  /** It is not there any more, or another is in its place: the event of that is on its way. */
  | { kind: 'gone' }

export interface AskFault {
  code: string
  message: string
  /** The store has answered, and said no: rights may be missing, to this object or to all. */
  isRefused?: boolean
}

export interface AskParts {
  stores: ObjectStores
  versions: VersionStore
}

export interface Asked {
  /** The events with the states of their versions after the answers. */
  applied: AppliedEvent[]
  /** Of those that could not be answered, by their place in `applied`. */
  faults: Map<number, AskFault>
}

/** What came of one question. */
export interface Described {
  description: Description | null
  fault?: AskFault
  read?: ReadObject
}

/** @param at its place among those that are completed; @param read its bytes, where they came with the answer */
export type OnTold = (one: AppliedEvent, at: number, read?: ReadObject) => void

export class Asking {
  readonly #parts: AskParts
  readonly #slots = new Slots(limits.describesAtOnce)

  constructor(parts: AskParts) {
    this.#parts = parts
  }

  asks(bucket: string): boolean {
    return this.#parts.stores.asks(bucket)
  }

  names(bucket: string): boolean {
    return this.#parts.stores.names(bucket)
  }

  /**
   * Asks about the versions that are not told whole, and keeps the answers.
   * @param applied one event per version
   * @param from versions that did not change at or after this offset are left as they are; those decided since then are read next
   * @param onTold called with each version as soon as no more will be learned of it, and before that is kept
   */
  async complete(applied: readonly AppliedEvent[], from: number, onTold: OnTold): Promise<Asked> {
    const asked: Asked = { applied: [...applied], faults: new Map() }
    const answers: { at: number; version: ObjectEvent; description: Description }[] = []
    const one = async (each: AppliedEvent, at: number) => {
      const { event, state, changedOffset, tipOffset } = each
      const isDue = changedOffset >= from && this.asks(event.bucket) && isUntold(state)
      if (!isDue) return onTold(each, at)
      const { description, fault, read } = await this.describe(state, tipOffset >= from)
      if (description !== null) answers.push({ at, version: event, description })
      if (fault !== undefined) asked.faults.set(at, fault)
      onTold(description === null ? each : { ...each, state: withDescription(state, description) }, at, read)
    }
    await Promise.all(applied.map(one))
    const states = this.#parts.versions.describe(answers)
    for (const [index, { at }] of answers.entries()) {
      asked.applied[at] = {
        ...must(asked.applied[at], 'an event asked about'),
        state: must(states[index], 'its state'),
      }
    }
    return asked
  }

  /** What the store says of an object that is there. @param isRead its bytes are wanted next */
  async describe(state: VersionState, isRead: boolean): Promise<Described> {
    const creation = visible(state).event
    const { update, untold } = state
    const told = state.tags?.at ?? ''
    const tagsChanged = untold !== undefined && untold > told ? untold : told
    const answer = await this.#slots.run(() => this.#parts.stores.ask(creation, isRead))
    if (answer.kind === 'gone') return { description: null }
    if (answer.kind === 'failed') return { description: null, fault: answer.fault }
    const { facts, fault, read } = answer
    const description: Description = {
      of: sequenceNumber(creation),
      at: justAfter(creation, update),
      ...(update === undefined ? {} : { covers: update }),
      ...(tagsChanged === '' ? {} : { tagsChanged }),
      ...(fault === undefined ? {} : { isPart: true }),
      facts,
    }
    return { description, ...(fault === undefined ? {} : { fault }), ...(read === undefined ? {} : { read }) }
  }
}
