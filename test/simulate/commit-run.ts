/**
 * One run of the path from log to committed, readable snapshot, driven by one seed: processes that are started, work, and are
 * killed, stopped for a while or ended, on parts that fail, with somebody else working on the table.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Fault, isFault } from '../../src/base/fault.ts'
import { tableChangeText } from '../../src/change/table-change.ts'
import { Duck, type DuckSession } from '../../src/duck/duck.ts'
import type { Catalog, TableIdent } from '../../src/iceberg/catalog/catalog.ts'
import { PointerCatalog } from '../../src/iceberg/catalog/pointer-catalog.ts'
import type { FileIO } from '../../src/iceberg/file/file.ts'
import { storeIo } from '../../src/iceberg/file/store-io.ts'
import { parseSpecText } from '../../src/iceberg/spec/term-text.ts'
import type { Log } from '../../src/log/log.ts'
import { openMemoryStore } from '../../src/store/memory.ts'
import { TABLE_BOUNDS, type TableBounds } from '../../src/table/bounds.ts'
import { catchUp } from '../../src/table/index-upkeep.ts'
import { removeOrphans } from '../../src/table/orphans.ts'
import type { TableDefinition, WriteMode } from '../../src/table/table.ts'
import type { TableWriter } from '../../src/table/writer.ts'
import { asText, type Entry, Model, type Row } from './commit-model.ts'
import { type Ended, ended, type IndexLeft, mayPass, SimulatedProcess, type Surroundings } from './commit-process.ts'
import { Referee } from './commit-referee.ts'
import {
  drawBounds,
  drawOdds,
  EVOLVED,
  GRACE_MS,
  IDENT,
  LAST_MOMENT_MS,
  LATEST_MS,
  ROOT,
  SCHEMA,
  SLACK_MS,
} from './commit-setting.ts'
import { Killed, NO_ODDS, type Odds, SimulatedClock, Steps, seededRandomness } from './faulty.ts'
import { SharedRows, SimulatedLocks } from './faulty-parts.ts'
import { Outsider } from './outsider.ts'
import { Random } from './random.ts'

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
  /** How often each kind of thing happened. */
  seen: Map<string, number>
  outside: Map<string, number>
  trace: readonly string[]
}

/** @throws whatever the checker, or the code under test, found wrong */
export async function runSimulation(options: RunOptions): Promise<RunReport> {
  const restore = seededRandomness(new Random(options.seed ^ 0x5eed))
  const dir = await mkdtemp(join(tmpdir(), 'tidewater-simulate-'))
  const run = new Run(options, dir)
  try {
    return await run.whole()
  } catch (error) {
    if (process.env['TIDEWATER_TRACE']) process.stderr.write(`${run.steps.trace.slice(-400).join('\n')}\n`)
    throw error
  } finally {
    await run.close()
    restore()
    await rm(dir, { recursive: true, force: true })
  }
}

/** A process that was stopped in the middle of its work, while another took over. */
interface Zombie {
  process: SimulatedProcess
  work: Promise<Ended>
  sinceMs: number
  /** It has lost the lock of its log. */
  fenced: boolean
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
  readonly #remote: boolean
  readonly steps: Steps
  readonly #store = openMemoryStore({ name: ROOT, clock: this.#clock })
  readonly #rows = new SharedRows((location) => this.#seeSwap(location))
  readonly #locks = new SimulatedLocks()
  readonly #positions = new Map<number, number>()
  /** What each process does, and whether its swap has taken effect. */
  readonly #phases = new Map<number, string>()
  readonly #swapped = new Set<number>()
  #acting = 0
  #referee: Referee | null = null
  #outsider: Outsider | null = null
  #calm: Duck | null = null
  #process: SimulatedProcess | null = null
  #zombie: Zombie | null = null
  /** Files that the removal of orphans has to find, when it has listed the table. */
  #overdue: string[] = []
  /** An outsider waits for the removal of orphans to list files. */
  #lastMoment = false
  #outsideActs = 0
  /** What had happened when all was checked last. */
  #checked = ''
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
    this.#remote = random.chance(0.4)
    this.#odds = drawOdds(random)
    this.#bounds = drawBounds(random)
    const around = {
      outside: (life: number) => this.#outside(life),
      acts: (life: number) => this.#acts(life),
      phase: (life: number) => this.#phaseOf(life),
    }
    this.steps = new Steps(random, this.#clock, around, dir)
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
      failureChance: random.pick([0, 0.02, 0.1]),
      slowestMs: GRACE_MS,
    })
    const { mode } = this.#model
    this.steps.note(JSON.stringify({ mode, partitioned: this.#partitioned, remote: this.#remote, odds: this.#odds }))
    for (let life = 4 + random.below(4); life > 0; life--) await this.#oneLife()
    return this.#end()
  }

  async close(): Promise<void> {
    await this.#buryZombie()
    await this.#fall()
    this.#calm?.close()
    await this.#store.close()
  }

  /** Without a cache: what is gone is gone. */
  #calmIo(): FileIO {
    return storeIo(this.#store, { root: ROOT, scratchDir: join(this.#dir, 'calm'), cacheBytes: 0 })
  }

  #calmCatalog(): Catalog {
    const parts = { name: 'calm', warehouse: ROOT, io: this.#calmIo(), clock: this.#clock, rows: this.#rows }
    return new PointerCatalog({ ...parts, metadataGraceMs: undefined })
  }

  async #seeSwap(location: string): Promise<void> {
    this.#swapped.add(this.#acting)
    await this.#referee?.seeMetadata(location)
  }

  /** What the model applies with a snapshot depends on where the process that makes it stands in the log. */
  #acts(life: number): void {
    this.#acting = life
    const position = this.#positions.get(life)
    if (position !== undefined) this.#model.position = position
  }

  #phaseOf(life: number): string {
    const phase = this.#phases.get(life) ?? 'start'
    if (phase !== 'commit' && phase !== 'upkeep') return phase
    return `${phase}, ${this.#swapped.has(life) ? 'after' : 'before'} its swap`
  }

  #begin(life: number, phase: string): void {
    this.#phases.set(life, phase)
    this.#swapped.delete(life)
  }

  /** Somebody else's turn: another engine, a request of the dead, a process that was stopped. */
  async #outside(life: number): Promise<void> {
    if (this.#outsider === null) return
    const acting = this.#acting
    this.#outsideActs++
    const zombie = this.#zombie
    if (zombie !== null && zombie.process.actor !== life && zombie.process.keeper !== life && this.#random.chance(0.5))
      await this.#wakeZombie(1 + this.#random.below(30))
    else if (this.steps.late.length > 0 && this.#random.chance(0.5)) await this.#lateRequest()
    else {
      this.#acting = 0
      this.steps.note(`outside: ${await this.#outsider.act()}`)
    }
    this.#acts(acting)
  }

  async #lateRequest(): Promise<void> {
    const request = this.steps.late.shift()!
    if (this.#clock.now - request.sentMs > LATEST_MS) return
    this.steps.note(`late: ${request.name} of process ${request.life}`)
    this.#acts(request.life)
    const result = await request.arrive().catch((error: unknown) => {
      if (!isFault(error)) throw error
      return false
    })
    this.steps.count(result === false ? 'late request: refused' : 'late request: took effect')
  }

  async #oneLife(): Promise<void> {
    const random = this.#random
    this.#lives++
    // Most starts are calm: a process that never gets to work shows little.
    const calmStart = random.chance(0.7)
    this.steps.odds = calmStart ? NO_ODDS : this.#odds
    if (random.chance(0.2)) this.#evolved = true
    try {
      const process = await this.#open()
      this.steps.odds = this.#odds
      for (let actions = 10 + random.below(20); actions > 0; actions--) {
        await this.#act(process)
        await this.#check(process)
        await this.#sabotage(process)
        if (this.#zombie?.process === process) return
      }
      this.#begin(process.actor, 'stop')
      if (random.chance(0.5)) await process.stop()
    } catch (error) {
      if (this.#referee?.failure) throw this.#referee.failure
      // A start may fail as any step may. The rest of the errors is not to be expected.
      if (!(error instanceof Killed) && !mayPass(error)) throw error
    }
    await this.#fall()
  }

  async #sabotage({ duck, writer }: SimulatedProcess): Promise<void> {
    const between = this.#options.sabotage?.between
    if (between === undefined) return
    const session = await duck.connect()
    await between({ io: this.#calmIo(), catalog: this.#calmCatalog(), ident: IDENT, session, writer })
    session.close()
  }

  /** Starts a process; where another is stopped, it is refused first, and takes over when that one has lost its lock. */
  async #open(): Promise<SimulatedProcess> {
    const around = this.#surroundings()
    const zombie = this.#zombie?.process
    const locked = zombie !== undefined && !this.#zombie!.fenced
    if (locked) {
      const { odds } = this.steps
      this.steps.odds = NO_ODDS
      this.#process = new SimulatedProcess(around)
      await assert.rejects(this.#process.start(this.#definition()), (error) => isFault(error, 'conflict'))
      this.steps.count('second process: refused')
      await this.#process.fall('gone', null)
      this.steps.odds = odds
      this.#locks.free(zombie.actor)
      this.steps.fence(zombie.actor)
      this.#zombie!.fenced = true
    }
    const process = new SimulatedProcess(around)
    this.#process = process
    this.steps.note(`process ${process.actor}`)
    this.#begin(process.actor, 'start')
    this.#begin(process.keeper, 'upkeep')
    const { consumed } = this.#model
    await process.start(this.#definition())
    assert.ok(process.feed.position >= consumed, 'entries that were committed would be taken again')
    if (locked) this.steps.count('second process: took over')
    return process
  }

  #surroundings(): Surroundings {
    const { sabotage } = this.#options
    return {
      dir: this.#dir,
      root: ROOT,
      store: this.#store,
      rows: this.#rows,
      steps: this.steps,
      clock: this.#clock,
      random: this.#random,
      locks: this.#locks,
      bounds: this.#bounds,
      remote: this.#remote ? this.#calmCatalog() : null,
      changedLog: (log) => sabotage?.log?.(log) ?? log,
      changedCatalog: (catalog) => sabotage?.catalog?.(catalog) ?? catalog,
      onLog: (log) => this.#seeLog(log),
      onPosition: (actor, position) => this.#positions.set(actor, position),
      onPoison: (text, reason) => this.#poison(text, reason),
      onList: (prefix) => this.#beforeList(prefix),
    }
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

  #poison(text: string, reason: Fault): void {
    const { offset } = JSON.parse(text) as { offset: number }
    assert.ok(this.#model.entries[offset]?.bad, `entry ${offset} fits the table, and was refused: ${reason.message}`)
  }

  async #act(process: SimulatedProcess): Promise<void> {
    const random = this.#random
    const choice = random.next()
    if (this.#zombie !== null && this.#clock.now - this.#zombie.sinceMs > LATEST_MS) await this.#buryZombie()
    try {
      if (choice < 0.3) await this.#append(process)
      else if (choice < 0.45) {
        await this.#drain(process)
        await this.#keep(process)
      } else if (choice < 0.6) await this.#drainBesideUpkeep(process)
      else if (choice < 0.65) await this.#stopInTheMiddle(process)
      else if (choice < 0.72) await this.#commitAtLastMoment(process)
      else if (choice < 0.9) this.#clock.now += random.below(GRACE_MS / 3)
      else await this.#outside(0)
    } catch (error) {
      if (this.#referee?.failure) throw this.#referee.failure
      if (!mayPass(error)) throw error
      if (isFault(error, 'commit-unknown')) this.steps.count('commit-unknown to the end')
    }
  }

  async #drain(process: SimulatedProcess): Promise<void> {
    this.#begin(process.actor, 'commit')
    await process.feed.drain()
  }

  async #keep(process: SimulatedProcess): Promise<void> {
    this.#begin(process.actor, 'upkeep, its index')
    this.#begin(process.keeper, 'upkeep')
    this.#overdue = []
    const acts = this.#outsideActs
    const drains = this.#positions.get(process.actor)
    for (const what of await process.upkeep.turn()) {
      this.steps.note(what)
      const kind = what.replaceAll(/\d+/g, 'N')
      const byAge = this.#bounds.snapshotsKeptMax === TABLE_BOUNDS.snapshotsKeptMax
      this.steps.count(`upkeep: ${/^expired/.test(what) && byAge ? 'expired by age' : kind}`)
    }
    // What others do meanwhile may keep it from finding them.
    if (this.#outsideActs !== acts || this.#positions.get(process.actor) !== drains) return
    const left = await this.#leftOver()
    assert.deepEqual(
      this.#overdue.filter((file) => left.includes(file)),
      [],
      'orphans outlive their grace',
    )
  }

  async #leftOver(): Promise<string[]> {
    const table = await this.#calmCatalog().load(IDENT)
    return this.#referee!.leftOver(table, this.#clock.now - GRACE_MS - SLACK_MS)
  }

  async #beforeList(prefix: string): Promise<void> {
    if (!prefix.endsWith('/data/')) return
    if (this.#lastMoment) {
      this.steps.note(`outside: ${await this.#outsider!.finishFirst()}`)
    }
    this.#overdue = await this.#leftOver()
  }

  /** Upkeep is stopped now and then, and commits go on meanwhile. */
  async #drainBesideUpkeep(process: SimulatedProcess): Promise<void> {
    const { steps } = this
    const random = this.#random
    let stopped = steps.stopAfter(process.keeper, 1 + random.below(40))
    const turn = ended(this.#keep(process))
    try {
      for (let pieces = 3; pieces > 0; pieces--) {
        if ((await Promise.race([turn, stopped])) !== 'stopped') break
        steps.count('upkeep: stopped while commits go on')
        if (random.chance(0.6)) await this.#append(process)
        await this.#drain(process)
        stopped = steps.stopAfter(process.keeper, 1 + random.below(40))
      }
    } finally {
      if (steps.isDead(process.actor)) steps.kill(process.actor)
      steps.release(process.keeper)
      await turn
    }
    const end = await turn
    if (end !== 'well') throw end.error
  }

  /** The process is stopped in a commit; from then on it is a zombie. */
  async #stopInTheMiddle(process: SimulatedProcess): Promise<void> {
    if (this.#zombie !== null || this.#options.sabotage !== undefined) return
    await this.#append(process)
    const stopped = this.steps.stopAfter(process.actor, this.#random.below(60))
    const work = ended(this.#drain(process))
    const first = await Promise.race([work, stopped])
    if (first === 'stopped') {
      this.#zombie = { process, work, sinceMs: this.#clock.now, fenced: false }
      this.#process = null
      await process.leaveIndex()
      return
    }
    this.steps.release(process.actor)
    if (first !== 'well') throw first.error
  }

  async #wakeZombie(forSteps: number): Promise<void> {
    const zombie = this.#zombie!
    if (this.#clock.now - zombie.sinceMs > LATEST_MS) return this.#buryZombie()
    this.steps.note(`process ${zombie.process.actor} goes on`)
    const stopped = this.steps.stopAfter(zombie.process.actor, forSteps)
    const first = await Promise.race([zombie.work, stopped])
    this.steps.note(`process ${zombie.process.actor}: ${first === 'stopped' || first === 'well' ? first : first.error}`)
    this.steps.count(this.#swapped.has(zombie.process.actor) ? 'zombie: has committed' : 'zombie: woke')
    if (first === 'stopped') return
    await this.#buryZombie()
    if (first === 'well' || first.error instanceof Killed || mayPass(first.error)) return
    this.#referee!.failure ??= first.error
    throw first.error
  }

  async #buryZombie(): Promise<void> {
    const zombie = this.#zombie
    this.#zombie = null
    if (zombie === null) return
    this.steps.kill(zombie.process.actor)
    await zombie.work
    await zombie.process.fall('gone', null)
  }

  /** An outsider commits files older than the grace just before the removal of orphans lists them: it is to see that they are used. */
  async #commitAtLastMoment(process: SimulatedProcess): Promise<void> {
    const outsider = this.#outsider!
    await this.#keep(process)
    if (outsider.begunMs === null) await outsider.begin()
    const begunMs = outsider.begunMs
    if (begunMs === null) return
    this.#clock.now = Math.max(this.#clock.now, begunMs + GRACE_MS + LAST_MOMENT_MS)
    if (this.#zombie !== null) await this.#buryZombie()
    this.#lastMoment = true
    try {
      await this.#keep(process)
    } finally {
      this.#lastMoment = false
    }
  }

  async #append(process: SimulatedProcess): Promise<void> {
    this.#begin(process.actor, 'append')
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
    const first = await process.log.append(texts)
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

  /** After every action that did something: nothing that a live snapshot needs is gone, and the index tells the truth. */
  async #check(process: SimulatedProcess): Promise<void> {
    if (this.#referee?.failure) throw this.#referee.failure
    const state = `${process.actor} ${this.steps.touching} ${this.#outsideActs}`
    // What is made wrong on purpose takes no step.
    if (state === this.#checked && this.#options.sabotage === undefined) return
    this.#checked = state
    const table = await this.#calmCatalog().load(IDENT)
    await this.#referee!.checkFiles(table.metadata)
    const context = process.writer.indexContext
    if (context === null || this.#zombie?.process === process) return
    await process.looking((session) => this.#referee!.checkIndex({ ...context, session }, table))
  }

  /** The process ends without a word: its files stay as they are, but the row index, which is a cache. */
  async #fall(): Promise<void> {
    const process = this.#process
    this.#process = null
    if (process === null) return
    const left = this.#random.pick<IndexLeft>([...Array(7).fill('as it was'), 'gone', 'old', 'torn'])
    this.steps.note(`the index is ${left}`)
    await process.fall(left, this.#random)
  }

  /** After a grace nothing is left but what is reached. */
  async #orphans(writer: TableWriter): Promise<void> {
    this.#clock.now += 2 * GRACE_MS
    const { io } = writer.parts
    const nowMs = this.#clock.nowMs()
    const removed = await removeOrphans({ io, load: () => writer.load(), nowMs, graceMs: GRACE_MS })
    this.steps.note(`removed ${removed.length} orphans in the end`)
    const table = await writer.load()
    assert.deepEqual(await this.#referee!.leftOver(table, Number.POSITIVE_INFINITY), [], 'files are left over')
    await this.#referee!.checkAll(table)
  }

  /** Peace: all is committed, everything agrees, nothing is left over. */
  async #end(): Promise<RunReport> {
    const referee = this.#referee!
    this.steps.odds = NO_ODDS
    this.steps.recover()
    while (this.steps.late.length > 0) await this.#lateRequest()
    if (this.#zombie !== null) await this.#wakeZombie(1_000_000)
    if (referee.failure) throw referee.failure
    const { feed, writer, log } = await this.#open()
    await feed.drain()
    const table = await writer.load()
    const current = this.#model.rowsAt(table.metadata['current-snapshot-id'] ?? null)
    const rest = this.#model.entries.slice(Math.max(this.#model.consumed, feed.position))
    assert.deepEqual(asText(this.#model.applied(current, rest)), asText(current), 'entries of the log are lost')
    assert.equal(feed.position, log.end)
    await referee.checkAll(table)
    if (writer.indexContext !== null) {
      await catchUp(writer.indexContext, table)
      assert.equal(writer.indexContext.index.snapshotId, table.metadata['current-snapshot-id'] ?? null)
      await this.#check(this.#process!)
    }
    await this.#orphans(writer)
    await this.#process!.stop()
    return {
      snapshots: this.#model.snapshots,
      lives: this.#lives,
      steps: this.steps.counts,
      seen: this.steps.seen,
      outside: this.#outsider!.counts,
      trace: this.steps.trace,
    }
  }
}
