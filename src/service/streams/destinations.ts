/**
 * The tables that one stream's log is for: a writer and a feed for each, opened on first use.
 *
 * Invariants
 * 1. A table is remembered in `state/streams.db`, with its key, before the first entry for it is in the log. After a restart, and
 *    after a change of the settings, entries reach the table that they were acknowledged for, by the key that held then.
 * 2. The log forgets an entry when every table has passed it.
 *
 * Crash story: a table that was created and not remembered is found on its next use. A table that is remembered and has no entries
 * is forgotten at a start that finds the log empty.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../base/clock.ts'
import { Fault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import type { Slots } from '../../base/slots.ts'
import type { Duck } from '../../duck/duck.ts'
import type { Catalog } from '../../iceberg/catalog/catalog.ts'
import type { FileIO } from '../../iceberg/file/file.ts'
import type { Log } from '../../log/log.ts'
import { LogShares } from '../../table/shares.ts'
import type { FeedEvent } from '../../table/table.ts'
import type { UpkeepLoop } from '../../table/upkeep-loop.ts'
import type { TableWriter } from '../../table/writer.ts'
import type { DeadLetters } from '../deadletter/deadletter.ts'
import { type StreamDefinition, settingsFor } from './definition.ts'
import { Destination } from './destination.ts'
import type { MemoryFile, StoredDestination } from './memory.ts'
import type { PipelineRecord } from './pipeline.ts'
import type { Repetitions } from './repetitions.ts'

/** What all streams of a home share. */
export interface SharedParts {
  catalog: Catalog
  io: FileIO
  duck: Duck
  clock: Clock
  deadLetters: DeadLetters
  /** Commits of all feeds take turns. */
  slots: { commit: Slots }
  upkeep: UpkeepLoop
  indexPath: (name: string) => string
  onEvent: (event: FeedEvent) => void
  /** Default: `TableWriter.open`. */
  openWriter?: typeof TableWriter.open
}

export interface DestinationsOptions extends SharedParts {
  stream: string
  log: Log
  memory: MemoryFile
  repetitions: Repetitions
  definition: () => StreamDefinition
  /** Makes a table this stream's. @throws Fault `conflict` when something else writes it */
  claim: (table: string) => void
  release: (table: string) => void
  /** When the oldest entry that waits was accepted, ms since 1970. */
  oldestAtMs: () => number | null
  /** Called when the least position of all tables has grown. */
  onMoved: () => void
}

export class Destinations {
  readonly #options: DestinationsOptions
  readonly #shares: LogShares
  readonly #open = new Map<string, Destination>()
  readonly #opening = new Map<string, Promise<Destination>>()
  /** Tables that the log may have entries for. */
  readonly #remembered = new Map<string, StoredDestination>()
  #started = false
  /** All tables are open that entries in the log may be for. */
  #ready = false
  #trimmed = 0
  #trimming: Promise<void> = Promise.resolve()

  constructor(options: DestinationsOptions) {
    this.#options = options
    const { log, io, clock, definition } = options
    const { table } = definition()
    this.#shares = new LogShares({
      log,
      clock,
      scratch: () => io.scratch('.ndjson'),
      untagged: () => table,
      several: () => this.#remembered.size > 1,
      sealedForMs: () => (definition().buffer.seconds * 1000) / 2,
    })
  }

  /**
   * Opens the tables that entries in the log are for, and the stream's own if it is there or its columns are known.
   * @param seen tables that entries name, remembered or not
   */
  async start(seen: ReadonlySet<string>): Promise<void> {
    const { log, memory, stream, definition } = this.#options
    if (log.start === log.end) await memory.forgetDestinations(stream)
    for (const stored of memory.destinations(stream)) this.#remembered.set(stored.table, stored)
    for (const table of seen) if (!this.#remembered.has(table)) await this.#remember(storedOf(definition(), table))
    this.#trimmed = log.start
    const { table } = definition()
    const wanted = new Set([...this.#remembered.keys(), table])
    const results = await Promise.allSettled([...wanted].map((name) => this.#openAtStart(name)))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    this.#ready = true
  }

  get all(): readonly Destination[] {
    return [...this.#open.values()]
  }

  /** Every entry before this offset is in its table. */
  get position(): number {
    const positions = this.all.map(({ feed }) => feed.position)
    return positions.length === 0 ? this.#options.log.end : Math.min(...positions)
  }

  /**
   * The table, created if need be.
   * @param records that are going there: what columns it gets when nobody says
   * @throws Fault `invalid`, `unsupported`, `conflict`, `limit`: records for it are to be refused; others: try again later
   */
  of(table: string, records: readonly PipelineRecord[]): Promise<Destination> | Destination {
    // One that is being opened is not remembered yet.
    const opening = this.#opening.get(table)
    if (opening !== undefined) return opening
    const known = this.#open.get(table)
    if (known !== undefined) return known
    const mine = this.#create(table, records).finally(() => this.#opening.delete(table))
    this.#opening.set(table, mine)
    return mine
  }

  /** The table, if it is open. */
  opened(table: string): Destination | undefined {
    return this.#opening.has(table) ? undefined : this.#open.get(table)
  }

  /**
   * Makes the tables as other settings want them. Nothing may be appended meanwhile. A table whose key changes is committed by its
   * old one first.
   * @throws Fault `invalid` when they contradict a table, or that of the commit: then all is as it was
   */
  async adopt(definition: StreamDefinition): Promise<void> {
    const before = this.#options.definition()
    const changed = [...this.#remembered.values()].filter((stored) => !same(stored, storedOf(definition, stored.table)))
    for (const { table } of changed) {
      const feed = this.#open.get(table)?.feed
      await feed?.stop()
      await feed?.drain()
    }
    try {
      for (const { table } of changed) await this.#reopen(storedOf(definition, table), definition)
      for (const destination of this.all) await destination.adopt(settingsFor(definition, destination.table))
      const { table } = definition
      if (!this.#open.has(table) && !(await this.#isLater(definition))) await this.#create(table, [], definition)
    } catch (error) {
      for (const stored of changed) await this.#reopen(stored, before)
      throw error
    }
  }

  async #reopen(stored: StoredDestination, definition: StreamDefinition): Promise<void> {
    const { table } = stored
    const open = this.#open.get(table)
    if (open !== undefined) await this.#close(open)
    // Of a table that is not the stream's own, the columns are those that it has.
    const settings = settingsFor(definition, table)
    const columns = table === definition.table ? settings.columns : undefined
    const destination = await this.#openTable(stored, { ...settings, ...keyed(stored), columns })
    await this.#rememberOpened(stored, destination)
    if (this.#started) destination.feed.start()
  }

  follow(): void {
    this.#started = true
    for (const { feed } of this.all) feed.start()
  }

  async rest(): Promise<void> {
    this.#started = false
    await Promise.all(this.all.map(({ feed }) => feed.stop()))
  }

  hurry(): void {
    for (const { feed } of this.all) feed.hurry()
    // Without a table there is nobody to let the log forget what changes nothing.
    if (this.#open.size === 0) this.#passed().catch(() => undefined)
  }

  /** Commits what the log holds now. @throws Fault of the first commit that fails, after the others */
  async drain(): Promise<void> {
    const results = await Promise.allSettled(this.all.map(({ feed }) => feed.drain()))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    await this.#passed()
  }

  /** The log is empty: nothing has to be remembered of it. */
  async forget(): Promise<void> {
    const { log, memory, stream } = this.#options
    if (log.start === log.end) await memory.forgetDestinations(stream)
  }

  async close(): Promise<void> {
    await this.rest()
    await Promise.allSettled(this.#opening.values())
    for (const destination of this.all) await this.#close(destination)
    await this.#trimming
    await this.#shares.close()
  }

  async #close(destination: Destination): Promise<void> {
    this.#open.delete(destination.table)
    this.#options.release(destination.table)
    await destination.close()
  }

  async #openAtStart(table: string): Promise<void> {
    const definition = this.#options.definition()
    const stored = this.#remembered.get(table)
    const wanted = storedOf(definition, table)
    if (stored !== undefined && !same(stored, wanted)) {
      // Entries in the log are meant by the key that held when they were taken.
      const before = await this.#openTable(stored, {
        ...settingsFor(definition, table),
        ...keyed(stored),
        columns: undefined,
      })
      await before.feed.drain()
    }
    const own = table === definition.table
    if (own && stored === undefined && (await this.#isLater(definition))) return
    await this.#reopen(wanted, definition)
  }

  /** Whether a stream's own table is to be made when the first records show its columns. */
  async #isLater(definition: StreamDefinition): Promise<boolean> {
    const { columns, unknownFields, table } = settingsFor(definition, definition.table)
    if (columns !== undefined || unknownFields !== 'evolve') return false
    return !(await Destination.isThere(this.#options.catalog, table))
  }

  async #create(
    table: string,
    records: readonly PipelineRecord[],
    definition = this.#options.definition(),
  ): Promise<Destination> {
    if (this.#open.size + this.#opening.size >= limits.streamTablesMax)
      throw new Fault('limit', `a stream writes at most ${limits.streamTablesMax} tables`)
    // Entries for it will come behind what is in the log now.
    const from = this.#options.log.end
    const settings = settingsFor(definition, table)
    const destination = await this.#openTable(storedOf(definition, table), settings, { records, from })
    await this.#rememberOpened(storedOf(definition, table), destination)
    if (this.#started) destination.feed.start()
    return destination
  }

  async #openTable(
    { table }: StoredDestination,
    settings: ReturnType<typeof settingsFor>,
    first: { records: readonly PipelineRecord[]; from: number } = { records: [], from: 0 },
  ): Promise<Destination> {
    const { claim, release, definition, oldestAtMs } = this.#options
    claim(table)
    try {
      const destination = await Destination.open({
        ...this.#options,
        settings,
        ...first,
        share: this.#shares.of(table),
        lingerMs: () => definition().buffer.seconds * 1000,
        acceptedMs: oldestAtMs,
        onPassed: () => this.#passed(),
      })
      this.#open.set(table, destination)
      return destination
    } catch (error) {
      release(table)
      throw error
    }
  }

  /** A table that is not remembered takes nothing. @throws as `MemoryFile.durably` */
  async #rememberOpened(stored: StoredDestination, destination: Destination): Promise<void> {
    try {
      await this.#remember(stored)
    } catch (error) {
      await this.#close(destination)
      throw error
    }
  }

  async #remember(destination: StoredDestination): Promise<void> {
    const { memory, stream } = this.#options
    const known = this.#remembered.get(destination.table)
    if (known !== undefined && same(known, destination)) return
    await memory.addDestination(stream, destination)
    this.#remembered.set(destination.table, destination)
  }

  /** Lets the log forget what every table has passed, once what follows from it is written down. */
  #passed(): Promise<void> {
    const { log, clock, repetitions, onMoved } = this.#options
    const mine = this.#trimming.then(async () => {
      if (!this.#ready) return
      const { position } = this
      onMoved()
      if (position <= this.#trimmed) return
      // Who appended the last entries may be about to say what is to be remembered of them.
      await turn()
      if (this.#open.size === 0) await log.seal(this.#trimmed, limits.commitBytesMax)
      await repetitions.keep(position, clock.nowMs())
      await log.trim(position)
      await this.#shares.passed(position)
      this.#trimmed = position
    })
    this.#trimming = mine.catch(() => undefined)
    return mine
  }
}

/** How a table's entries are to be applied, by the settings of now. */
function storedOf(definition: StreamDefinition, table: string): StoredDestination {
  const { uniqueKeys, orderingField } = settingsFor(definition, table)
  return { table, uniqueKeys, ...(orderingField === undefined ? {} : { orderingField }) }
}

/** What a table was remembered by, in place of what the settings say. */
function keyed({ uniqueKeys, orderingField }: StoredDestination) {
  return { uniqueKeys, orderingField }
}

function same(one: StoredDestination, other: StoredDestination): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
