/**
 * One process of a simulation: log, row index, writer, feed and upkeep of a table, on parts that fail. A process that was killed, or
 * lost its lock while it was stopped, leaves its files as they are.
 */
import { copyFile, mkdir, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { unreachable } from '../../src/base/assert.ts'
import { type Fault, isFault } from '../../src/base/fault.ts'
import { Duck, type DuckSession } from '../../src/duck/duck.ts'
import type { Catalog } from '../../src/iceberg/catalog/catalog.ts'
import { PointerCatalog } from '../../src/iceberg/catalog/pointer-catalog.ts'
import type { Rows } from '../../src/iceberg/catalog/rows.ts'
import { storeIo } from '../../src/iceberg/file/store-io.ts'
import type { Log } from '../../src/log/log.ts'
import type { LogFile } from '../../src/log/log-fs.ts'
import { openSegmentLog } from '../../src/log/segments.ts'
import type { Store } from '../../src/store/store.ts'
import type { TableBounds } from '../../src/table/bounds.ts'
import { TableFeed } from '../../src/table/feed.ts'
import type { TableDefinition } from '../../src/table/table.ts'
import { TableUpkeep } from '../../src/table/upkeep.ts'
import { TableWriter } from '../../src/table/writer.ts'
import { ioFault, type SimulatedClock, type Steps } from './faulty.ts'
import {
  FaultySession,
  faultyLogFs,
  faultyRows,
  faultyStore,
  remoteCatalog,
  type SimulatedLocks,
} from './faulty-parts.ts'
import type { Random } from './random.ts'

/** What all processes share, and what is told of them. */
export interface Surroundings {
  dir: string
  root: string
  store: Store
  rows: Rows
  steps: Steps
  clock: SimulatedClock
  random: Random
  locks: SimulatedLocks
  bounds: TableBounds
  /** A catalog that never fails, behind a network; null: each process has its own, over the shared rows. */
  remote: Catalog | null
  changedLog: (log: Log) => Log
  changedCatalog: (catalog: Catalog) => Catalog
  /** Told of the log when it is open, of where the table stands in it, and of entries passed over. */
  onLog: (log: Log) => Promise<void>
  onPosition: (actor: number, position: number) => void
  onPoison: (text: string, reason: Fault) => void
  onList: (prefix: string) => Promise<void>
}

/** What is left of the row index of a process that is gone. */
export type IndexLeft = 'as it was' | 'gone' | 'old' | 'torn'

export class SimulatedProcess {
  readonly #around: Surroundings
  readonly actor: number
  /** Of its upkeep. */
  readonly keeper: number
  readonly indexPath: string
  readonly #opened = new Set<LogFile>()
  readonly #sessions: DuckSession[] = []
  /** Nobody else in the process may change the table now. */
  busy = false
  duck!: Duck
  log!: Log
  writer!: TableWriter
  feed!: TableFeed
  upkeep!: TableUpkeep

  constructor(around: Surroundings) {
    this.#around = around
    this.actor = around.steps.begin()
    this.keeper = around.steps.beside(this.actor, () => !this.busy)
    this.indexPath = join(around.dir, `index-${this.actor}.duckdb`)
  }

  async start(definition: TableDefinition): Promise<void> {
    const { steps, random, dir, root, store, clock, locks } = this.#around
    const life = this.actor
    await this.#takeIndex()
    await mkdir(join(dir, 'logs'), { recursive: true })
    this.duck = await Duck.open({ memoryMiB: 256, threads: 1 })
    const fs = faultyLogFs({ steps, life, random, locks, opened: this.#opened })
    const log = await openSegmentLog({ dir: join(dir, 'logs'), name: 'changes', fs, segmentBytesMax: 4_000 })
    this.log = this.#around.changedLog(log)
    await this.#around.onLog(this.log)
    const scratchDir = join(dir, 'scratch')
    const faulty = (actor: number) =>
      storeIo(faultyStore(store, steps, actor, this.#around.onList), { root, scratchDir })
    const io = faulty(life)
    const catalog = this.#catalog(life)
    const session = await this.#session(life)
    const options = { definition, indexPath: this.indexPath, logName: 'changes', bounds: this.#around.bounds }
    this.writer = await TableWriter.open({ catalog, io, session, clock }, options)
    this.#watchTurns()
    this.feed = await TableFeed.open({
      writer: this.writer,
      log: this.log,
      clock,
      onEvent: (event) => {
        steps.note(event.kind)
        if (event.kind === 'unchanged') this.#around.onPosition(life, event.end)
      },
      onPoison: async (text, reason) => {
        this.#around.onPoison(text, reason)
        // Making it durable elsewhere is a step too.
        await steps.perform(life, { name: 'dead letter', fails: ioFault('dead letters'), log: true }, async () => {})
      },
    })
    this.#around.onPosition(life, this.feed.position)
    const { writer, keeper } = this
    const parts = { clock, io: faulty(keeper), catalog: this.#catalog(keeper) }
    const kept = {
      name: writer.name,
      bounds: writer.bounds,
      indexContext: writer.indexContext,
      logName: writer.logName,
      parts,
      load: () => parts.catalog.load(definition.ident),
      exclusively: <T>(work: () => Promise<T>) => writer.exclusively(work),
      wasOvertaken: writer.wasOvertaken.bind(writer),
    }
    this.upkeep = new TableUpkeep(kept, await this.#session(keeper))
  }

  #catalog(actor: number): Catalog {
    const { remote, steps, clock, rows, store, root, dir, changedCatalog } = this.#around
    if (remote !== null) return changedCatalog(remoteCatalog(remote, steps, actor))
    const io = storeIo(
      faultyStore(store, steps, actor, async () => {}),
      { root, scratchDir: join(dir, 'scratch') },
    )
    const parts = { name: 'simulated', warehouse: root, io, clock, rows: faultyRows(rows, steps, actor) }
    return changedCatalog(new PointerCatalog({ ...parts, metadataGraceMs: undefined }))
  }

  async #session(actor: number): Promise<DuckSession> {
    const session = await this.duck.connect()
    this.#sessions.push(session)
    return new FaultySession(session, this.#around.steps, actor)
  }

  #watchTurns(): void {
    const { writer } = this
    const exclusively = writer.exclusively.bind(writer)
    writer.exclusively = <T>(work: () => Promise<T>) =>
      exclusively(async () => {
        this.busy = true
        try {
          return await work()
        } finally {
          this.busy = false
        }
      })
  }

  /** Ends as told. */
  async stop(): Promise<void> {
    await this.writer.close()
    await this.log.close()
  }

  /** Of the process before it. */
  async #takeIndex(): Promise<void> {
    await copied(this.#homeIndex, this.indexPath)
    await copied(`${this.#homeIndex}.wal`, `${this.indexPath}.wal`)
    await copied(this.indexPath, `${this.indexPath}.old`)
  }

  get #homeIndex(): string {
    return join(this.#around.dir, 'index.duckdb')
  }

  /** Leaves its index, as it is, to the next process. */
  async leaveIndex(left: IndexLeft = 'as it was', random?: Random): Promise<void> {
    const home = this.#homeIndex
    await rm(home, { force: true })
    await rm(`${home}.wal`, { force: true })
    switch (left) {
      case 'gone':
        return
      case 'old':
        await copied(`${this.indexPath}.old`, home)
        return
      case 'as it was':
      case 'torn':
        await copied(this.indexPath, home)
        if ((await copied(`${this.indexPath}.wal`, `${home}.wal`)) && random !== undefined && left === 'torn')
          await truncate(`${home}.wal`, Math.floor(random.next() * (await stat(`${home}.wal`)).size))
        return
      default:
        unreachable(left)
    }
  }

  /** Ends without a word. @param random of what is left of its index; null: nobody comes after it */
  async fall(left: IndexLeft, random: Random | null): Promise<void> {
    const { steps, locks } = this.#around
    steps.kill(this.actor)
    await steps.settled(this.actor)
    await steps.settled(this.keeper)
    locks.free(this.actor)
    for (const file of this.#opened) await file.close()
    this.#opened.clear()
    // Closing the instance tidies the index file up: what a kill leaves is taken aside before.
    if (random !== null) await this.leaveIndex(left, random)
    // A connection left open would keep the instance, and its files, until the next collection of garbage.
    for (const session of this.#sessions) session.close()
    this.duck?.close()
  }

  /** A look into its index, past its own connections. */
  async looking<T>(work: (session: DuckSession) => Promise<T>): Promise<T> {
    const session = await this.duck.connect()
    try {
      return await work(session)
    } finally {
      session.close()
    }
  }
}

/** False when there is no such file. */
async function copied(from: string, to: string): Promise<boolean> {
  const there = await stat(from).catch(() => null)
  if (there === null) return false
  await copyFile(from, to)
  return true
}

/** How work ended: with an error, or well. */
export type Ended = { error: unknown } | 'well'

/** What may come of any step. */
export function mayPass(error: unknown): boolean {
  return isFault(error, 'unavailable') || isFault(error, 'commit-unknown') || isFault(error, 'conflict')
}

/** Never rejects. */
export function ended(work: Promise<unknown>): Promise<Ended> {
  return work.then(
    () => 'well' as const,
    (error: unknown) => ({ error }),
  )
}
