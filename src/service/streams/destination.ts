/** One table of a stream: its writer and its feed, its columns as they are known now, and how records become its rows. */

import type { Clock } from '../../base/clock.ts'
import { Fault, isFault, messageOf } from '../../base/fault.ts'
import { sha256Hex } from '../../base/hash.ts'
import { limits } from '../../base/limits.ts'
import { type Catalog, parseIdent, type TableIdent } from '../../iceberg/catalog/catalog.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import type { Schema } from '../../iceberg/spec/table-metadata.ts'
import { type LogShare, TableFeed } from '../../table/feed.ts'
import { transportType } from '../../table/transport.ts'
import type { UpkeepHandle } from '../../table/upkeep-loop.ts'
import { TableWriter } from '../../table/writer.ts'
import { neededColumns, type StreamSettings, schemaOf, tableOf } from './definition.ts'
import type { DestinationsOptions } from './destinations.ts'
import { evolveFor } from './evolution.ts'
import { schemaOfRecords } from './first-schema.ts'
import type { PipelineRecord } from './pipeline.ts'
import { compileRowReader, type RowReader } from './row-reader.ts'
import { sourceFacts } from './source-positions.ts'

export interface DestinationOptions
  extends Pick<
    DestinationsOptions,
    | 'catalog'
    | 'io'
    | 'duck'
    | 'clock'
    | 'deadLetters'
    | 'slots'
    | 'upkeep'
    | 'indexPath'
    | 'onEvent'
    | 'openWriter'
    | 'stream'
    | 'log'
    | 'repetitions'
  > {
  settings: StreamSettings
  /** What the table's columns are taken from when it is not there and nobody says. */
  records: readonly PipelineRecord[]
  /** Offset before which the log has nothing for it. */
  from: number
  share: LogShare
  lingerMs: () => number
  acceptedMs: () => number | null
  onPassed: () => Promise<void>
}

/** Name of the log of a stream. */
export function streamLogName(stream: string): string {
  return `stream-${stream}`
}

/** Name of the row index of a stream's table. */
export function streamIndexName(stream: string, table: string): string {
  return `${streamLogName(stream)}-${sha256Hex(Buffer.from(table)).slice(0, 12)}`
}

export class Destination {
  /** `namespace.name` */
  readonly table: string
  readonly writer: TableWriter
  readonly feed: TableFeed
  readonly #kept: UpkeepHandle
  readonly #catalog: Catalog
  readonly #clock: Clock
  readonly #ident: TableIdent
  #schema: Schema
  #schemaAtMs: number
  #refreshing: Promise<void> | null = null
  #reader: { schema: Schema; settings: StreamSettings; reader: RowReader } | null = null

  private constructor(
    options: DestinationOptions,
    parts: { writer: TableWriter; feed: TableFeed; kept: UpkeepHandle; schema: Schema },
  ) {
    this.table = options.settings.table
    this.#ident = parseIdent(this.table)
    this.#catalog = options.catalog
    this.#clock = options.clock
    this.writer = parts.writer
    this.feed = parts.feed
    this.#kept = parts.kept
    this.#schema = parts.schema
    this.#schemaAtMs = options.clock.nowMs()
  }

  /** @throws Fault `invalid` when there is no table and no way to make it, or it contradicts the settings */
  static async open(options: DestinationOptions): Promise<Destination> {
    const { catalog, io, duck, clock, deadLetters, slots, settings, log, onEvent } = options
    const definition = tableOf(settings, await schemaFor(options))
    const session = await duck.connect()
    const undo: (() => Promise<void> | void)[] = [() => session.close()]
    try {
      const openWriter = options.openWriter ?? TableWriter.open
      const writer = await openWriter(
        { catalog, io, session, clock },
        {
          definition,
          indexPath: options.indexPath(streamIndexName(options.stream, settings.table)),
          logName: log.name,
          facts: (end, properties) => sourceFacts(options.repetitions.sources.at(end), properties),
        },
      )
      undo.push(() => writer.close())
      const kept = options.upkeep.add(writer)
      undo.push(() => kept.remove())
      const feed = await TableFeed.open({
        writer,
        log,
        clock,
        from: options.from,
        share: options.share,
        slots,
        lingerMs: options.lingerMs,
        acceptedMs: options.acceptedMs,
        onPassed: options.onPassed,
        onEvent,
        onPoison: (text, { kind, message }) =>
          deadLetters.add([
            {
              stage: 'commit',
              stream: log.name,
              code: kind,
              reason: message,
              payload: Buffer.from(text),
              subject: writer.name,
            },
          ]),
        upkeep: () => kept.due(),
      })
      return new Destination(options, { writer, feed, kept, schema: currentSchema((await writer.load()).metadata) })
    } catch (error) {
      for (const step of undo.reverse()) await step()
      throw error
    }
  }

  static isThere(catalog: Catalog, table: string): Promise<boolean> {
    return catalog.load(parseIdent(table)).then(
      () => true,
      (error: unknown) => {
        if (isFault(error, 'not-found')) return false
        throw error
      },
    )
  }

  /**
   * The columns as they are known. They are looked up beside the work: another engine's change shows a little later, and a catalog
   * that does not answer keeps nobody from sending. Only after a long silence are they looked up first.
   */
  async schema(): Promise<Schema> {
    const age = Math.abs(this.#clock.nowMs() - this.#schemaAtMs)
    if (age > limits.streamSchemaAgeMs) {
      this.#refreshing ??= this.#refresh().finally(() => {
        this.#refreshing = null
      })
      if (age > limits.streamSchemaStaleMs) await this.#refreshing
    }
    return this.#schema
  }

  async #refresh(): Promise<void> {
    try {
      this.#learn(currentSchema((await this.writer.load()).metadata))
    } catch {
      // What was known holds on. That the catalog is out of reach is told by the feed, which waits for it.
      this.#schemaAtMs = this.#clock.nowMs()
    }
  }

  #learn(schema: Schema): void {
    this.#schemaAtMs = this.#clock.nowMs()
    if (JSON.stringify(schema) !== JSON.stringify(this.#schema)) this.#schema = schema
  }

  async reader(settings: StreamSettings): Promise<RowReader> {
    const schema = await this.schema()
    const known = this.#reader
    if (known !== null && known.schema === schema && known.settings === settings) return known.reader
    const reader = compileRowReader(strict(schema, settings), settings)
    this.#reader = { schema, settings, reader }
    return reader
  }

  /** Gives the table the columns that `records` bring. False when nothing was to be done. */
  async evolve(records: readonly PipelineRecord[], settings: StreamSettings): Promise<boolean> {
    const before = strict(await this.schema(), settings)
    const after = await evolveFor(records, before, {
      catalog: this.#catalog,
      clock: this.#clock,
      ident: this.#ident,
      settings,
    })
    if (after === before) return false
    this.#learn(after)
    return true
  }

  /** Gives the table the columns and properties that the settings name. @throws Fault `invalid` when they contradict it */
  async adopt(settings: StreamSettings): Promise<void> {
    if (settings.columns === undefined) return
    const { metadata } = await this.writer.adopt(tableOf(settings, schemaOf(settings.columns, neededColumns(settings))))
    this.#learn(currentSchema(metadata))
  }

  async close(): Promise<void> {
    await this.feed.stop()
    await this.#kept.remove()
    await this.#refreshing
    await this.writer.close()
    this.writer.parts.session.close()
  }
}

async function schemaFor({ catalog, settings, records }: DestinationOptions): Promise<Schema> {
  const { table, columns, unknownFields } = settings
  if (columns !== undefined) return schemaOf(columns, neededColumns(settings))
  try {
    const schema = currentSchema((await catalog.load(parseIdent(table))).metadata)
    for (const field of schema.fields) transportType(field.type)
    return schema
  } catch (error) {
    if (!isFault(error, 'not-found')) throw error
    if (unknownFields === 'evolve' && records.length > 0) return schemaOfRecords(records, settings)
    throw new Fault(
      'invalid',
      `there is no table ${table}; give the stream columns, and it is made (${messageOf(error)})`,
      {},
      error,
    )
  }
}

/** The table may allow null where the stream does not: in its key, and where its own columns say so. */
function strict(schema: Schema, settings: StreamSettings): Schema {
  const needed = neededColumns(settings)
  const asked = new Set(
    schemaOf(settings.columns ?? {}, needed).fields.flatMap(({ name, required }) => (required ? [name] : [])),
  )
  for (const name of needed) asked.add(name)
  return {
    ...schema,
    fields: schema.fields.map((field) => (asked.has(field.name) ? { ...field, required: true } : field)),
  }
}
