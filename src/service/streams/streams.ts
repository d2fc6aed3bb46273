/**
 * Streams: records sent by programs, made durable, turned into typed rows, and committed to Iceberg tables.
 *
 * A stream has a log (`stream-<name>`) and a feed of its own; two streams never write one table. Streams that the configuration
 * names are there as it says; others are made and removed through the API and remembered in `state/streams.db`.
 */
import path from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { Fault, isFault, messageOf } from '../../base/fault.ts'
import { stringifyJson } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import type { Duck } from '../../duck/duck.ts'
import { type Catalog, formatIdent, parseIdent } from '../../iceberg/catalog/catalog.ts'
import type { FileIO } from '../../iceberg/file/file.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import type { Schema } from '../../iceberg/spec/table-metadata.ts'
import type { Log } from '../../log/log.ts'
import { TableFeed } from '../../table/feed.ts'
import type { FeedEvent } from '../../table/table.ts'
import { transportType } from '../../table/transport.ts'
import { upkeep } from '../../table/upkeep.ts'
import { TableWriter } from '../../table/writer.ts'
import type { DeadLetters } from '../deadletter/deadletter.ts'
import { parseStream, type StreamDefinition, schemaOf, tableOf } from './definition.ts'
import { StreamMemory } from './memory.ts'
import { closePipeline, openPipeline, type PipelineDeps } from './pipeline.ts'
import { Stream } from './stream.ts'
import { resolveModule } from './transform/load.ts'

export { parseStream, type StreamDefinition, type StreamInput, streamSettings } from './definition.ts'
export type { PipelineRecord, PipelineStep, RecordOrigin } from './pipeline.ts'
export {
  type Acceptance,
  type AcceptOptions,
  type Identity,
  type IncomingRecord,
  OPERATIONS,
  type Operation,
  type ProducerMark,
  type RecordResult,
} from './request.ts'
export { type Freshness, Stream } from './stream.ts'

export interface StreamsOptions {
  catalog: Catalog
  io: FileIO
  duck: Duck
  clock: Clock
  deadLetters: DeadLetters
  openLog: (name: string) => Promise<Log>
  indexPath: (name: string) => string
  memoryPath: string
  /** Streams of the configuration. */
  configured: readonly StreamDefinition[]
  /** Tables that something else writes, as `namespace.name`. */
  takenTables: ReadonlySet<string>
  /** Paths of functions in the configuration are from here; streams made through the API take them from its folder `functions`. */
  configDir: string
  /** What the operator should know, e.g. that a function loses results. */
  notice: (text: string) => void
  onEvent: (event: FeedEvent) => void
}

/** Beside the configuration file: functions that streams made through the API may name. */
const FUNCTIONS_FOLDER = 'functions'

/** Name of the log, the row index and the feed of a stream. */
export function streamLogName(stream: string): string {
  return `stream-${stream}`
}

export class Streams {
  readonly #options: StreamsOptions
  readonly #memory: StreamMemory
  readonly #streams = new Map<string, { stream: Stream; configured: boolean }>()
  #started = false
  /** Definitions change one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(options: StreamsOptions) {
    this.#options = options
    this.#memory = new StreamMemory(options.memoryPath)
  }

  /** @throws Fault naming the stream that cannot be opened */
  static async open(options: StreamsOptions): Promise<Streams> {
    const streams = new Streams(options)
    try {
      for (const definition of options.configured) await streams.#open(definition, options.clock.nowMs(), true)
      for (const { name, definition, createdMs } of streams.#memory.definitions()) {
        // What the configuration says of a stream counts.
        if (streams.#streams.has(name)) continue
        await streams.#open(parseStream(name, JSON.parse(definition)), createdMs, false)
      }
    } catch (error) {
      await streams.close()
      throw error
    }
    return streams
  }

  /** In the order of their names. */
  list(): Stream[] {
    return [...this.#streams.values()].map(({ stream }) => stream).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** @throws Fault `not-found` */
  get(name: string): Stream {
    const found = this.#streams.get(name)
    if (found !== undefined) return found.stream
    throw new Fault(
      'not-found',
      `there is no stream ${JSON.stringify(name.slice(0, 80))}; tidewater stream list shows them`,
    )
  }

  /**
   * Makes a stream, and its table if columns are given and it is not there. Making it again as it is changes nothing.
   * @throws Fault `invalid`, `conflict` (another stream of that name, or of that table), `limit`
   */
  create(name: string, input: unknown): Promise<{ stream: Stream; created: boolean }> {
    return this.#inTurn(async () => {
      const definition = parseStream(name, input)
      const known = this.#streams.get(name)
      if (known !== undefined) {
        if (stringifyJson(known.stream.definition) === stringifyJson(definition))
          return { stream: known.stream, created: false }
        throw new Fault('conflict', `there is a stream ${name} with other settings; delete it first (its table stays)`)
      }
      const createdMs = this.#options.clock.nowMs()
      const stream = await this.#open(definition, createdMs, false)
      const { name: _name, ...settings } = definition
      this.#memory.define({ name, definition: stringifyJson(settings), createdMs })
      return { stream, created: true }
    })
  }

  /**
   * Commits what the stream has taken and removes it. Its table and its log stay.
   * @throws Fault `not-found`, `conflict` (the configuration names it), or that of the commit: then it stays
   */
  remove(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const stream = this.get(name)
      if (this.#streams.get(name)?.configured === true)
        throw new Fault('conflict', `stream ${name} is in the configuration; remove it there and start again`)
      await stream.end()
      await stream.parts.feed.stop()
      try {
        await stream.parts.feed.drain()
      } catch (error) {
        await this.#close(stream)
        await this.#open(stream.definition, stream.createdMs, false)
        throw error
      }
      this.#memory.undefine(name)
      await this.#close(stream)
    })
  }

  /**
   * Gives a stream other settings, for the requests that come from now on. What was accepted before goes where it was meant to.
   * @throws Fault `not-found`, `invalid` (settings; those that cannot change), `conflict` (the configuration names the stream)
   */
  update(name: string, input: unknown): Promise<Stream> {
    return this.#inTurn(async () => {
      const stream = this.get(name)
      if (this.#streams.get(name)?.configured === true)
        throw new Fault('conflict', `stream ${name} is in the configuration; change it there and start again`)
      const definition = parseStream(name, input)
      const now = stream.definition
      if (stringifyJson(definition) === stringifyJson(now)) return stream
      for (const setting of ['table', 'uniqueKeys', 'columns', 'partitioning', 'properties'] as const) {
        if (stringifyJson(definition[setting] ?? null) !== stringifyJson(now[setting] ?? null))
          throw new Fault('invalid', `stream ${name}: ${setting} cannot be changed; make another stream`)
      }
      const steps = await openPipeline(definition, this.#pipelineDeps(name, false))
      const version = stream.version + 1
      const { name: _name, ...settings } = definition
      this.#memory.define({ name, definition: stringifyJson(settings), createdMs: stream.createdMs })
      this.#memory.note(name, { version })
      stream.reconfigure(definition, version, steps)
      return stream
    })
  }

  /** Holds the commits of a stream back, also after a restart; records are still taken. @throws Fault `not-found` */
  pause(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const stream = this.get(name)
      this.#memory.note(name, { paused: true })
      await stream.pause()
    })
  }

  /** @throws Fault `not-found` */
  resume(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const stream = this.get(name)
      this.#memory.note(name, { paused: false })
      stream.resume(this.#started)
    })
  }

  /** Names and values that users give a stream. @throws Fault `not-found` */
  tags(name: string): ReadonlyMap<string, string> {
    return new Map(Object.entries(this.#memory.notes(this.get(name).name).tags))
  }

  /** @throws Fault `not-found`, `limit` */
  tag(name: string, tags: ReadonlyMap<string, string>): void {
    const all = new Map([...this.tags(name), ...tags])
    if (all.size > limits.streamTagsMax)
      throw new Fault('limit', `stream ${name}: expected at most ${limits.streamTagsMax} tags, got ${all.size}`)
    this.#memory.note(name, { tags: Object.fromEntries(all) })
  }

  /** @throws Fault `not-found` */
  untag(name: string, keys: readonly string[]): void {
    const left = [...this.tags(name)].filter(([key]) => !keys.includes(key))
    this.#memory.note(name, { tags: Object.fromEntries(left) })
  }

  start(): void {
    this.#started = true
    for (const stream of this.list()) if (!stream.paused) stream.parts.feed.start()
  }

  async stop(): Promise<void> {
    this.#started = false
    await Promise.all(this.list().map((stream) => stream.parts.feed.stop()))
  }

  /** Takes no more records; resolves when those under way are answered. */
  async end(): Promise<void> {
    await Promise.all(this.list().map((stream) => stream.end()))
  }

  /** Commits everything accepted so far, by one stream or by all, also what is paused. @throws Fault `not-found`, or that of a commit */
  async drain(name?: string): Promise<void> {
    for (const stream of name === undefined ? this.list() : [this.get(name)]) await stream.parts.feed.drain()
  }

  async close(): Promise<void> {
    for (const stream of this.list()) await this.#close(stream)
    this.#memory.close()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #close(stream: Stream): Promise<void> {
    this.#streams.delete(stream.name)
    const { feed, writer, log } = stream.parts
    await stream.end()
    await feed.stop()
    await writer.close()
    writer.parts.session.close()
    await log.close()
  }

  async #open(definition: StreamDefinition, createdMs: number, configured: boolean): Promise<Stream> {
    try {
      return await this.#openParts(definition, createdMs, configured)
    } catch (error) {
      if (!isFault(error)) throw error
      throw new Fault(
        error.kind,
        `stream ${definition.name}: ${error.message}`,
        { ...error.facts, stream: definition.name },
        error,
      )
    }
  }

  async #openParts(definition: StreamDefinition, createdMs: number, configured: boolean): Promise<Stream> {
    const { catalog, io, duck, clock, deadLetters, openLog, indexPath, onEvent } = this.#options
    this.#checkFree(definition)
    const table = tableOf(definition, await this.#schemaFor(definition))
    const logName = streamLogName(definition.name)
    const undo: (() => Promise<void> | void)[] = []
    try {
      const log = await openLog(logName)
      undo.push(() => log.close())
      const session = await duck.connect()
      undo.push(() => session.close())
      const writer = await TableWriter.open(
        { catalog, io, session, clock },
        { definition: table, indexPath: indexPath(logName), logName },
      )
      undo.push(() => writer.close())
      const memory = this.#memory
      const feed = await TableFeed.open({
        writer,
        log,
        clock,
        lingerMs: definition.buffer.seconds * 1000,
        onEvent: (event) => {
          if (event.kind === 'committed') this.#streams.get(definition.name)?.stream.committed()
          onEvent(event)
        },
        onPoison: (text, { kind, message }) =>
          deadLetters.add([
            {
              stage: 'commit',
              stream: logName,
              code: kind,
              reason: message,
              payload: Buffer.from(text),
              subject: writer.name,
            },
          ]),
        upkeep: () => upkeep(writer),
        acceptedMs: () => this.#streams.get(definition.name)?.stream.oldestAtMs ?? null,
        beforeTrim: (end) => {
          this.#streams.get(definition.name)?.stream.reached()
          return memory.keep(definition.name, log, end, clock.nowMs())
        },
      })
      await memory.catchUp(definition.name, log)
      const { version, paused } = memory.notes(definition.name)
      const steps = await openPipeline(definition, this.#pipelineDeps(definition.name, configured))
      undo.push(() => closePipeline(steps))
      const parts = { catalog, log, feed, writer, memory, deadLetters, clock }
      const stream = new Stream(definition, createdMs, parts, steps, version)
      this.#streams.set(definition.name, { stream, configured })
      if (paused) await stream.pause()
      else if (this.#started) feed.start()
      return stream
    } catch (error) {
      for (const step of undo.reverse()) await step()
      throw error
    }
  }

  #pipelineDeps(name: string, configured: boolean): PipelineDeps {
    const { clock, configDir, takenTables, notice } = this.#options
    const functions = configured ? configDir : path.join(configDir, FUNCTIONS_FOLDER)
    return {
      clock,
      notice,
      resolveModule: (module) => resolveModule(module, functions, !configured),
      isTaken: (table) =>
        takenTables.has(table) ||
        [...this.#streams.values()].some(({ stream }) => stream.name !== name && stream.definition.table === table),
    }
  }

  /** @throws Fault `conflict`, `limit` */
  #checkFree({ name, table }: StreamDefinition): void {
    const wanted = formatIdent(parseIdent(table))
    if (this.#options.takenTables.has(wanted))
      throw new Fault('conflict', `table ${wanted} is written by another service`)
    const other = this.list().find((stream) => stream.definition.table === table && stream.name !== name)
    if (other !== undefined) throw new Fault('conflict', `table ${wanted} is written by stream ${other.name}`)
    if (this.#streams.size >= limits.streamsMax)
      throw new Fault('limit', `a home has at most ${limits.streamsMax} streams`)
  }

  async #schemaFor(definition: StreamDefinition): Promise<Schema> {
    if (definition.columns !== undefined) return schemaOf(definition.columns, definition.uniqueKeys)
    try {
      const schema = currentSchema((await this.#options.catalog.load(parseIdent(definition.table))).metadata)
      for (const field of schema.fields) transportType(field.type)
      return schema
    } catch (error) {
      if (!isFault(error, 'not-found')) throw error
      throw new Fault(
        'invalid',
        `there is no table ${definition.table}; give the stream columns, and it is made (${messageOf(error)})`,
        {},
        error,
      )
    }
  }
}
