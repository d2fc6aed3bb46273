/**
 * Kafka topics, read partition by partition as a member of a consumer group.
 *
 * The group decides which partitions are read here, and nothing else. Where a partition is read on is asked of whoever takes the
 * messages (`KafkaTaker.position`), at every assignment anew: offsets that are committed to the group tell monitors how far behind
 * it is, and are never read.
 *
 * Invariants
 * 1. Messages of a partition are handed over in the order of their offsets, and the next ones only when these are taken.
 * 2. What is held in memory is one fetch. While the taker cannot take, nothing more is fetched, and the membership is kept.
 * 3. Whatever fails ends the session, and the next one begins with what the taker then says. Nothing of a session outlives it.
 *
 * Crash story: there is no state here. A member that lost its partitions without knowing hands over messages that were taken
 * already; the taker recognises them by their offsets.
 */
import { backoffMs } from '../base/backoff.ts'
import type { Clock } from '../base/clock.ts'
import { Fault, isFault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'

export interface KafkaPartition {
  readonly topic: string
  /** A topic of the same name that is made anew has another. */
  readonly topicId: string
  readonly partition: number
}

export interface KafkaMessage {
  readonly offset: number
  readonly key: Uint8Array | null
  /** Null: the key is to be removed. */
  readonly value: Uint8Array | null
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[]
  /** ms since 1970, as the producer or the broker set it. */
  readonly timestampMs: number
}

export interface KafkaPosition {
  /** Grows when a partition had to be begun anew because the broker lost what had been read. */
  readonly epoch: number
  /** Offset of the next message. */
  readonly next: number
}

export interface KafkaBatch {
  readonly partition: KafkaPartition
  readonly epoch: number
  readonly messages: readonly KafkaMessage[]
}

/** Who takes the messages. */
export interface KafkaTaker {
  /** Null: nothing of the partition was ever taken. */
  position(partition: KafkaPartition): Promise<KafkaPosition | null>
  /** Resolves when all are durable, whatever became of each. What came before changes nothing. @throws Fault: none need be taken */
  take(batches: readonly KafkaBatch[]): Promise<void>
  /** Goes on at `position` from now on, durably, though what is before it was never seen. */
  skipTo(partition: KafkaPartition, position: KafkaPosition): Promise<void>
  /** Per partition, up to where messages are in snapshots; null when that is not known. */
  committed(partitions: readonly KafkaPartition[]): (number | null)[]
}

/** What a fetch gives of one partition. */
export type Fetched =
  | {
      readonly kind: 'messages'
      readonly partition: KafkaPartition
      readonly messages: readonly KafkaMessage[]
      /** Where to go on. */
      readonly next: number
      /** End of what can be read now. */
      readonly end: number
    }
  /** The broker does not have the offset that was asked for, but [start, end). */
  | { readonly kind: 'out-of-range'; readonly partition: KafkaPartition; readonly start: number; readonly end: number }

export interface Assignment {
  /** Another one whenever the group was joined anew. */
  readonly generation: number
  readonly partitions: readonly KafkaPartition[]
}

/** One membership in a group, from joining to its end. */
export interface KafkaMember {
  readonly assignment: Assignment
  /** Topics that are not there. They are looked for, and when they come the membership ends. */
  readonly missing: readonly string[]
  /** @throws Fault `unavailable` when the membership is over, for whatever reason: a topic came or went, the broker is gone */
  requireAlive(): void
  /** Waits a little when nothing is to be had. At most one call at a time. @throws Fault */
  fetch(places: readonly (KafkaPosition & { partition: KafkaPartition })[], signal: AbortSignal): Promise<Fetched[]>
  /** First offset of a partition, and the one behind its last. @throws Fault */
  range(partition: KafkaPartition): Promise<{ start: number; end: number }>
  /** Tells the group, for monitors. @throws Fault */
  commit(offsets: readonly { partition: KafkaPartition; next: number }[]): Promise<void>
  /** Leaves the group. */
  close(): Promise<void>
}

export interface KafkaReaderOptions {
  /** Joins the group. @throws Fault */
  join: (signal: AbortSignal) => Promise<KafkaMember>
  taker: KafkaTaker
  clock: Clock
  /** Where a partition is begun of which nothing was ever taken. */
  from: 'earliest' | 'latest'
  /** What to do when the broker no longer has the messages that come next: stop reading the partition, or go on. */
  outOfRange: 'fail' | 'earliest' | 'latest'
  /** What the operator should know, in a sentence. */
  notice: (text: string) => void
}

export interface KafkaPlace extends KafkaPartition {
  /** Offset of the next message. */
  next: number
  /** Behind the last that can be read, as it was when last asked; null: not asked yet. */
  end: number | null
  /** Why it is not read. */
  stopped: string | null
}

export interface KafkaStatus {
  /** Why nothing can be read or taken now; null when all is well. */
  trouble: string | null
  /** Of the partitions that are read here. */
  places: KafkaPlace[]
}

interface Place {
  partition: KafkaPartition
  epoch: number
  next: number
  end: number | null
  stopped: string | null
}

export class KafkaReader {
  readonly #options: KafkaReaderOptions
  #places = new Map<string, Place>()
  #trouble: string | null = 'not begun yet'
  #committedAtMs = Number.NEGATIVE_INFINITY
  readonly #committed = new Map<string, number>()
  #worked = false
  #missing = ''

  constructor(options: KafkaReaderOptions) {
    this.#options = options
  }

  status(): KafkaStatus {
    const places = [...this.#places.values()].map(({ partition, next, end, stopped }) => ({
      ...partition,
      next,
      end,
      stopped,
    }))
    return { trouble: this.#trouble, places }
  }

  /** Reads until the signal is aborted. Failures are told and waited out. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, join, notice } = this.#options
    let failures = 0
    while (!signal.aborted) {
      this.#worked = false
      try {
        const member = await join(signal)
        this.#tellMissing(member.missing)
        try {
          await this.#follow(member, signal)
        } finally {
          await member.close()
        }
      } catch (error) {
        if (signal.aborted) return
        if (this.#worked) failures = 0
        const text = messageOf(error)
        if (this.#trouble !== text) notice(text)
        this.#trouble = text
        const pauseMs = backoffMs(++failures, limits.stageBackoffMs, limits.stageBackoffMaxMs)
        await clock.sleep(pauseMs, signal).catch(() => undefined)
      }
    }
  }

  async #follow(member: KafkaMember, signal: AbortSignal): Promise<void> {
    let generation: number | null = null
    while (!signal.aborted) {
      member.requireAlive()
      const { assignment } = member
      if (assignment.generation !== generation) {
        await this.#assign(member, assignment)
        generation = assignment.generation
        continue
      }
      const open = [...this.#places.values()].filter(({ stopped }) => stopped === null)
      if (open.length === 0) {
        await this.#options.clock.sleep(limits.kafkaFetchWaitMs, signal).catch(() => undefined)
        continue
      }
      const fetched = await member.fetch(open, signal)
      // What came for an assignment that is over is for whoever reads it now.
      if (signal.aborted || member.assignment.generation !== generation) continue
      this.#clear()
      for (const each of fetched) if (each.kind === 'out-of-range') await this.#reset(each)
      await this.#take(member, generation, fetched, signal)
      await this.#tell(member)
    }
  }

  /** Where the taker stands counts, for partitions too that were read here before. */
  async #assign(member: KafkaMember, { partitions }: Assignment): Promise<void> {
    if (partitions.length > limits.kafkaPartitionsMax)
      throw new Fault(
        'limit',
        `expected at most ${limits.kafkaPartitionsMax} partitions, got ${partitions.length}; name fewer topics, or use another group`,
      )
    const places = new Map<string, Place>()
    for (const partition of partitions) {
      const position = (await this.#options.taker.position(partition)) ?? (await this.#begin(member, partition))
      const stopped = this.#places.get(keyOf(partition))?.stopped ?? null
      places.set(keyOf(partition), { partition, ...position, end: null, stopped })
    }
    this.#places = places
    if (partitions.length === 0) this.#clear()
  }

  async #begin(member: KafkaMember, partition: KafkaPartition): Promise<KafkaPosition> {
    const { from, taker } = this.#options
    const { start, end } = await member.range(partition)
    const position = { epoch: 0, next: from === 'earliest' ? start : end }
    // Kept, or what comes while nothing runs would be passed over the next time.
    if (from === 'latest' && position.next > 0) await taker.skipTo(partition, position)
    return position
  }

  async #reset({ partition, start, end }: Fetched & { kind: 'out-of-range' }): Promise<void> {
    const { outOfRange, taker, notice } = this.#options
    const place = this.#places.get(keyOf(partition))
    if (place === undefined) return
    const name = `${partition.topic}/${partition.partition}`
    const lost = place.next > end
    const what = lost
      ? `${name}: offset ${place.next} was read, but the broker's end is ${end}: it lost messages, and gives their offsets again`
      : `${name}: offset ${place.next} comes next, but the broker's first is ${start}: ${start - place.next} were removed before they were read`
    if (outOfRange === 'fail') {
      place.stopped = `${what}; it is not read on until outOfRange says earliest or latest`
      notice(place.stopped)
      return
    }
    // Offsets that are given again are other messages: a new epoch counts them anew.
    const epoch = lost ? place.epoch + 1 : place.epoch
    const next = outOfRange === 'earliest' ? start : end
    notice(`${what}; going on at ${next}`)
    if (next > 0) await taker.skipTo(partition, { epoch, next })
    place.epoch = epoch
    place.next = next
    place.end = end
  }

  /** Hands over what was fetched, again and again until it is taken or is no longer ours to hand over. */
  async #take(
    member: KafkaMember,
    generation: number,
    fetched: readonly Fetched[],
    signal: AbortSignal,
  ): Promise<void> {
    const { taker, clock, notice } = this.#options
    const ready = fetched.flatMap((each) => {
      const place = this.#places.get(keyOf(each.partition))
      return each.kind === 'messages' && place !== undefined ? [{ each, place }] : []
    })
    const batches = ready
      .map(({ each: { partition, messages }, place: { epoch } }): KafkaBatch => ({ partition, epoch, messages }))
      .filter(({ messages }) => messages.length > 0)
    for (let failures = 0; batches.length > 0; ) {
      try {
        await taker.take(batches)
        this.#clear()
        break
      } catch (error) {
        // Somebody else has begun a partition anew: where it stands is asked again.
        if (isFault(error, 'conflict')) throw error
        const text = messageOf(error)
        if (this.#trouble !== text) notice(text)
        this.#trouble = text
        await clock
          .sleep(backoffMs(++failures, limits.stageBackoffMs, limits.kafkaTopicsMs), signal)
          .catch(() => undefined)
        member.requireAlive()
        if (signal.aborted || member.assignment.generation !== generation) return
      }
    }
    for (const { each, place } of ready) {
      place.next = each.next
      place.end = each.end
    }
    if (batches.length > 0) this.#worked = true
  }

  #tellMissing(missing: readonly string[]): void {
    const names = missing.join(', ')
    if (names !== '' && names !== this.#missing) this.#options.notice(`not there yet: ${names}; the others are read`)
    this.#missing = names
  }

  /** How far snapshots are, for those who watch the group. Nothing depends on it. */
  async #tell(member: KafkaMember): Promise<void> {
    const { taker, clock, notice } = this.#options
    const nowMs = clock.nowMs()
    if (Math.abs(nowMs - this.#committedAtMs) < limits.kafkaCommitMs) return
    this.#committedAtMs = nowMs
    const partitions = [...this.#places.values()].map(({ partition }) => partition)
    const held = taker.committed(partitions)
    const offsets = partitions.flatMap((partition, at) => {
      const next = held[at] ?? null
      return next === null || this.#committed.get(keyOf(partition)) === next ? [] : [{ partition, next }]
    })
    if (offsets.length === 0) return
    try {
      await member.commit(offsets)
      for (const { partition, next } of offsets) this.#committed.set(keyOf(partition), next)
    } catch (error) {
      notice(`offsets are not committed to the group (nothing but its lag depends on them): ${messageOf(error)}`)
    }
  }

  #clear(): void {
    if (this.#trouble !== null && this.#trouble !== 'not begun yet') this.#options.notice('reading again')
    this.#trouble = null
  }
}

function keyOf({ topicId, topic, partition }: KafkaPartition): string {
  return `${topicId} ${topic} ${partition}`
}
