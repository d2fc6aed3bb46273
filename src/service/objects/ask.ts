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
import { isUntold, type VersionState, visible } from './version-state.ts'
import type { AppliedEvent, VersionStore } from './version-store.ts'

export interface ObjectStores {
  /** Can objects of this bucket be asked about? */
  asks(bucket: string): boolean
  /** About the object that a creation made. Never throws for what is wrong with the object or its store. */
  ask(creation: ObjectEvent): Promise<Answer>
}

export type Answer =
  /** `fault`: what could not be learned of it, and why. */
  | { kind: 'facts'; facts: ObjectFacts; fault?: AskFault }
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

export class Asking {
  readonly #parts: AskParts
  readonly #slots = new Slots(limits.describesAtOnce)

  constructor(parts: AskParts) {
    this.#parts = parts
  }

  asks(bucket: string): boolean {
    return this.#parts.stores.asks(bucket)
  }

  /**
   * Asks about the versions that are not told whole, and keeps the answers.
   * @param applied one event per version; @param from versions that did not change at or after this offset are left as they are
   */
  async complete(applied: readonly AppliedEvent[], from: number): Promise<Asked> {
    const asked: Asked = { applied: [...applied], faults: new Map() }
    const answers: { at: number; version: ObjectEvent; description: Description }[] = []
    const one = async ({ state, event }: AppliedEvent, at: number) => {
      const { description, fault } = await this.describe(state)
      if (description !== null) answers.push({ at, version: event, description })
      if (fault !== undefined) asked.faults.set(at, fault)
    }
    await Promise.all(
      applied.map((each, at) => {
        const isDue = each.changedOffset >= from && this.asks(each.event.bucket) && isUntold(each.state)
        return isDue ? one(each, at) : undefined
      }),
    )
    const states = this.#parts.versions.describe(answers)
    for (const [index, { at }] of answers.entries()) {
      asked.applied[at] = {
        ...must(asked.applied[at], 'an event asked about'),
        state: must(states[index], 'its state'),
      }
    }
    return asked
  }

  /** What the store says of an object that is there. */
  async describe(state: VersionState): Promise<{ description: Description | null; fault?: AskFault }> {
    const creation = visible(state).event
    const { update, untold } = state
    const told = state.tags?.at ?? ''
    const tagsChanged = untold !== undefined && untold > told ? untold : told
    const answer = await this.#slots.run(() => this.#parts.stores.ask(creation))
    if (answer.kind === 'gone') return { description: null }
    if (answer.kind === 'failed') return { description: null, fault: answer.fault }
    const { facts, fault } = answer
    const description: Description = {
      of: sequenceNumber(creation),
      at: justAfter(creation, update),
      ...(update === undefined ? {} : { covers: update }),
      ...(tagsChanged === '' ? {} : { tagsChanged }),
      ...(fault === undefined ? {} : { isPart: true }),
      facts,
    }
    return { description, ...(fault === undefined ? {} : { fault }) }
  }
}
