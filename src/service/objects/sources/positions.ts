/**
 * How far the topics of each source were read: `state/object-sources.json`.
 *
 * Invariant: what is in here was taken. It may be behind what was taken; what is read again changes nothing.
 *
 * Crash story: written at most every `limits.kafkaCommitMs`, so that after a crash the messages of the last moments come again.
 */
import type { Clock } from '../../../base/clock.ts'
import { Fault, isFault, messageOf } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import type { KafkaPartition, KafkaPosition } from '../../../source/source.ts'

/** The file: its bytes, and new ones that are durable when it resolves. */
export interface PositionsFile {
  path: string
  read(): Promise<string | null>
  write(text: string): Promise<void>
}

export class Positions {
  readonly #file: PositionsFile
  readonly #clock: Clock
  #known: Map<string, KafkaPosition> | null = null
  #writtenAtMs = Number.NEGATIVE_INFINITY
  #isChanged = false
  #writing: Promise<void> = Promise.resolve()

  constructor(file: PositionsFile, clock: Clock) {
    this.#file = file
    this.#clock = clock
  }

  /** @throws Fault `corrupt`, `unavailable` */
  async of(source: string, partition: KafkaPartition): Promise<KafkaPosition | null> {
    return (await this.#all()).get(keyOf(source, partition)) ?? null
  }

  /** As last set; null while nothing was read. */
  last(source: string, partition: KafkaPartition): KafkaPosition | null {
    return this.#known?.get(keyOf(source, partition)) ?? null
  }

  /** @param now durable when it resolves. @throws Fault */
  async set(
    source: string,
    places: readonly (readonly [KafkaPartition, KafkaPosition])[],
    now: boolean,
  ): Promise<void> {
    const known = await this.#all()
    for (const [partition, position] of places) known.set(keyOf(source, partition), position)
    this.#isChanged = true
    if (now || Math.abs(this.#clock.nowMs() - this.#writtenAtMs) >= limits.kafkaCommitMs) await this.flush()
  }

  /** @throws Fault `unavailable` */
  flush(): Promise<void> {
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#write())
    return this.#writing
  }

  async #write(): Promise<void> {
    if (!this.#isChanged || this.#known === null) return
    this.#isChanged = false
    this.#writtenAtMs = this.#clock.nowMs()
    try {
      await this.#file.write(`${JSON.stringify(Object.fromEntries(this.#known), null, 1)}\n`)
    } catch (error) {
      this.#isChanged = true
      throw error
    }
  }

  async #all(): Promise<Map<string, KafkaPosition>> {
    this.#known ??= await this.#read()
    return this.#known
  }

  async #read(): Promise<Map<string, KafkaPosition>> {
    const { path } = this.#file
    try {
      const text = await this.#file.read()
      if (text === null) return new Map()
      const parsed = Object.entries(JSON.parse(text) as Record<string, unknown>)
      return new Map(parsed.map(([key, value]) => [key, positionOf(value)]))
    } catch (error) {
      if (isFault(error)) throw error
      throw new Fault(
        'corrupt',
        `${path} cannot be read: ${messageOf(error)}; delete it, and topics are read again from where their settings say`,
        { path },
        error,
      )
    }
  }
}

function positionOf(value: unknown): KafkaPosition {
  const { epoch, next } = (value ?? {}) as Partial<KafkaPosition>
  if (Number.isSafeInteger(epoch) && Number.isSafeInteger(next)) return { epoch: Number(epoch), next: Number(next) }
  throw new Error(`expected {"epoch", "next"}, got ${JSON.stringify(value)?.slice(0, 80)}`)
}

function keyOf(source: string, { topic, topicId, partition }: KafkaPartition): string {
  return `${source} ${topic} ${topicId} ${partition}`
}
