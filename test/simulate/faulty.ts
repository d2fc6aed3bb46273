/**
 * Everything a process does outside itself, one step at a time, each at the mercy of a seed: it may fail, be slow, be done
 * without a reply, or be the last thing the process does.
 *
 * Steps of a process run one after another even where the code starts several at once, and of several processes one runs at a
 * time: the same seed gives the same run.
 */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import type { Clock } from '../../src/base/clock.ts'
import { Fault } from '../../src/base/fault.ts'
import type { Random } from './random.ts'

/** The process is gone. Not a fault: no code may handle it. */
export class Killed extends Error {
  constructor() {
    super('the process was killed')
  }
}

export interface Odds {
  fail: number
  /** Done, but told as failed. Only of steps that can be. */
  lose: number
  /** As `lose` and as a request that never arrived, of the one step that decides: the swap. */
  swap: number
  stall: number
  kill: number
  /** Somebody else does something between two steps. */
  outside: number
  /** A write finds the disk full, and so do the next ones. */
  full: number
}

export const NO_ODDS: Odds = { fail: 0, lose: 0, swap: 0, stall: 0, kill: 0, outside: 0, full: 0 }

/** What a step can suffer beside being slow and being the last. */
export interface StepKind {
  name: string
  /** The fault of a step that did not happen; absent: it never fails. */
  fails?: () => Error
  /** The fault of a step that happened and whose reply was lost; absent: that cannot be. */
  loses?: () => Error
  /** It takes room on the disk. */
  writes?: boolean
  /** It decides: its reply is lost more often, its request may arrive after its sender died, and then its service may be down. */
  swap?: boolean
  /** It fails while the catalog is down. */
  catalog?: boolean
  /** It is of the log, which a process that lost its lock cannot reach. */
  log?: boolean
}

export class SimulatedClock implements Clock {
  now = Date.UTC(2026, 0, 1)

  nowMs(): number {
    return this.now
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.now += Math.ceil(ms)
  }
}

/** What is done one step after another: a process, or what goes on beside the rest in one. */
interface Actor {
  process: { dead: boolean; fenced: boolean }
  last: Promise<unknown>
  /** It is not stopped where others of its process would wait for it. */
  mayStop: () => boolean
  /** Steps until it is stopped; null: it is not to be. */
  stopIn: number | null
  onStopped: () => void
  goOn: () => void
}

/** A request of a process that died before it arrived. */
export interface LateRequest {
  life: number
  name: string
  sentMs: number
  arrive: () => Promise<unknown>
}

/** Calls that find the catalog down after a lost reply: less, and more, than anybody tries. */
const DOWN_CALLS = [3, 30, 150]
/** Writes that find the disk full. */
const FULL_WRITES = [5, 40, 120]

export interface Around {
  /** Somebody else's turn, between two steps of process `life`. */
  outside(life: number): Promise<void>
  /** A step of process `life` is about to take effect. */
  acts(life: number): void
  /** Of each kill: what the process was doing. */
  phase(life: number): string
}

export class Steps {
  readonly #random: Random
  readonly #clock: SimulatedClock
  readonly #around: Around
  readonly #folder: string
  readonly #actors = new Map<number, Actor>()
  #odds = NO_ODDS
  #life = 0
  #downCalls = 0
  #fullWrites = 0
  /** Steps taken, and what was done to them. */
  readonly trace: string[] = []
  readonly counts = { steps: 0, failed: 0, lost: 0, stalled: 0, killed: 0 }
  /** Steps that may have changed a table or a row index: all but those of logs. */
  touching = 0
  /** How often each kind of thing happened that a run is to show. */
  readonly seen = new Map<string, number>()
  readonly late: LateRequest[] = []

  /** @param folder of the run's own: it is not told, since it is another in each run */
  constructor(random: Random, clock: SimulatedClock, around: Around, folder: string) {
    this.#folder = folder
    this.#random = random
    this.#clock = clock
    this.#around = around
  }

  get odds(): Odds {
    return this.#odds
  }

  set odds(odds: Odds) {
    this.#odds = odds
  }

  isDead(life: number): boolean {
    return this.#of(life).process.dead
  }

  /** A new process begins. Others may be stopped, or dead. */
  begin(): number {
    this.#downCalls = 0
    return this.#add({ dead: false, fenced: false }, () => true)
  }

  /** What goes on beside the rest of process `life`, and dies with it. */
  beside(life: number, mayStop: () => boolean): number {
    return this.#add(this.#of(life).process, mayStop)
  }

  #add(process: Actor['process'], mayStop: () => boolean): number {
    const nothing = () => {}
    const last = Promise.resolve()
    this.#actors.set(++this.#life, { process, last, mayStop, stopIn: null, onStopped: nothing, goOn: nothing })
    return this.#life
  }

  /** The process is gone, also when it was stopped. */
  kill(life: number): void {
    const { process } = this.#of(life)
    process.dead = true
    for (const actor of this.#actors.values()) {
      if (actor.process !== process) continue
      actor.stopIn = null
      actor.goOn()
    }
  }

  /** The process has lost the lock of its log: it cannot reach it any more. */
  fence(life: number): void {
    this.#of(life).process.fenced = true
  }

  /** Resolves when the process, which may take `steps` more, is stopped before its next. */
  stopAfter(life: number, steps: number): Promise<'stopped'> {
    const of = this.#of(life)
    of.stopIn = steps
    const stopped = new Promise<'stopped'>((resolve) => {
      of.onStopped = () => resolve('stopped')
    })
    of.goOn()
    return stopped
  }

  /** Lets the process, which was to be stopped, go on to its end. */
  release(life: number): void {
    const of = this.#of(life)
    of.stopIn = null
    of.goOn()
  }

  /** Resolves when no step of the process is under way. */
  async settled(life: number): Promise<void> {
    let seen: Promise<unknown> | undefined
    while (seen !== this.#of(life).last) {
      seen = this.#of(life).last
      await seen
    }
  }

  /** Performs `work` as one step of process `life`. */
  perform<T>(life: number, kind: StepKind, work: () => Promise<T>): Promise<T> {
    const of = this.#of(life)
    const turn = of.last.then(() => this.#step(life, kind, work))
    of.last = turn.catch(() => undefined)
    return turn
  }

  async #step<T>(life: number, kind: StepKind, work: () => Promise<T>): Promise<T> {
    const of = this.#of(life)
    if (of.stopIn !== null && of.mayStop() && of.stopIn-- <= 0) await this.#stopped(of)
    if (of.process.dead) throw new Killed()
    if (of.process.fenced && kind.log) this.#die(life, `at the log that it lost: ${kind.name}`)
    const odds = this.#odds
    this.counts.steps++
    if (!kind.log) this.touching++
    this.#clock.now += 1 + this.#random.below(3)
    if (this.#random.chance(odds.stall)) {
      this.counts.stalled++
      // Now and then the clock is set back instead.
      this.#clock.now += this.#random.chance(0.2) ? -this.#random.below(5_000) : this.#random.below(120_000)
    }
    this.#unavailable(kind)
    const fate = this.#random.next()
    // Around the swap little decides over much.
    const kill = odds.kill * (kind.swap ? 8 : 1)
    let bound = kill / 2
    if (fate < bound) {
      if (kind.swap) this.late.push({ life, name: kind.name, sentMs: this.#clock.now, arrive: work })
      this.#die(life, `before ${kind.name}`)
    }
    bound += odds.fail
    if (fate < bound && kind.fails) this.#fail(kind, kind.fails())
    bound += kind.swap ? odds.swap : 0
    if (fate < bound && kind.loses) {
      this.count('swap: lost on its way')
      this.#mayGoDown()
      this.#fail(kind, kind.loses())
    }
    if (this.#random.chance(odds.outside)) await this.#around.outside(life)
    this.#note(kind.name)
    this.#around.acts(life)
    const result = await work()
    if (this.#random.chance(odds.outside)) await this.#around.outside(life)
    bound += odds.lose + (kind.swap ? odds.swap : 0)
    if (fate < bound && kind.loses) {
      this.#note(`lost the reply of ${kind.name}`)
      this.counts.lost++
      if (kind.swap) {
        if (result !== false) this.count('swap: reply lost')
        this.#mayGoDown()
      }
      throw kind.loses()
    }
    if (fate >= 1 - kill / 2) this.#die(life, `after ${kind.name}`)
    return result
  }

  async #stopped(of: Actor): Promise<void> {
    while (of.stopIn !== null && of.stopIn < 0) {
      const goOn = new Promise<void>((resolve) => {
        of.goOn = resolve
      })
      of.onStopped()
      await goOn
      if (of.stopIn !== null) of.stopIn--
    }
  }

  /** @throws what a step suffers of a catalog that is down or a disk that is full */
  #unavailable(kind: StepKind): void {
    if (kind.catalog && this.#downCalls > 0) {
      this.#downCalls--
      this.#fail(kind, ioFault(`${kind.name}: the catalog is down`)())
    }
    if (!kind.writes || !kind.fails) return
    if (this.#fullWrites === 0 && this.#random.chance(this.#odds.full)) {
      this.#fullWrites = this.#random.pick(FULL_WRITES)
      this.count('disk full for a while')
    }
    if (this.#fullWrites === 0) return
    this.#fullWrites--
    this.#fail(kind, kind.fails())
  }

  #mayGoDown(): void {
    if (this.#random.chance(0.7)) this.#downCalls = this.#random.pick(DOWN_CALLS)
  }

  #fail(kind: StepKind, error: Error): never {
    this.#note(`failed ${kind.name}`)
    this.counts.failed++
    throw error
  }

  #die(life: number, when: string): never {
    const phase = this.#around.phase(life)
    this.#note(`killed ${when}, in: ${phase}`)
    this.counts.killed++
    this.count(`kill: ${phase}`)
    this.#of(life).process.dead = true
    throw new Killed()
  }

  /** Everything is as it should be again. */
  recover(): void {
    this.#downCalls = 0
    this.#fullWrites = 0
  }

  count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1)
  }

  #of(life: number): Actor {
    const of = this.#actors.get(life)
    if (of === undefined) throw new Error(`there is no process ${life}`)
    return of
  }

  #note(text: string): void {
    this.trace.push(text.replaceAll(this.#folder, ''))
  }

  note(text: string): void {
    this.#note(`== ${text}`)
  }
}

export const ioFault = (what: string) => () => new Fault('unavailable', `simulated: ${what}: no space left on device`)

/** Makes ids and jitter come from the seed until the returned function is called. */
export function seededRandomness(random: Random): () => void {
  const before = { randomBytes: crypto.randomBytes, random: Math.random }
  crypto.randomBytes = ((length: number) =>
    Buffer.from(Array.from({ length }, () => random.below(256)))) as typeof crypto.randomBytes
  Math.random = () => random.next()
  syncBuiltinESMExports()
  return () => {
    crypto.randomBytes = before.randomBytes
    Math.random = before.random
    syncBuiltinESMExports()
  }
}
