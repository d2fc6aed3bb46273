/**
 * The whole pipeline wired: logs, the objects service, streams, one feed per table. One process owns it per state folder; the
 * logs' locks see to that.
 */
import { readdir } from 'node:fs/promises'
import { assert } from '../base/assert.ts'
import { Fault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { Slots } from '../base/slots.ts'
import { formatIdent } from '../iceberg/catalog/catalog.ts'
import type { Log } from '../log/log.ts'
import { openSegmentLog } from '../log/segments.ts'
import { DeadLetters, deadLetterTable } from '../service/deadletter/deadletter.ts'
import type { ErrorOutput } from '../service/deadletter/error-output.ts'
import { type Filled, fillAddedColumns } from '../service/objects/backfill.ts'
import type { ContentMapping } from '../service/objects/mapping.ts'
import { type AskedAgain, type ObjectsCounts, ObjectsService } from '../service/objects/objects.ts'
import { Room } from '../service/objects/sources/room.ts'
import type { ObjectSources } from '../service/objects/sources/sources.ts'
import { openVersionStore, type VersionNames, type VersionStore } from '../service/objects/version-store.ts'
import { parseStream, type Sources, Streams } from '../service/streams/streams.ts'
import { openS3Store } from '../store/s3.ts'
import type { TableFeed } from '../table/feed.ts'
import type { FeedEvent } from '../table/table.ts'
import { ensureTable } from '../table/table-setup.ts'
import { UpkeepLoop } from '../table/upkeep-loop.ts'
import type { TableWriter } from '../table/writer.ts'
import { Buckets, type OpenBucket, openExtractors } from './buckets.ts'
import { type Config, refused } from './config.ts'
import { openErrorOutput } from './error-output.ts'
import { type Home, heldHome, requireNoLoss } from './home.ts'
import { attachDirectory } from './ingest.ts'
import { KnownDirectories } from './known-directories.ts'
import { openLabels } from './labels.ts'
import { LetterExpiry } from './letter-expiry.ts'
import { openObjectSources } from './object-sources.ts'
import { objectTables } from './object-tables.ts'
import { openReader, type Reader } from './reader.ts'
import { withContent } from './reload.ts'
import { s3Connection } from './s3-connections.ts'
import { streamSecretProblems } from './secrets.ts'
import { openSources } from './sources.ts'
import { quickDamageOf, stateTrouble } from './state-trouble.ts'
import { openTableFeeds, type TableFeeds, type TablePart } from './table-feeds.ts'
import { type SentRequest, warehouseUri } from './warehouse.ts'
import { watchedObjects } from './watched.ts'

export type { AskedAgain } from '../service/objects/objects.ts'

export interface EngineOptions {
  home: Home
  config: Config
  /** Folder that relative paths in the configuration start from. */
  configDir: string
  onEvent?: (event: FeedEvent) => void
  /** What the operator should know and nothing fails by. */
  onNotice?: (text: string) => void
  onProgress?: (counts: ObjectsCounts) => void
  /** Told of every request to S3. */
  onRequest?: (request: SentRequest) => void
  /** Told of objects that are asked about again, because their store did not answer. */
  onAskedAgain?: (event: AskedAgain) => void
  /** Opens buckets of object stores in another way than by the connections of the configuration: for tests. */
  openBucket?: OpenBucket
}

export interface Engine extends Reader {
  objects: ObjectsService
  streams: Streams
  /** What brings records by itself, once it is started. */
  sources: Sources
  /** What tells of objects by itself, once it is started. */
  objectSources: ObjectSources
  versions: VersionStore
  deadLetters: DeadLetters
  buckets: Buckets
  /** Feeds by log name: journal, inventory, content, dead-letters. */
  feeds: ReadonlyMap<string, TableFeed>
  writers: ReadonlyMap<string, TableWriter>
  upkeep: UpkeepLoop
  /** The tables' logs, by the same names. */
  logs: ReadonlyMap<string, Log>
  /** What the start did for content columns that are new or have another mapping than before. */
  filled: Filled
  /** Adds the content columns of another configuration and fills them, as a start would, while everything goes on. @throws Fault */
  remap(next: Config): Promise<Filled>
  /** Follows everything until `finish` or `close`. */
  start(onFault: (fault: Fault, retryInMs: number) => void): void
  /** Ends following, then passes on and commits what was accepted. @throws Fault: then the rest stays in the logs */
  finish(): Promise<void>
  /** Passes on and commits everything accepted so far, and the labels that wait, up to the cap on calls for them. */
  drain(): Promise<void>
}

export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { home, config } = options
  const closers: (() => Promise<unknown> | unknown)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const log = async (name: string) => {
      const opened = await openSegmentLog({ dir: home.logsDir, name })
      closers.push(() => opened.close())
      return opened
    }
    await requireNoLoss(home)
    // What may be wrong with the configuration is found before anything is made.
    const lacking = streamSecretProblems(config, process.env)
    if (lacking.length > 0) throw refused('the configuration', lacking)
    const tables = objectTables(config)
    const configured = Object.entries(config.streams).map(([name, settings]) => parseStream(name, settings))
    const pool = await openExtractors(config, options.configDir, (text) => options.onNotice?.(text))
    closers.push(() => pool.close())
    // The logs first: their locks tell a second process that the home is taken, before it touches anything.
    const objectsLog = await log('objects').catch((error: unknown) => {
      throw heldHome(home, error)
    })
    const parts = new Map<string, TablePart>([
      ['journal', { log: await log('journal'), definition: tables.journal }],
      ['inventory', { log: await log('inventory'), definition: tables.inventory }],
      ['content', { log: await log('content'), definition: tables.content }],
      ['dead-letters', { log: await log('dead-letters'), definition: deadLetterTable }],
    ])
    for (const opened of [objectsLog, ...[...parts.values()].map(({ log: tableLog }) => tableLog)]) {
      const damage = await quickDamageOf(opened)
      if (damage !== null) options.onNotice?.(`${damage}; tidewater doctor tells what hangs on it, --repair mends it`)
    }
    const reader = await openReader(home, config, 'own', options.onRequest)
    closers.push(() => reader.close())
    const { clock } = reader
    const part = (name: string): TablePart => {
      const found = parts.get(name)
      assert(found !== undefined, `log ${name} is one of the table logs`)
      return found
    }
    const deadLetters = new DeadLetters(part('dead-letters').log, clock)

    // Dead letters go to their table, and as objects where streams want that: their log forgets what both have.
    let errorOutput: ErrorOutput | null = null
    let feeds: TableFeeds['feeds'] = new Map()
    const lettersPosition = () => {
      const { start } = part('dead-letters').log
      return Math.min(feeds.get('dead-letters')?.position ?? start, errorOutput?.position ?? start)
    }
    const trimLetters = () => part('dead-letters').log.trim(lettersPosition())
    const slots = { commit: new Slots(limits.commitsAtOnce) }
    const upkeep = await UpkeepLoop.open({ duck: reader.duck, clock, onEvent: (event) => options.onEvent?.(event) })
    closers.push(() => upkeep.close())
    const opened = await openTableFeeds({
      parts,
      reader,
      home,
      upkeep,
      slots,
      deadLetters,
      lingerMs: config.limits.commitLingerMs,
      onEvent: (event) => options.onEvent?.(event),
      onPassed: new Map([['dead-letters', trimLetters]]),
      onOpened: (closer) => closers.push(closer),
    })
    const { writers } = opened
    feeds = opened.feeds

    const versions = openVersionStore({ path: home.statePath('objects.db') })
    closers.push(() => versions.close())
    const trouble = stateTrouble({
      applied: versions.applied,
      start: objectsLog.start,
      end: objectsLog.end,
      journalHeld: await must(writers, 'journal').committedOffset(),
    })
    if (trouble !== null) {
      const file = home.statePath('objects.db')
      throw new Fault('corrupt', `${file} ${trouble}; run tidewater doctor --repair to mend it`, { path: file })
    }
    const directories = await KnownDirectories.open(home.stateDir)
    const labels = await openLabels(config, home, clock, (text) => options.onNotice?.(text))
    closers.push(() => labels?.close())
    const image = config.objects.labels?.type === 'rekognition' ? config.objects.labels.image : undefined
    const buckets = new Buckets({
      pool,
      directories,
      labels: labels === null ? null : { service: labels, image },
      configured: config.objects.buckets,
      notice: (text) => options.onNotice?.(text),
      open:
        options.openBucket ??
        ((bucket, connection, patienceMs) =>
          openS3Store({
            connection: s3Connection(config, connection),
            bucket,
            clock,
            ...(patienceMs !== undefined && { patienceMs }),
            ...(options.onRequest !== undefined && { onRequest: options.onRequest }),
          })),
    })
    const objects = new ObjectsService({
      objects: objectsLog,
      journal: part('journal').log,
      inventory: part('inventory').log,
      content: part('content').log,
      versions,
      deadLetters,
      clock,
      mapping: tables.mapping,
      extract: (event, kept, read) => buckets.extract(event, kept, read),
      stores: buckets,
      watches: watchedObjects(config, [warehouseUri(home, config)]),
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      ...(options.onAskedAgain === undefined ? {} : { onAskedAgain: options.onAskedAgain }),
    })

    const objectSources = openObjectSources({
      configured: config.objects.sources,
      s3: config.s3,
      configDir: options.configDir,
      stateDir: home.stateDir,
      attachDirectory: (root, bucket, told, onSkip) =>
        attachDirectory({ home, buckets, versions, clock, objects: told }, root, bucket, onSkip),
      objects,
      deadLetters,
      room: new Room({
        clock,
        dir: home.logsDir,
        waitingEvents: () => objects.accepted - objects.position,
        waitingChanges: () => [...feeds].map(([name, feed]) => [name, part(name).log.end - feed.position] as const),
      }),
      clock,
      notice: (text) => options.onNotice?.(text),
    })
    closers.push(() => objectSources.stop())

    const streams = await Streams.open({
      ...reader,
      deadLetters,
      slots,
      upkeep,
      dir: home.logsDir,
      letters: { end: () => part('dead-letters').log.end, position: lettersPosition },
      openLog: (name) => openSegmentLog({ dir: home.logsDir, name }),
      listLogs: async () =>
        (await readdir(home.logsDir, { withFileTypes: true }))
          .filter((entry) => entry.isDirectory() && !entry.name.includes('.damaged-'))
          .map(({ name }) => name),
      indexPath: (name) => home.indexPath(name),
      memoryPath: home.statePath('streams.db'),
      backlogBytesMax: config.limits.streamBacklogMiB * 1024 ** 2,
      configured,
      takenTables: new Set([...parts.values()].map(({ definition }) => formatIdent(definition.ident))),
      configDir: options.configDir,
      notice: (text) => options.onNotice?.(text),
      onEvent: (event) => options.onEvent?.(event),
    })
    closers.push(() => streams.close())
    const sources = openSources({
      configured: config.sources,
      configDir: options.configDir,
      streams,
      clock,
      duck: reader.duck,
      ledgerPath: home.statePath('files.db'),
      notice: (text) => options.onNotice?.(text),
    })
    closers.push(() => sources.close())
    streams.sources = (stream) => sources.status(stream)
    streams.onRemoved = (stream) => sources.forget(stream)
    const errors = openErrorOutput({
      home,
      configDir: options.configDir,
      streams,
      configured: new Set(Object.keys(config.streams)),
      log: part('dead-letters').log,
      clock,
      onStalled: (fault, retryInMs) => options.onNotice?.(`error output waits ${retryInMs} ms: ${fault.message}`),
      onPassed: trimLetters,
    })
    errorOutput = errors
    closers.push(() => errors.close())

    const redo = (version: VersionNames) => objects.redo(version)
    const labelling = { end: new AbortController(), run: Promise.resolve() }
    const { keepDays } = config.deadLetters
    const expiry =
      keepDays === undefined
        ? null
        : new LetterExpiry({
            reader,
            deadLetters,
            keepDays,
            commit: () => must(feeds, 'dead-letters').drain(),
            notice: (text) => options.onNotice?.(text),
          })

    const stop = async () => {
      labelling.end.abort()
      await labelling.run
      await expiry?.stop()
      await objects.stop()
      await streams.stop()
      await Promise.all([...feeds.values()].map((feed) => feed.stop()))
      await errors.stop()
    }
    const drain = async (withLabels: boolean) => {
      await objects.drain()
      if (withLabels) await labels?.settle(redo)
      // A table that cannot take its entries keeps none of the others from theirs.
      const failed: unknown[] = []
      for (const each of [streams, ...feeds.values(), errors])
        await each.drain().catch((error: unknown) => failed.push(error))
      if (failed.length > 0) throw failed[0]
      await upkeep.rest()
    }
    const fill = (mapping: ContentMapping) =>
      fillAddedColumns({
        duck: reader.duck,
        writer: must(writers, 'content'),
        feed: must(feeds, 'content'),
        log: part('content').log,
        mapping,
      })
    const filled = await fill(tables.mapping)
    return {
      ...reader,
      objects,
      streams,
      sources,
      objectSources,
      versions,
      deadLetters,
      buckets,
      feeds,
      writers,
      filled,
      upkeep,
      logs: new Map([...parts].map(([name, { log: tableLog }]) => [name, tableLog])),
      drain: () => drain(true),
      remap: async (next) => {
        const { mapping, content } = objectTables(withContent(config, next))
        let done: Filled = { rows: 0, castErrors: 0 }
        await objects.remap(mapping, async () => {
          await ensureTable(reader.catalog, content, clock)
          done = await fill(mapping)
        })
        return done
      },
      start: (onFault) => {
        objects.start(onFault)
        if (labels !== null) {
          labelling.run = labels.follow(redo, labelling.end.signal, (fault) =>
            onFault(fault, limits.labelWaitingPollMs),
          )
        }
        streams.start()
        for (const feed of feeds.values()) feed.start()
        errors.start()
        expiry?.start()
        closers.push(stop)
      },
      finish: async () => {
        await Promise.all([sources.stop(), objectSources.stop()])
        await streams.end()
        await stop()
        await drain(false)
      },
      close,
    }
  } catch (error) {
    await close().catch((second: unknown) => process.stderr.write(`while closing: ${messageOf(second)}\n`))
    throw error
  }
}

function must<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name)
  assert(value !== undefined, `${name} is wired`)
  return value
}
