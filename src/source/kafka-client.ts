/**
 * Membership in a consumer group of a real broker, by `@platformatic/kafka`.
 *
 * One client joins and heartbeats, another one fetches, over connections of its own: a fetch that waits for messages holds no
 * heartbeat up. Batches are decoded by the library and read by `kafka-batches.ts`: the library leaves messages in that belong to a
 * transaction taken back of which the marker comes in a later answer.
 *
 * A topic that comes or goes, is made anew or gets partitions, ends the membership; the next one sees what there is then. Topics that
 * are not there yet are waited for, and hold up nobody.
 */
import { isIP } from 'node:net'
import {
  type ConnectionOptions,
  Consumer,
  fetchV12,
  fetchV13,
  fetchV14,
  fetchV15,
  fetchV16,
  fetchV17,
} from '@platformatic/kafka'
import { must } from '../base/assert.ts'
import { Fault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Assignment, Fetched, KafkaMember, KafkaPartition, KafkaPosition } from './kafka.ts'
import { readBatches } from './kafka-batches.ts'

export interface KafkaConnection {
  /** `host:port` of brokers to begin with. */
  brokers: readonly string[]
  group: string
  topics: readonly string[]
  /** Messages of transactions that are open or were taken back, too. */
  readUncommitted: boolean
  /** TLS, with what it is to be checked by; null: none. */
  tls: NonNullable<ConnectionOptions['tls']> | null
  sasl: NonNullable<ConnectionOptions['sasl']> | null
}

const FETCHES = [fetchV17, fetchV16, fetchV15, fetchV14, fetchV13, fetchV12].map(({ api }) => api)
type FetchApi = (typeof FETCHES)[number]
type FetchTopics = Parameters<FetchApi['async']>[7]
type FetchResponse = Awaited<ReturnType<FetchApi['async']>>
type FetchedPartition = FetchResponse['responses'][number]['partitions'][number]

const FETCH_KEY = 1
const OFFSET_OUT_OF_RANGE = 1
const EARLIEST = -2n
const LATEST = -1n

/** What of a topic is looked at again and again. */
interface Topic {
  id: string
  /** Leader of each partition. */
  leaders: number[]
}

/** Joins the group. @throws Fault `unavailable` (broker, rights, no topic is there yet), `unsupported` (an old broker) */
export async function joinKafka(connection: KafkaConnection, signal: AbortSignal): Promise<KafkaMember> {
  const member = new Member(connection)
  try {
    await untilAborted(member.join(signal), signal)
    return member
  } catch (error) {
    await member.close()
    throw faultOf(error, connection)
  }
}

/** Those of the topics that are not there, or that may not be seen; no group is joined. @throws Fault `unavailable` */
export async function missingTopics(connection: KafkaConnection): Promise<readonly string[]> {
  const member = new Member(connection)
  try {
    await member.look()
    return member.missing
  } catch (error) {
    throw faultOf(error, connection)
  } finally {
    await member.close()
  }
}

class Member implements KafkaMember {
  readonly #connection: KafkaConnection
  readonly #group: Consumer
  readonly #reader: Consumer
  #topics = new Map<string, Topic>()
  #fetchApi: FetchApi | null = null
  /** Leader epoch of the last batch read, by partition: by it the broker tells when it lost what was read. */
  #epochs = new Map<string, number>()
  #assignment: Assignment = { generation: 0, partitions: [] }
  #ended: Fault | null = null
  #watch: NodeJS.Timeout | null = null
  #closed = false

  constructor(connection: KafkaConnection) {
    this.#connection = connection
    const options = {
      clientId: 'tidewater',
      groupId: connection.group,
      bootstrapBrokers: [...connection.brokers],
      // Whoever holds the member tries again, with a new one.
      retries: 1,
      retryDelay: 200,
      timeout: limits.kafkaRequestMs,
      connectTimeout: limits.kafkaRequestMs / 3,
      requestTimeout: limits.kafkaRequestMs,
      sessionTimeout: limits.kafkaSessionMs,
      // A member that is slow to join again is waited for so long.
      rebalanceTimeout: 2 * limits.kafkaSessionMs,
      heartbeatInterval: limits.kafkaHeartbeatMs,
      heartbeatStallTimeout: limits.kafkaSessionMs,
      autocommit: false,
      autocreateTopics: false,
      isolationLevel: connection.readUncommitted ? 0 : 1,
      ...(connection.tls === null ? {} : { tls: connection.tls, tlsServerName: connection.brokers.every(hasName) }),
      ...(connection.sasl === null ? {} : { sasl: connection.sasl }),
    }
    this.#group = new Consumer(options)
    this.#reader = new Consumer(options)
    for (const client of [this.#group, this.#reader])
      (client as unknown as NodeJS.EventEmitter).on('error', (error: unknown) => this.#end(messageOf(error)))
    this.#group.on('consumer:group:join', () => this.#assigned())
    this.#group.on('consumer:group:leave', () => this.#end('the membership ended'))
    this.#group.on('consumer:heartbeat:stalled', ({ lastError }) =>
      this.#end(
        `no heartbeat was answered for ${limits.kafkaSessionMs} ms${lastError ? `: ${lastError.message}` : ''}`,
      ),
    )
  }

  get assignment(): Assignment {
    return this.#assignment
  }

  get missing(): readonly string[] {
    return this.#connection.topics.filter((topic) => !this.#topics.has(topic))
  }

  requireAlive(): void {
    if (this.#ended !== null) throw this.#ended
  }

  async look(): Promise<void> {
    this.#topics = await this.#lookAt()
  }

  async join(signal: AbortSignal): Promise<void> {
    const { topics, group } = this.#connection
    await this.look()
    if (this.#topics.size === 0)
      throw new Fault('unavailable', `none of the topics ${topics.join(', ')} is there yet`, { group })
    signal.throwIfAborted()
    this.#fetchApi = await this.#newestFetch()
    for (const client of [this.#group, this.#reader]) client.topics.trackAll(...this.#topics.keys())
    await this.#group.joinGroup({})
    if (this.#closed) return
    const watch = () => {
      void this.#compare().finally(() => {
        if (!this.#closed) this.#watch = setTimeout(watch, limits.kafkaTopicsMs)
      })
    }
    this.#watch = setTimeout(watch, limits.kafkaTopicsMs)
  }

  async fetch(
    places: readonly (KafkaPosition & { partition: KafkaPartition })[],
    signal: AbortSignal,
  ): Promise<Fetched[]> {
    const byLeader = new Map<number, typeof places>()
    for (const place of places) {
      const leader = this.#topics.get(place.partition.topic)?.leaders[place.partition.partition] ?? -1
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), place])
    }
    signal.throwIfAborted()
    try {
      const asked = [...byLeader].map(([leader, some]) => this.#fetchFrom(leader, some))
      const answers = await untilAborted(Promise.all(asked), signal)
      return answers.flat()
    } catch (error) {
      throw faultOf(error, this.#connection)
    }
  }

  async range({ topic, partition }: KafkaPartition): Promise<{ start: number; end: number }> {
    const ask = async (timestamp: bigint): Promise<number> => {
      const offsets = await this.#reader.listOffsets({
        topics: [topic],
        partitions: { [topic]: [partition] },
        timestamp,
        isolationLevel: this.#connection.readUncommitted ? 0 : 1,
      })
      const offset = offsets.get(topic)?.[partition]
      if (offset === undefined || offset < 0n)
        throw new Fault('unavailable', `${topic}/${partition}: the broker does not say where it begins`)
      return Number(offset)
    }
    try {
      return { start: await ask(EARLIEST), end: await ask(LATEST) }
    } catch (error) {
      throw faultOf(error, this.#connection)
    }
  }

  async commit(offsets: readonly { partition: KafkaPartition; next: number }[]): Promise<void> {
    await this.#group.commit({
      offsets: offsets.map(({ partition: { topic, partition }, next }) => ({
        topic,
        partition,
        offset: BigInt(next),
        leaderEpoch: -1,
      })),
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#watch !== null) clearTimeout(this.#watch)
    for (const client of [this.#group, this.#reader]) {
      // A broker that is gone cannot be told; its session ends by itself.
      const late = AbortSignal.timeout(limits.kafkaRequestMs)
      const left = client.close(true).catch(() => undefined)
      await Promise.race([left, new Promise((done) => late.addEventListener('abort', done, { once: true }))])
    }
  }

  #end(why: string): void {
    if (this.#closed) return
    this.#ended ??= new Fault('unavailable', `group ${this.#connection.group}: ${why}`, {
      group: this.#connection.group,
    })
  }

  #assigned(): void {
    const partitions: KafkaPartition[] = []
    for (const { topic, partitions: numbers } of this.#group.assignments ?? []) {
      const known = this.#topics.get(topic)
      // Another member may name topics that are not ours, or that came just now.
      if (known !== undefined) for (const partition of numbers) partitions.push({ topic, topicId: known.id, partition })
    }
    this.#assignment = { generation: this.#assignment.generation + 1, partitions }
  }

  /** The topics that are there. They are asked for together, and one by one when one is not. */
  async #lookAt(): Promise<Map<string, Topic>> {
    const names = [...this.#connection.topics].sort()
    const all = await this.#ask(names)
    if (all !== null || names.length === 1) return all ?? new Map()
    const found = new Map<string, Topic>()
    for (const name of names) for (const [topic, seen] of (await this.#ask([name])) ?? []) found.set(topic, seen)
    return found
  }

  /** Null when one of them is not there. */
  async #ask(names: readonly string[]): Promise<Map<string, Topic> | null> {
    try {
      const { topics } = await this.#reader.metadata({ topics: [...names], forceUpdate: true })
      return new Map(
        [...topics].map(([name, { id, partitions }]) => [
          name,
          { id, leaders: partitions.map(({ leader }) => leader) },
        ]),
      )
    } catch (error) {
      if (/^Unknown topic /.test(messageOf(error))) return null
      throw error
    }
  }

  /** A change of what there is ends the membership; a leader that moved is followed. */
  async #compare(): Promise<void> {
    try {
      const now = await this.#lookAt()
      const shape = (topics: ReadonlyMap<string, Topic>) =>
        [...topics].map(([name, { id, leaders }]) => `${name} ${id} ${leaders.length}`).join('\n')
      if (shape(now) === shape(this.#topics)) this.#topics = now
      else this.#end('topics came or went, or have other partitions than before')
    } catch (error) {
      this.#end(faultOf(error, this.#connection).message)
    }
  }

  async #newestFetch(): Promise<FetchApi> {
    const apis = await this.#reader.listApis()
    const theirs = apis.find(({ apiKey }) => apiKey === FETCH_KEY)
    const api = FETCHES.find(({ version }) => theirs && version >= theirs.minVersion && version <= theirs.maxVersion)
    if (api === undefined)
      throw new Fault(
        'unsupported',
        `expected brokers of Kafka 2.7 or newer, got one that fetches up to version ${theirs?.maxVersion}`,
      )
    return api
  }

  async #fetchFrom(
    leader: number,
    places: readonly (KafkaPosition & { partition: KafkaPartition })[],
  ): Promise<Fetched[]> {
    const api = must(this.#fetchApi, 'the way to fetch')
    const { brokers } = await this.#reader.metadata({ topics: [...this.#topics.keys()] })
    const broker = brokers.get(leader)
    if (broker === undefined) throw new Fault('unavailable', 'a partition has no leader at the moment')
    // Old brokers know topics by name only.
    const refOf = ({ topic, topicId }: KafkaPartition) => (api.version <= 12 ? topic : topicId)
    const topics = new Map<string, FetchTopics[number]>()
    for (const { partition, next } of places) {
      const ref = refOf(partition)
      const topic = topics.get(ref) ?? { topicId: ref, partitions: [] }
      topics.set(ref, topic)
      topic.partitions.push({
        partition: partition.partition,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(next),
        lastFetchedEpoch: this.#epochs.get(`${partition.topicId}/${partition.partition}/${next}`) ?? -1,
        partitionMaxBytes: limits.kafkaPartitionBytesMax,
      })
    }
    const pool = await this.#reader.connections.get(broker)
    const isolation = this.#connection.readUncommitted ? 0 : 1
    const { kafkaFetchWaitMs: waitMs, kafkaFetchBytesMax: bytesMax } = limits
    const asked = [...topics.values()]
    const response = await api
      // Without a session: every request says all that it wants.
      .async(pool, waitMs, 1, bytesMax, isolation, 0, -1, asked, [], '')
      .catch((error: unknown) => responseOf(error))
    const answers = new Map<string, FetchedPartition>()
    for (const { topicId, partitions } of response.responses)
      for (const partition of partitions) answers.set(`${topicId} ${partition.partitionIndex}`, partition)
    const fetched: Fetched[] = []
    for (const place of places) {
      const answer = answers.get(`${refOf(place.partition)} ${place.partition.partition}`)
      if (answer !== undefined) fetched.push(await this.#read(place, answer))
    }
    return fetched
  }

  async #read(
    { partition, next: from }: KafkaPosition & { partition: KafkaPartition },
    answer: FetchedPartition,
  ): Promise<Fetched> {
    const { errorCode, logStartOffset, lastStableOffset, highWatermark, divergingEpoch, abortedTransactions } = answer
    const name = `${partition.topic}/${partition.partition}`
    if (errorCode !== 0 && errorCode !== OFFSET_OUT_OF_RANGE)
      throw new Fault('unavailable', `${name}: the broker answers a fetch with error ${errorCode}`, { errorCode })
    const end = Number(this.#connection.readUncommitted ? highWatermark : lastStableOffset)
    if (divergingEpoch !== undefined && divergingEpoch.endOffset >= 0n)
      return { kind: 'out-of-range', partition, start: Number(logStartOffset), end: Number(divergingEpoch.endOffset) }
    if (errorCode === OFFSET_OUT_OF_RANGE) return { kind: 'out-of-range', partition, ...(await this.range(partition)) }
    const { messages, next, leaderEpoch } = readBatches(answer.records ?? [], abortedTransactions ?? [], from)
    if (leaderEpoch !== null) this.#epochs.set(`${partition.topicId}/${partition.partition}/${next}`, leaderEpoch)
    if (next !== from) this.#epochs.delete(`${partition.topicId}/${partition.partition}/${from}`)
    return { kind: 'messages', partition, messages, next, end: Math.max(end, next) }
  }
}

/** Nobody waits for a broker that does not answer when the work is to end. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const aborted = () => reject(signal.reason)
  signal.addEventListener('abort', aborted, { once: true })
  if (signal.aborted) aborted()
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', aborted)
  }
}

/** Whether a broker is named, and not numbered: an address is no name that TLS could ask for. */
function hasName(broker: string): boolean {
  return isIP(broker.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')) === 0
}

/** Of an answer with errors in some of its partitions, the answer. */
function responseOf(error: unknown): FetchResponse {
  const response = (error as { response?: FetchResponse }).response
  if (response === undefined || response.errorCode !== 0) throw error
  return response
}

/** An error of the library as a fault that says what it was about. */
function faultOf(error: unknown, { group, brokers }: KafkaConnection): Fault {
  if (error instanceof Fault) return error
  const causes = new Set<string>()
  const collect = (cause: unknown, depth: number) => {
    if (depth > 5 || !(cause instanceof Error)) return
    if (cause instanceof AggregateError) for (const each of cause.errors) collect(each, depth + 1)
    else causes.add(cause.message)
    collect(cause.cause, depth + 1)
  }
  collect(error, 0)
  const what = causes.size === 0 ? messageOf(error) : [...causes].slice(0, 3).join('; ')
  return new Fault('unavailable', `Kafka at ${brokers.join(', ')}, group ${group}: ${what}`, { group }, error)
}
