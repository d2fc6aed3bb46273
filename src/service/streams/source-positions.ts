/**
 * How far the partitions of a source stand in a stream's log, as of any of its offsets: what a snapshot says of the source that it
 * was made from, so that where to go on stands in the table itself.
 *
 * A partition is a producer of the owner `kafka`, named `topic/topic id/partition`, whose numbers are the source's own offsets. A
 * topic that was deleted and made anew has another id, so its numbers begin anew beside those of the old one.
 */
import { sha256Hex } from '../../base/hash.ts'
import { limits } from '../../base/limits.ts'
import { SUMMARY } from '../../table/table.ts'

/** Owner of the producers that are partitions. No sender over HTTP can have it. */
export const SOURCE_OWNER = 'kafka'
const PREFIX = `${SOURCE_OWNER} `

export interface SourcePartition {
  topic: string
  /** What tells it from another topic of that name. */
  topicId: string
  partition: number
}

/** A partition's name as a producer: at most 200 characters, also of the longest topic. */
export function partitionName({ topic, topicId, partition }: SourcePartition): string {
  return `${shortTopic(topic)}/${topicId}/${partition}`
}

const TOPIC_CHARS = 140

function shortTopic(topic: string): string {
  return topic.length <= TOPIC_CHARS
    ? topic
    : `${topic.slice(0, TOPIC_CHARS - 13)}~${sha256Hex(Buffer.from(topic)).slice(0, 12)}`
}

/** Entries side by side whose numbers are side by side too. */
interface Run {
  offset: number
  sequence: number
  count: number
}

interface Seen {
  /** Offset in the stream's log of the newest entry. */
  offset: number
  /** The number that comes next. */
  next: number
}

export class SourcePositions {
  /** What every table of the stream has. */
  readonly #passed = new Map<string, Seen>()
  /** What is in the log beyond that, oldest first. */
  readonly #runs = new Map<string, Run[]>()
  #count = 0

  /** An entry of a producer is in the log; entries come in order. */
  saw(offset: number, name: string, sequence: number): void {
    if (!name.startsWith(PREFIX)) return
    const runs = this.#runs.get(name) ?? []
    this.#runs.set(name, runs)
    const last = runs.at(-1)
    if (last !== undefined && last.offset + last.count === offset && last.sequence + last.count === sequence) {
      last.count++
      return
    }
    // Beyond the bound the oldest is forgotten: until the tables are there they say a little less than they hold.
    if (this.#count >= limits.sourceRunsMax) runs.shift()
    else this.#count++
    runs.push({ offset, sequence, count: 1 })
  }

  /** Of every partition that is known, the number behind the last entry before `end`. */
  at(end: number): Map<string, Seen> {
    const found = new Map(this.#passed)
    for (const [name, runs] of this.#runs) {
      const run = runs.findLast(({ offset }) => offset < end)
      if (run === undefined) continue
      const count = Math.min(run.count, end - run.offset)
      found.set(name, { offset: run.offset + count - 1, next: run.sequence + count })
    }
    return found
  }

  /** Every table holds the log up to `end`. */
  passed(end: number): void {
    for (const [name, seen] of this.at(end)) this.#passed.set(name, seen)
    for (const [name, runs] of this.#runs) {
      const left = runs.filter(({ offset, count }) => offset + count > end)
      this.#count -= runs.length - left.length
      if (left.length === 0) this.#runs.delete(name)
      else this.#runs.set(name, left)
    }
  }

  clear(): void {
    this.#passed.clear()
    this.#runs.clear()
    this.#count = 0
  }
}

/** What a snapshot says of one topic: `0:123,1:456;id=…`, the numbers that come next by partition. */
interface TopicFact {
  id: string
  next: Map<number, number>
}

/**
 * What a table's next snapshot says of its sources: as before, and what the log has brought since.
 * @param before the table's properties
 */
export function sourceFacts(
  found: ReadonlyMap<string, Seen>,
  before: Readonly<Record<string, string>>,
): Record<string, string> {
  const topics = new Map<string, TopicFact>()
  for (const [key, text] of Object.entries(before))
    if (key.startsWith(SUMMARY.source)) topics.set(key, readFact(text) ?? { id: '', next: new Map() })
  // The newest entry of a topic says which of that name it is.
  const newest = [...found].sort(([, one], [, other]) => one.offset - other.offset)
  for (const [name, { next }] of newest) {
    const [topic, id, partition] = name.slice(PREFIX.length).split('/')
    if (topic === undefined || id === undefined || partition === undefined) continue
    const key = `${SUMMARY.source}${topic}`
    const known = topics.get(key)
    const fact = known?.id === id ? known : { id, next: new Map() }
    topics.set(key, fact)
    fact.next.set(Number(partition), next)
  }
  return Object.fromEntries([...topics].map(([key, fact]) => [key, factText(fact)]))
}

/** Up to where a table holds a partition, by its properties; null when they do not say. */
export function heldOf(properties: Readonly<Record<string, string>>, partition: SourcePartition): number | null {
  const fact = readFact(properties[`${SUMMARY.source}${shortTopic(partition.topic)}`] ?? '')
  return fact?.id === partition.topicId ? (fact.next.get(partition.partition) ?? null) : null
}

function factText({ id, next }: TopicFact): string {
  const parts = [...next].sort(([one], [other]) => one - other).map(([partition, at]) => `${partition}:${at}`)
  return `${parts.join(',')};id=${id}`
}

function readFact(text: string): TopicFact | null {
  const [, parts, id] = /^(\d+:\d+(?:,\d+:\d+)*);id=(.*)$/.exec(text) ?? []
  if (parts === undefined || id === undefined) return null
  const next = parts.split(',').map((part): [number, number] => {
    const [partition, at] = part.split(':')
    return [Number(partition), Number(at)]
  })
  return { id, next: new Map(next) }
}
