/** A broker in memory, for schedules that a real one cannot be made to follow. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../src/base/clock.ts'
import { Fault } from '../../src/base/fault.ts'
import type { Assignment, Fetched, KafkaMember, KafkaMessage, KafkaPartition } from '../../src/source/kafka.ts'

interface FakeTopic {
  id: string
  partitions: { start: number; end: number; messages: KafkaMessage[] }[]
}

export class FakeKafka {
  readonly topics = new Map<string, FakeTopic>()
  readonly members = new Set<FakeMember>()
  /** What the group was told, by `topic/partition`. */
  readonly committed = new Map<string, number>()
  /** Called before each fetch; may throw. */
  onFetch: (member: FakeMember) => void = () => undefined
  #ids = 0

  create(topic: string, partitions: number): void {
    const empty = () => ({ start: 0, end: 0, messages: [] })
    this.topics.set(topic, { id: `id-${++this.#ids}`, partitions: Array.from({ length: partitions }, empty) })
    this.changed()
  }

  delete(topic: string): void {
    this.topics.delete(topic)
    this.changed()
  }

  /** @param gap offsets that no message has, before this one: what compaction and transactions leave */
  send(topic: string, partition: number, value: unknown, more: Partial<KafkaMessage> & { gap?: number } = {}): number {
    const place = this.topics.get(topic)!.partitions[partition]!
    const { gap = 0, ...rest } = more
    const offset = place.end + gap
    const data = value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
    place.messages.push({ offset, key: null, value: data, headers: [], timestampMs: 1_764_000_000_000, ...rest })
    place.end = offset + 1
    return offset
  }

  /** What is before `start` is gone. */
  forget(topic: string, partition: number, start: number): void {
    const place = this.topics.get(topic)!.partitions[partition]!
    place.start = start
    place.end = Math.max(place.end, start)
    place.messages = place.messages.filter(({ offset }) => offset >= start)
  }

  /** What is from `end` on was never there: an election that was not clean. */
  lose(topic: string, partition: number, end: number): void {
    const place = this.topics.get(topic)!.partitions[partition]!
    place.end = end
    place.messages = place.messages.filter(({ offset }) => offset < end)
  }

  join(topics: readonly string[]): FakeMember {
    const there = topics.filter((topic) => this.topics.has(topic))
    if (there.length === 0) throw new Fault('unavailable', `none of the topics ${topics.join(', ')} is there yet`)
    const member = new FakeMember(this, topics)
    this.members.add(member)
    this.rebalance()
    return member
  }

  /** Deals the partitions out, beginning with another member each time. */
  rebalance(): void {
    const members = [...this.members].filter(({ foreign }) => !foreign || this.members.size > 1)
    this.#deal++
    for (const member of this.members) member.next = []
    let at = this.#deal
    for (const [topic, { id, partitions }] of this.topics)
      for (const partition of partitions.keys()) {
        const readers = members.filter(({ topics }) => topics.includes(topic))
        if (readers.length > 0) readers[at++ % readers.length]!.next.push({ topic, topicId: id, partition })
      }
    for (const member of this.members) member.learn()
  }
  #deal = 0

  /** Topics changed: members of real brokers end then, and join anew. */
  changed(): void {
    for (const member of this.members) member.ended ??= new Fault('unavailable', 'topics came or went')
  }
}

export class FakeMember implements KafkaMember {
  readonly topics: readonly string[]
  readonly broker: FakeKafka
  assignment: Assignment = { generation: 0, partitions: [] }
  /** What the group has given it, which it may not know yet. */
  next: KafkaPartition[] = []
  ended: Fault | null = null
  /** It does not hear of rebalances: the group thinks it is gone. */
  deaf = false
  /** Not one of ours: takes partitions and reads nothing. */
  foreign = false
  closed = false

  constructor(broker: FakeKafka, topics: readonly string[]) {
    this.broker = broker
    this.topics = topics
  }

  get missing(): readonly string[] {
    return this.topics.filter((topic) => !this.broker.topics.has(topic))
  }

  learn(): void {
    if (!this.deaf) this.assignment = { generation: this.assignment.generation + 1, partitions: this.next }
  }

  requireAlive(): void {
    if (this.ended !== null) throw this.ended
  }

  async fetch(places: Parameters<KafkaMember['fetch']>[0]): Promise<Fetched[]> {
    await turn()
    this.broker.onFetch(this)
    return places.flatMap(({ partition, next }): Fetched[] => {
      const topic = this.broker.topics.get(partition.topic)
      if (topic === undefined || topic.id !== partition.topicId)
        throw new Fault('unavailable', `${partition.topic}: no such topic`)
      const { start, end, messages } = topic.partitions[partition.partition]!
      if (next < start || next > end) return [{ kind: 'out-of-range', partition, start, end }]
      const some = messages.filter(({ offset }) => offset >= next).slice(0, 5)
      const last = some.at(-1)
      return [{ kind: 'messages', partition, messages: some, next: last === undefined ? next : last.offset + 1, end }]
    })
  }

  async range({ topic, partition }: KafkaPartition): Promise<{ start: number; end: number }> {
    const { start, end } = this.broker.topics.get(topic)!.partitions[partition]!
    return { start, end }
  }

  async commit(offsets: Parameters<KafkaMember['commit']>[0]): Promise<void> {
    for (const { partition, next } of offsets)
      this.broker.committed.set(`${partition.topic}/${partition.partition}`, next)
  }

  async close(): Promise<void> {
    this.closed = true
    if (this.broker.members.delete(this)) this.broker.rebalance()
  }
}

/** Time that passes as fast as it is waited for. */
export function hastyClock(): Clock {
  let nowMs = 1_764_000_000_000
  return {
    nowMs: () => nowMs,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      nowMs += ms
      await turn()
      signal?.throwIfAborted()
    },
  }
}
