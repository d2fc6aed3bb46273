/**
 * The sources of a home: what brings records into streams without being asked, each by itself. One that fails waits and tries again;
 * the others, and the streams, live on.
 */
import { must } from '../../../base/assert.ts'
import type { Clock } from '../../../base/clock.ts'
import { messageOf } from '../../../base/fault.ts'
import type { Duck } from '../../../duck/duck.ts'
import { type KafkaMember, KafkaReader } from '../../../source/source.ts'
import type { Streams } from '../streams.ts'
import { FileLedger } from './file-ledger.ts'
import { FileSource, type FileSourceOptions } from './file-source.ts'
import { StreamTaker } from './kafka-source.ts'
import type { KafkaSettings, SourceSettings } from './settings.ts'

export interface SourceStatus {
  source: string
  kind: 'kafka' | 'files'
  /** Why nothing can be read or taken at the moment; null when all is well. */
  trouble: string | null
  /** Messages, or files, that are there and not taken; null when that is not known. */
  waiting: number | null
  /** Of Kafka: partitions that are read here, the offset that comes next, and the end as it was when last asked. */
  partitions?: { topic: string; partition: number; next: number; end: number | null; stopped: string | null }[]
}

export interface SourcesOptions {
  configured: Readonly<Record<string, SourceSettings>>
  /** A source of a stream that is not there waits for it. */
  streams: Pick<Streams, 'get'>
  clock: Clock
  duck: Duck
  /** Where it is remembered which files were taken. */
  ledgerPath: string
  /** The absolute path of one in the settings. */
  resolve: (path: string) => string
  /** A directory as a store, for listing it. */
  openDirectory: FileSourceOptions['openDirectory']
  /** Joins a consumer group. */
  joinKafka: (source: string, settings: KafkaSettings, signal: AbortSignal) => Promise<KafkaMember>
  /** What the operator should know, in a sentence. */
  notice: (text: string) => void
}

/** A source that is run. */
export interface Source {
  run(signal: AbortSignal): Promise<void>
  status(): Omit<SourceStatus, 'source'>
}

export class Sources {
  readonly #sources = new Map<string, { stream: string; source: Source }>()
  readonly #notice: (text: string) => void
  readonly #ledger: FileLedger | null
  #running: { stop: AbortController; ends: Promise<unknown> } | null = null

  /** @throws Fault `unavailable`, `corrupt` (what is remembered of files) */
  constructor(options: SourcesOptions) {
    this.#notice = options.notice
    const files = Object.values(options.configured).some((settings) => settings.files !== undefined)
    this.#ledger = files ? new FileLedger(options.ledgerPath) : null
    for (const [name, settings] of Object.entries(options.configured)) {
      this.#sources.set(name, { stream: settings.stream, source: this.#open(name, settings, options) })
    }
  }

  start(): void {
    if (this.#running !== null) return
    const stop = new AbortController()
    const ends = [...this.#sources].map(([name, { source }]) =>
      source.run(stop.signal).catch((error: unknown) => this.#notice(`source ${name} ended: ${messageOf(error)}`)),
    )
    this.#running = { stop, ends: Promise.all(ends) }
  }

  /** Resolves when nothing more comes. */
  async stop(): Promise<void> {
    this.#running?.stop.abort()
    await this.#running?.ends
    this.#running = null
  }

  async close(): Promise<void> {
    await this.stop()
    this.#ledger?.close()
  }

  /** The stream is removed, and what is remembered of its files with it. */
  forget(stream: string): void {
    this.#ledger?.forget(stream)
  }

  /** Of all, or of those of one stream. */
  status(stream?: string): SourceStatus[] {
    return [...this.#sources]
      .filter(([, each]) => stream === undefined || each.stream === stream)
      .map(([name, { source }]) => ({ source: name, ...source.status() }))
  }

  #open(name: string, { stream, kafka, files }: SourceSettings, options: SourcesOptions): Source {
    const { streams, clock, duck, resolve } = options
    const parts = {
      stream: () => streams.get(stream),
      clock,
      notice: (text: string) => options.notice(`source ${name}: ${text}`),
    }
    if (files !== undefined) {
      const source = new FileSource({
        ...parts,
        settings: files,
        directory: resolve(files.directory),
        moveTo: files.moveTo === undefined ? null : resolve(files.moveTo),
        openDirectory: options.openDirectory,
        ledger: must(this.#ledger, 'the ledger of files'),
        duck,
      })
      return {
        run: (signal) => source.run(signal),
        status: () => ({ kind: 'files', ...source.status() }),
      }
    }
    const settings = must(kafka, 'the settings of Kafka')
    const reader = new KafkaReader({
      ...parts,
      join: (signal) => options.joinKafka(name, settings, signal),
      taker: new StreamTaker(parts.stream, settings),
      from: settings.from,
      outOfRange: settings.outOfRange,
    })
    return { run: (signal) => reader.run(signal), status: () => statusOf(reader) }
  }
}

function statusOf(reader: KafkaReader): Omit<SourceStatus, 'source'> {
  const { trouble, places } = reader.status()
  const partitions = places.map(({ topic, partition, next, end, stopped }) => ({
    topic,
    partition,
    next,
    end,
    stopped,
  }))
  const lags = partitions.map(({ next, end }) => (end === null ? null : Math.max(0, end - next)))
  const waiting = lags.reduce<number | null>((sum, lag) => (sum === null || lag === null ? null : sum + lag), 0)
  const stopped = partitions.find((place) => place.stopped !== null)?.stopped ?? null
  return { kind: 'kafka', trouble: trouble ?? stopped, waiting, partitions }
}
