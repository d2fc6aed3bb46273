/**
 * One run of the path from log to committed, readable snapshot, driven by one seed: processes that are started, work, and are
 * killed or stopped, on parts that fail, with somebody else working on the table.
 */
import assert from 'node:assert/strict'
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Fault, isFault } from '../../src/base/fault.ts'
import { limits } from '../../src/base/limits.ts'
import { tableChangeText } from '../../src/change/table-change.ts'
import { Duck, type DuckSession } from '../../src/duck/duck.ts'
import type { Catalog, TableIdent } from '../../src/iceberg/catalog/catalog.ts'
import { PointerCatalog } from '../../src/iceberg/catalog/pointer-catalog.ts'
import type { FileIO } from '../../src/iceberg/file/file.ts'
import { storeIo } from '../../src/iceberg/file/store-io.ts'
import type { Schema } from '../../src/iceberg/spec/table-metadata.ts'
import { parseSpecText } from '../../src/iceberg/spec/term-text.ts'
import type { Log } from '../../src/log/log.ts'
import type { LogFile } from '../../src/log/log-fs.ts'
import { openSegmentLog } from '../../src/log/segments.ts'
import { openMemoryStore } from '../../src/store/memory.ts'
import { TABLE_BOUNDS, type TableBounds } from '../../src/table/bounds.ts'
import { TableFeed } from '../../src/table/feed.ts'
import { catchUp } from '../../src/table/index-upkeep.ts'
import { removeOrphans } from '../../src/table/orphans.ts'
import type { TableDefinition, WriteMode } from '../../src/table/table.ts'
import { TableWriter } from '../../src/table/writer.ts'
import { upkeep } from '../support/table-bench.ts'
import { asText, type Entry, Model, type Row } from './commit-model.ts'
import { Referee } from './commit-referee.ts'
import { ioFault, Killed, NO_ODDS, type Odds, SimulatedClock, Steps, seededRandomness } from './faulty.ts'
import { FaultySession, faultyLogFs, faultyRows, faultyStore, SharedRows } from './faulty-parts.ts'
import { Outsider } from './outsider.ts'
import { Random } from './random.ts'

const ROOT = 'memory://lake'
const IDENT = { namespace: ['default'], name: 'simulated' }

const SCHEMA: Schema = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 1, name: 'k', required: true, type: 'string' },
    { id: 2, name: 'n', required: false, type: 'long' },
    { id: 3, name: 'part', required: false, type: 'string' },
  ],
}
const EVOLVED: Schema = { ...SCHEMA, fields: [...SCHEMA.fields, { id: 4, name: 'x', required: false, type: 'string' }] }

/** A part made wrong on purpose, to see that it is found out. */
export interface Sabotage {
  catalog?: (catalog: Catalog) => Catalog
  /** Called between two actions of a process. */
  between?: (world: World) => Promise<void>
  log?: (log: Log) => Log
}

/** The table as seen by parts that never fail, and the writer. */
export interface World {
  io: FileIO
  catalog: Catalog
  ident: TableIdent
  session: DuckSession
  writer: TableWriter
}

export interface RunOptions {
  seed: number
  sabotage?: Sabotage
}

export interface RunReport {
  snapshots: number
  lives: number
  steps: Steps['counts']
  /** Files that nothing reached in the end, before the last removal. */
  orphans: number
  upkeep: Map<string, number>
  outside: Map<string, number>
}

/** @throws whatever the checker, or the code under test, found wrong */
export async function runSimulation(options: RunOptions): Promise<RunReport> {
  const restore = seededRandomness(new Random(options.seed ^ 0x5eed))
  const dir = await mkdtemp(join(tmpdir(), 'tidewater-simulate-'))
  const run = new Run(options, dir)
  try {
    return await run.whole()
  } catch (error) {
    if (process.env['TIDEWATER_TRACE']) process.stderr.write(`${run.steps.trace.join('\n')}\n`)
    throw error
  } finally {
    await run.close()
    restore()
    await rm(dir, { recursive: true, force: true })
  }
}

interface Life {
  duck: Duck
  log: Log
  writer: TableWriter
  feed: TableFeed
  catalog: Catalog
}

class Run {
  readonly #options: RunOptions
  readonly #dir: string
  readonly #random: Random
  readonly #clock = new SimulatedClock()
  readonly #model: Model
  readonly #odds: Odds
  readonly #bounds: TableBounds
  readonly #partitioned: boolean
  readonly steps: Steps
  readonly #store = openMemoryStore({ name: ROOT, clock: this.#clock })
  readonly #rows = new SharedRows((location) => this.#referee?.seeMetadata(location) ?? Promise.resolve())
  readonly #openFiles = new Set<LogFile>()
  readonly #upkeep = new Map<string, number>()
  #referee: Referee | null = null
  #outsider: Outsider | null = null
  #calm: Duck | null = null
  #life: Life | null = null
  #evolved = false
  #lives = 0
  #number = 0

  constructor(options: RunOptions, dir: string) {
    this.#options = options
    this.#dir = dir
    const random = new Random(options.seed)
    this.#random = random
    this.#model = new Model(random.pick<WriteMode>(['upsert', 'upsert', 'upsert', 'insert-once', 'append']))
    this.#partitioned = random.chance(0.4)
    this.#odds = {
      fail: random.pick([0, 0, 0.01, 0.03]),
      lose: random.pick([0, 0.01, 0.08]),
      stall: random.pick([0, 0.01]),
      kill: random.pick([0, 0.005, 0.02]),
      outside: random.pick([0, 0.01, 0.04]),
    }
    this.#bounds = {
      ...TABLE_BOUNDS,
      filesPerStep: 2 + random.below(3),
      // Where data files are full from the start and never worn, it is delete files that are merged.
      ...random.pick([{ deadShare: 0.3 }, { deadShare: 0.6 }, { deadShare: 2, targetBytes: 1 }]),
      manifestsMergeCount: 1 + random.below(4),
      snapshotsKeptMax: 3 + random.below(6),
      orphanIntervalMs: 10 * 60_000,
    }
    this.steps = new Steps(random, this.#clock, () => this.#outside())
  }

  async whole(): Promise<RunReport> {
    const random = this.#random
    this.#calm = await Duck.open({ memoryMiB: 256, threads: 1 })
    const calm = this.#calm
    const io = () => this.#calmIo()
    this.#referee = new Referee(this.#model, await calm.connect(), io)
    const referee = this.#referee
    this.#outsider = new Outsider({
      catalog: this.#calmCatalog(),
      io: io(),
      session: await calm.connect(),
      clock: this.#clock,
      random,
      ident: IDENT,
      expect: (effect) => {
        referee.effect = effect
      },
    })
    this.steps.note(`${JSON.stringify({ mode: this.#model.mode, partitioned: this.#partitioned, odds: this.#odds })}`)
    for (let life = 3 + random.below(6); life > 0; life--) await this.#oneLife()
    return this.#end()
  }

  async close(): Promise<void> {
    await this.#fall()
    this.#calm?.close()
    await this.#store.close()
  }

  /** Without a cache: what is gone is gone. */
  #calmIo(): FileIO {
    return storeIo(this.#store, { root: ROOT, scratchDir: join(this.#dir, 'calm'), cacheBytes: 0 })
  }

  #calmCatalog(): Catalog {
    const io = this.#calmIo()
    const rows = this.#rows
    return new PointerCatalog({
      name: 'calm',
      warehouse: ROOT,
      io,
      clock: this.#clock,
      rows,
      metadataGraceMs: undefined,
    })
  }

  async #outside(): Promise<void> {
    if (this.#outsider === null) return
    this.steps.note(`outside: ${await this.#outsider.act()}`)
  }

  async #oneLife(): Promise<void> {
    const random = this.#random
    this.#lives++
    // Most starts are calm: a process that never gets to work shows little.
    const calmStart = random.chance(0.7)
    this.steps.odds = calmStart ? NO_ODDS : this.#odds
    if (random.chance(0.1)) await this.#loseIndex()
    if (random.chance(0.2)) this.#evolved = true
    try {
      const life = await this.#open()
      this.steps.odds = this.#odds
      for (let actions = 6 + random.below(20); actions > 0; actions--) {
        await this.#act(life)
        await this.#check(life)
        await this.#sabotage(life)
      }
      if (random.chance(0.5)) await this.#stop(life)
    } catch (error) {
      if (this.#referee?.failure) throw this.#referee.failure
      // A start may fail as any step may. The rest of the errors is not to be expected.
      if (!(error instanceof Killed) && !this.#mayPass(error)) throw error
    }
    await this.#fall()
  }

  async #sabotage({ duck, writer }: Life): Promise<void> {
    const between = this.#options.sabotage?.between
    if (between === undefined) return
    const session = await duck.connect()
    await between({ io: this.#calmIo(), catalog: this.#calmCatalog(), ident: IDENT, session, writer })
    session.close()
  }

  #mayPass(error: unknown): boolean {
    return isFault(error, 'unavailable') || isFault(error, 'commit-unknown') || isFault(error, 'conflict')
  }

  async #open(): Promise<Life> {
    const { steps } = this
    steps.begin()
    steps.note(`life ${steps.life}`)
    await mkdir(join(this.#dir, 'logs'), { recursive: true })
    const duck = await Duck.open({ memoryMiB: 256, threads: 1 })
    const opened: Partial<Life> & { duck: Duck } = { duck }
    this.#life = opened as Life
    const fs = faultyLogFs(steps, this.#random, this.#openFiles)
    const log = await openSegmentLog({ dir: join(this.#dir, 'logs'), name: 'changes', fs, segmentBytesMax: 4_000 })
    opened.log = this.#options.sabotage?.log?.(log) ?? log
    await this.#seeLog(log)
    const io = storeIo(faultyStore(this.#store, steps), { root: ROOT, scratchDir: join(this.#dir, 'scratch') })
    const rows = faultyRows(this.#rows, steps)
    const catalog = new PointerCatalog({
      name: 'simulated',
      warehouse: ROOT,
      io,
      clock: this.#clock,
      rows,
      metadataGraceMs: undefined,
    })
    opened.catalog = this.#options.sabotage?.catalog?.(catalog) ?? catalog
    const session = new FaultySession(await duck.connect(), steps)
    const writer = await TableWriter.open(
      { catalog: opened.catalog, io, session, clock: this.#clock },
      { definition: this.#definition(), indexPath: this.#indexPath, logName: 'changes', bounds: this.#bounds },
    )
    opened.writer = writer
    opened.feed = await TableFeed.open({
      writer,
      log: opened.log,
      clock: this.#clock,
      onEvent: (event) => {
        steps.note(event.kind)
        if (event.kind === 'unchanged') this.#model.position = event.end
      },
      onPoison: async (text, reason) => {
        const { offset } = JSON.parse(text) as { offset: number }
        assert.ok(
          this.#model.entries[offset]?.bad,
          `entry ${offset} fits the table, and was refused: ${reason.message}`,
        )
        // Making it durable elsewhere is a step too.
        await steps.perform(steps.life, { name: 'dead letter', fails: ioFault('dead letters') }, async () => {})
      },
    })
    this.#model.position = opened.feed.position
    assert.ok(opened.feed.position >= this.#model.consumed, 'entries that were committed would be taken again')
    return opened as Life
  }

  #definition(): TableDefinition {
    const { mode } = this.#model
    return {
      ident: IDENT,
      schema: this.#evolved ? EVOLVED : SCHEMA,
      key: mode === 'append' ? [] : ['k'],
      mode,
      ...(this.#partitioned ? { spec: parseSpecText('part', SCHEMA) } : {}),
    }
  }

  get #indexPath(): string {
    return join(this.#dir, 'index.duckdb')
  }

  async #act(life: Life): Promise<void> {
    const random = this.#random
    const choice = random.next()
    try {
      if (choice < 0.4) await this.#append(life.log)
      else if (choice < 0.8) {
        await life.feed.drain()
        await this.#keep(life.writer)
      } else if (choice < 0.95) this.#clock.now += random.below(3 * 3_600_000)
      else await this.#outside()
    } catch (error) {
      if (this.#referee?.failure) throw this.#referee.failure
      if (!this.#mayPass(error)) throw error
    }
  }

  async #keep(writer: TableWriter): Promise<void> {
    for (const what of await upkeep(writer)) {
      this.steps.note(what)
      const kind = what.replaceAll(/\d+/g, 'N')
      this.#upkeep.set(kind, (this.#upkeep.get(kind) ?? 0) + 1)
    }
  }

  async #append(log: Log): Promise<void> {
    const random = this.#random
    const batch = Array.from({ length: 1 + random.below(6) }, (): Entry => {
      const row: Row = { k: `k${random.below(12)}`, n: ++this.#number, part: random.pick(['p', 'q', null]), x: null }
      if (this.#evolved && random.chance(0.7)) row.x = `x${this.#number}`
      return { op: random.chance(0.25) ? 'delete' : 'upsert', row, bad: random.chance(0.005) }
    })
    const texts = batch.map(({ op, row, bad }) => {
      const { x, ...rest } = row
      const written = { ...rest, ...(x === null ? {} : { x }), ...(bad ? { n: 'no number' } : {}) }
      return tableChangeText({ input: 0, op, row: written })
    })
    this.steps.note(`append ${texts.join(' ')}`)
    const first = await log.append(texts)
    assert.equal(first, this.#model.entries.length, 'an append continues the log')
    this.#model.entries.push(...batch)
    this.#model.acknowledged = this.#model.entries.length
  }

  /** After a start: what was acknowledged is there, perhaps followed by what was not. */
  async #seeLog(log: Log): Promise<void> {
    const { entries, acknowledged } = this.#model
    assert.ok(
      log.end >= acknowledged,
      `the log ends at ${log.end}, and entries up to ${acknowledged} were acknowledged`,
    )
    const { odds } = this.steps
    this.steps.odds = NO_ODDS
    for (let at = entries.length; at < log.end; at = entries.length) {
      for (const { text } of await log.read(at, 100)) {
        const { op, row } = JSON.parse(text) as { op: 'upsert' | 'delete'; row: Partial<Row> }
        const { k = '', n = null, part = null, x = null } = row
        entries.push({ op, row: { k, n, part, x }, bad: typeof n === 'string' })
      }
    }
    this.#model.acknowledged = entries.length
    this.steps.odds = odds
  }

  async #check(life: Life): Promise<void> {
    if (this.#referee?.failure) throw this.#referee.failure
    const context = life.writer.indexContext
    if (context === null) return
    const session = await life.duck.connect()
    await this.#referee?.checkIndex({ ...context, session }, await this.#calmCatalog().load(IDENT))
    session.close()
  }

  async #stop(life: Life): Promise<void> {
    await life.writer.close()
    await life.log.close()
  }

  /** The process ends without a word: its files stay as they are. */
  async #fall(): Promise<void> {
    const life = this.#life
    this.#life = null
    if (life === null) return
    this.steps.kill()
    await this.steps.settled()
    for (const file of this.#openFiles) await file.close()
    this.#openFiles.clear()
    // Closing the instance tidies the index file up: what a kill leaves is taken aside before.
    const files = [this.#indexPath, `${this.#indexPath}.wal`]
    const kept: string[] = []
    for (const file of files) if (await copied(file, `${file}.kept`)) kept.push(file)
    life.duck.close()
    for (const file of files) await rm(file, { force: true })
    for (const file of kept) await copyFile(`${file}.kept`, file)
    for (const file of kept) await rm(`${file}.kept`)
  }

  async #loseIndex(): Promise<void> {
    await rm(this.#indexPath, { force: true })
    await rm(`${this.#indexPath}.wal`, { force: true })
  }

  /** After a grace nothing is left but what is reached. */
  async #orphans(writer: TableWriter): Promise<number> {
    this.#clock.now += 2 * limits.orphanGraceMs
    const { io } = writer.parts
    const removed = await removeOrphans({ io, load: () => writer.load(), nowMs: this.#clock.nowMs() })
    const table = await writer.load()
    const reached = await this.#referee!.checkFiles(table.metadata)
    reached.add(table.metadataLocation)
    for await (const { location } of io.list(table.metadata.location))
      assert.ok(reached.has(location), `${location} is left over`)
    await this.#referee!.checkAll(table)
    return removed.length
  }

  /** Peace: all is committed, everything agrees, nothing is left over. */
  async #end(): Promise<RunReport> {
    const referee = this.#referee!
    Object.assign(this.#odds, NO_ODDS)
    const life = await this.#open()
    await life.feed.drain()
    const table = await life.writer.load()
    const current = this.#model.rowsAt(table.metadata['current-snapshot-id'] ?? null)
    const rest = this.#model.entries.slice(Math.max(this.#model.consumed, this.#model.position))
    assert.deepEqual(asText(this.#model.applied(current, rest)), asText(current), 'entries of the log are lost')
    assert.equal(life.feed.position, life.log.end)
    await referee.checkAll(table)
    if (life.writer.indexContext !== null) {
      await catchUp(life.writer.indexContext, table)
      assert.equal(life.writer.indexContext.index.snapshotId, table.metadata['current-snapshot-id'] ?? null)
      await this.#check(life)
    }
    const orphans = await this.#orphans(life.writer)
    await this.#stop(life)
    return {
      orphans,
      snapshots: this.#model.snapshots,
      lives: this.#lives,
      steps: this.steps.counts,
      upkeep: this.#upkeep,
      outside: this.#outsider!.counts,
    }
  }
}

async function copied(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to)
    return true
  } catch (error) {
    if (error instanceof Fault) throw error
    return false
  }
}
