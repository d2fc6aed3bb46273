/**
 * Streams: records sent by programs, made durable, turned into typed rows, and committed to Iceberg tables.
 *
 * A stream has a log (`stream-<name>`) and writes one table or several; two streams never write one table. Streams that the
 * configuration names are there as it says; others are made and removed through the API and remembered in `state/streams.db`.
 *
 * One that cannot be opened is told of, answers `unavailable`, and is tried again; the others live. What the log of a removed stream
 * still holds is committed all the same, and told.
 *
 * Crash story: a stream is remembered before it can be reached, and forgotten after its last commit.
 */
import { Fault, isFault, messageOf } from '../../base/fault.ts'
import { stringifyJson } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import { Slots } from '../../base/slots.ts'
import type { Log } from '../../log/log.ts'
import { Backlog, type BacklogOptions } from './backlog.ts'
import { parseStream, type StreamDefinition } from './definition.ts'
import { streamLogName } from './destination.ts'
import type { SharedParts } from './destinations.ts'
import { leftoverDefinition } from './leftover.ts'
import { MemoryFile } from './memory.ts'
import { type KnownStream, type OpenStreamOptions, openStream, stepsOf } from './open-stream.ts'
import { closePipeline, type openPipeline } from './pipeline.ts'
import type { SourceStatus } from './sources/sources.ts'
import type { Stream } from './stream.ts'
import { TableOwners } from './table-owners.ts'

export { parseStream, type StreamDefinition, type StreamInput, streamSettings } from './definition.ts'
export { streamIndexName, streamLogName } from './destination.ts'
export { bytesOf, PackedRecords, type Records } from './packed.ts'
export type { PipelineRecord, PipelineStep, RecordOrigin } from './pipeline.ts'
export type { RetriedLetter } from './read-again.ts'
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
export { type SourceSettings, sourceSettings } from './sources/settings.ts'
export { type SourceStatus, Sources, type SourcesOptions } from './sources/sources.ts'
export { type Freshness, Stream } from './stream.ts'

export interface StreamsOptions extends SharedParts, Omit<BacklogOptions, 'clock'> {
  openLog: (name: string) => Promise<Log>
  /** Names of logs that are there. */
  listLogs: () => Promise<string[]>
  memoryPath: string
  /** Bytes of one stream that may wait to be committed; default `limits.streamBacklogBytesMax`. */
  backlogBytesMax?: number
  /** Streams of the configuration. */
  configured: readonly StreamDefinition[]
  /** Tables that something else writes, as `namespace.name`. */
  takenTables: ReadonlySet<string>
  /** Paths of functions in the configuration are from here; streams made through the API take them from its folder `functions`. */
  configDir: string
  /** What the operator should know, in a sentence, e.g. that a function loses results. */
  notice: (text: string) => void
  /** Default: the steps that the settings name. */
  openSteps?: typeof openPipeline
}

export class Streams {
  readonly #options: StreamsOptions
  readonly #memory: MemoryFile
  readonly #streams = new Map<string, KnownStream & { stream: Stream }>()
  /** Streams that cannot be opened, and why. */
  readonly #troubled = new Map<string, { name: string; known: KnownStream | null; fault: Fault }>()
  /** What removed streams have left in their logs. They take no records. */
  readonly #leftovers = new Map<string, Stream>()
  readonly #owners: TableOwners
  readonly #opening: OpenStreamOptions
  /** What brings records to a stream by itself, and how far it is. */
  sources: (stream: string) => SourceStatus[] = () => []
  /** Called when a stream is removed, with what it remembers. */
  onRemoved: (stream: string) => void = () => undefined
  #started = false
  #stop = new AbortController()
  /** Definitions change one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(options: StreamsOptions) {
    this.#options = options
    this.#memory = new MemoryFile(options.memoryPath)
    this.#owners = new TableOwners(options.takenTables)
    this.#opening = {
      ...options,
      memory: this.#memory,
      backlog: new Backlog(options, {
        ...limits,
        streamBacklogBytesMax: options.backlogBytesMax ?? limits.streamBacklogBytesMax,
      }),
      owners: this.#owners,
      sources: (stream) => this.sources(stream),
    }
  }

  /** Streams that cannot be opened are told of; see `troubles`. @throws Fault `unavailable`, `corrupt` (what is remembered) */
  static async open(options: StreamsOptions): Promise<Streams> {
    const streams = new Streams(options)
    try {
      await streams.#openAll()
    } catch (error) {
      await streams.close()
      throw error
    }
    return streams
  }

  /** Those that take records, in the order of their names. */
  list(): Stream[] {
    return [...this.#streams.values()].map(({ stream }) => stream).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Of all streams, in order. */
  names(): string[] {
    return [...this.#streams.keys(), ...this.#troubled.keys()].sort()
  }

  /** Streams that cannot be opened now, and why. */
  troubles(): { name: string; fault: Fault }[] {
    return [...this.#troubled.values()].map(({ name, fault }) => ({ name, fault }))
  }

  /** @throws Fault `not-found`, `unavailable` when it cannot be opened now */
  get(name: string): Stream {
    const found = this.#streams.get(name)
    if (found !== undefined) return found.stream
    const trouble = this.#troubled.get(name)
    if (trouble !== undefined) throw new Fault('unavailable', trouble.fault.message, { stream: name }, trouble.fault)
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
      requireOwnFolder(definition)
      const known = this.#streams.get(name)
      if (known !== undefined || this.#troubled.has(name)) {
        const stream = this.get(name)
        if (sameDefinition(stream.definition, definition)) return { stream, created: false }
        throw new Fault('conflict', `there is a stream ${name} with other settings; delete it first (its table stays)`)
      }
      if (this.#streams.size + this.#troubled.size >= limits.streamsMax)
        throw new Fault('limit', `a home has at most ${limits.streamsMax} streams`)
      await this.#finishLeftover(name)
      const createdMs = this.#options.clock.nowMs()
      // Remembered before anybody can send: what is acknowledged always has a stream.
      await this.#memory.define({ name, definition: storedText(definition), createdMs })
      try {
        return { stream: await this.#open({ definition, createdMs, configured: false }), created: true }
      } catch (error) {
        await this.#memory.undefine(name)
        throw error
      }
    })
  }

  /**
   * Gives a stream other settings, for the requests that come from now on. What was accepted before goes where it was meant to.
   * @param version that the settings were made from, where that matters
   * @throws Fault `not-found`, `invalid` (settings), `conflict` (the configuration names the stream, another stream writes the
   * table; or, with `facts.version`, it has another version now)
   */
  update(name: string, input: unknown, version?: number): Promise<Stream> {
    return this.#inTurn(async () => {
      const stream = this.get(name)
      if (version !== undefined && version !== stream.version)
        throw new Fault(
          'conflict',
          `stream ${name}: expected version ${version}, got ${stream.version}: its settings changed meanwhile`,
          { stream: name, version: stream.version },
        )
      const known = this.#streams.get(name)
      if (known === undefined || known.configured)
        throw new Fault('conflict', `stream ${name} is in the configuration; change it there and start again`)
      const definition = parseStream(name, input)
      requireOwnFolder(definition)
      if (sameDefinition(stream.definition, definition)) return stream
      if (definition.table !== stream.definition.table) this.#owners.claim(definition.table, name)
      const { destinations } = stream.parts
      const tables = () => destinations.all.map(({ table }) => table)
      const steps = await stepsOf(this.#opening, definition, { configured: false, known: tables })
      const next = stream.version + 1
      try {
        await stream.between(async () => {
          await stream.parts.destinations.adopt(definition)
          await this.#memory.define({ name, definition: storedText(definition), createdMs: stream.createdMs })
          await this.#memory.note(name, () => ({ version: next }))
          stream.reconfigure(definition, next, steps)
        })
      } catch (error) {
        await closePipeline(steps)
        throw error
      }
      known.definition = definition
      return stream
    })
  }

  /**
   * Reads the file of the stream's function again, for what comes from now on; one without a function stays as it is.
   * @throws Fault `not-found`, `invalid` (the function cannot be used: the one of before goes on), `unavailable`
   */
  reload(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const stream = this.get(name)
      const { definition, version } = stream
      if (definition.transform?.module === undefined) return
      const configured = this.#streams.get(name)?.configured === true
      const known = () => stream.parts.destinations.all.map(({ table }) => table)
      const steps = await stepsOf(this.#opening, definition, { configured, known })
      stream.reconfigure(definition, version, steps)
    })
  }

  /**
   * Commits what the stream has taken and removes it, with what it remembers of its senders. Its tables and its log stay.
   * @throws Fault `not-found`, `conflict` (the configuration names it), or that of the commit: then it stays
   */
  remove(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const known = this.#streams.get(name) ?? this.#troubled.get(name)?.known
      if (known?.configured === true)
        throw new Fault('conflict', `stream ${name} is in the configuration; remove it there and start again`)
      if (this.#troubled.has(name)) {
        await this.#memory.undefine(name)
        this.#troubled.delete(name)
        return
      }
      const stream = this.get(name)
      const { destinations, repetitions, log } = stream.parts
      await stream.end()
      await destinations.rest()
      try {
        await destinations.drain()
      } catch (error) {
        await this.#close(stream)
        if (known !== undefined && known !== null) await this.#open(known)
        throw error
      }
      await this.#memory.undefine(name)
      this.#streams.delete(name)
      await repetitions.flush()
      await repetitions.forgetAll(log.end)
      this.onRemoved(name)
      await destinations.forget()
      await this.#close(stream)
    })
  }

  /** Holds the commits of a stream back, also after a restart; records are still taken. @throws Fault `not-found` */
  pause(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const stream = this.get(name)
      await this.#memory.note(name, () => ({ paused: true }))
      await stream.pause()
    })
  }

  /** @throws Fault `not-found` */
  resume(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const stream = this.get(name)
      await this.#memory.note(name, () => ({ paused: false }))
      stream.resume(this.#started)
    })
  }

  /** Names and values that users give a stream. @throws Fault `not-found` */
  tags(name: string): ReadonlyMap<string, string> {
    return new Map(Object.entries(this.#memory.notes(this.get(name).name).tags))
  }

  /** @throws Fault `not-found`, `limit`, `unavailable` */
  async tag(name: string, tags: ReadonlyMap<string, string>): Promise<void> {
    await this.#memory.note(this.get(name).name, ({ tags: before }) => {
      const all = { ...before, ...Object.fromEntries(tags) }
      const count = Object.keys(all).length
      if (count > limits.streamTagsMax)
        throw new Fault('limit', `stream ${name}: expected at most ${limits.streamTagsMax} tags, got ${count}`)
      return { tags: all }
    })
  }

  /** @throws Fault `not-found`, `unavailable` */
  async untag(name: string, keys: readonly string[]): Promise<void> {
    await this.#memory.note(this.get(name).name, ({ tags }) => ({
      tags: Object.fromEntries(Object.entries(tags).filter(([key]) => !keys.includes(key))),
    }))
  }

  start(): void {
    this.#started = true
    this.#stop = new AbortController()
    for (const stream of [...this.list(), ...this.#leftovers.values()])
      if (!stream.paused) stream.parts.destinations.follow()
    void this.#reopenTroubled(this.#stop.signal)
  }

  async stop(): Promise<void> {
    this.#started = false
    this.#stop.abort()
    await this.#turn
    const streams = [...this.list(), ...this.#leftovers.values()]
    await Promise.all(streams.map((stream) => stream.parts.destinations.rest()))
  }

  /** Takes no more records; resolves when those under way are answered. */
  async end(): Promise<void> {
    await Promise.all(this.list().map((stream) => stream.end()))
  }

  /**
   * Commits everything accepted so far, by one stream or by all, also what is paused.
   * @throws Fault `not-found`, or that of a commit, after the others
   */
  async drain(name?: string): Promise<void> {
    const streams = name === undefined ? [...this.list(), ...this.#leftovers.values()] : [this.get(name)]
    const results = await Promise.allSettled(streams.map((stream) => stream.parts.destinations.drain()))
    if (name === undefined)
      await this.#inTurn(async () => {
        for (const left of [...this.#leftovers.keys()]) await this.#finishLeftover(left)
      })
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async close(): Promise<void> {
    this.#started = false
    this.#stop.abort()
    await this.#turn
    for (const stream of [...this.list(), ...this.#leftovers.values()]) await this.#close(stream)
    this.#memory.close()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #close(stream: Stream): Promise<void> {
    this.#streams.delete(stream.name)
    this.#leftovers.delete(stream.name)
    await stream.close()
    this.#owners.releaseAll(stream.name)
  }

  async #openAll(): Promise<void> {
    const { configured, clock } = this.#options
    const wanted: KnownStream[] = configured.map((definition) => ({
      definition,
      createdMs: clock.nowMs(),
      configured: true,
    }))
    for (const { name, definition, createdMs } of this.#memory.definitions()) {
      // What the configuration says of a stream counts.
      if (configured.some((known) => known.name === name)) continue
      try {
        wanted.push({ definition: parseStream(name, JSON.parse(definition)), createdMs, configured: false })
      } catch (error) {
        this.#trouble(name, null, error)
      }
    }
    const slots = new Slots(limits.streamsOpenedAtOnce)
    await Promise.all(
      wanted.map((known) =>
        slots.run(() =>
          this.#open(known).then(
            () => undefined,
            (error: unknown) => this.#trouble(known.definition.name, known, error),
          ),
        ),
      ),
    )
    const left = new Set(this.#memory.streamsWithDestinations())
    for (const log of await this.#options.listLogs()) if (log.startsWith(PREFIX)) left.add(log.slice(PREFIX.length))
    for (const name of left) if (!this.#streams.has(name) && !this.#troubled.has(name)) await this.#openLeftover(name)
  }

  /** @throws what is no fault: a bug */
  #trouble(name: string, known: KnownStream | null, error: unknown): void {
    if (!isFault(error)) throw error
    this.#troubled.set(name, { name, known, fault: error })
    this.#options.notice(`${error.message}; it takes no records until it can be opened`)
  }

  /** Tries those again that could not be opened, now and then. */
  async #reopenTroubled(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#options.clock.sleep(limits.streamReopenMs, signal).catch(() => undefined)
      for (const { name, known } of [...this.#troubled.values()]) {
        if (signal.aborted) return
        if (known === null) continue
        await this.#inTurn(async () => {
          if (signal.aborted || this.#troubled.get(name)?.known !== known) return
          try {
            await this.#open(known)
            this.#troubled.delete(name)
            this.#options.notice(`stream ${name} takes records again`)
          } catch (error) {
            if (isFault(error)) this.#troubled.set(name, { name, known, fault: error })
            else this.#options.notice(`stream ${name}: ${messageOf(error)}`)
          }
        })
      }
    }
  }

  async #open(known: KnownStream): Promise<Stream> {
    const { name } = known.definition
    try {
      const stream = await openStream(this.#opening, known)
      this.#streams.set(name, { ...known, stream })
      if (this.#memory.notes(name).paused) await stream.pause()
      else if (this.#started) stream.parts.destinations.follow()
      return stream
    } catch (error) {
      if (!isFault(error)) throw error
      throw new Fault(error.kind, `stream ${name}: ${error.message}`, { ...error.facts, stream: name }, error)
    }
  }

  /** Opens the log of a stream that is no more, if it holds anything. */
  async #openLeftover(name: string): Promise<void> {
    const { openLog, catalog, notice } = this.#options
    try {
      const definition = await leftoverDefinition(name, { catalog, memory: this.#memory, openLog })
      if (definition === null) return
      const createdMs = this.#options.clock.nowMs()
      const stream = await openStream(this.#opening, { definition, createdMs, configured: true })
      await stream.end()
      this.#leftovers.set(name, stream)
      const { waitingEntries, destinations } = stream.freshness()
      const tables = destinations.map(({ table }) => table).join(', ')
      notice(
        `stream ${name} is no more, but its log holds ${waitingEntries} entries that were accepted: they are committed to ${tables}`,
      )
    } catch (error) {
      if (!isFault(error)) throw error
      notice(`stream ${name} is no more, and what its log holds cannot be committed: ${error.message}`)
    }
  }

  /** Commits what a removed stream has left, and closes its log. */
  async #finishLeftover(name: string): Promise<void> {
    const stream = this.#leftovers.get(name)
    if (stream === undefined) return
    const { destinations, log, repetitions } = stream.parts
    await destinations.rest()
    await destinations.drain()
    await repetitions.flush()
    await repetitions.forgetAll(log.end)
    this.onRemoved(name)
    await destinations.forget()
    await this.#close(stream)
  }
}

const PREFIX = streamLogName('')

/** What is asked for through the API writes nowhere but in the home. @throws Fault `invalid` */
function requireOwnFolder({ name, errorOutput }: StreamDefinition): void {
  if (errorOutput?.directory === undefined) return
  throw new Fault(
    'invalid',
    `stream ${name}: errorOutput.directory: only the configuration may name a folder; leave it out, and it is error-output in the state folder`,
  )
}

function storedText({ name: _name, ...settings }: StreamDefinition): string {
  return stringifyJson(settings)
}

function sameDefinition(one: StreamDefinition, other: StreamDefinition): boolean {
  return stringifyJson(one) === stringifyJson(other)
}
