/**
 * A file system in memory that does to the segment log everything a real one may: calls fail half-way, the process dies at
 * any call, the machine loses what was not synced (whole, in part, in any order), a failed sync forgets what it was to write.
 *
 * Files have two contents: what the process sees, and what is on the disk. Between them stands a list of writes and
 * truncations; a sync performs the list on the disk. Names in directories likewise.
 */
import { dirname } from 'node:path'
import { Fault } from '../../src/base/fault.ts'
import type { LogFile, LogFs } from '../../src/log/log-fs.ts'
import type { Random } from './random.ts'

type Step = { kind: 'write'; position: number; bytes: Buffer } | { kind: 'truncate'; length: number }

interface Inode {
  seen: Buffer
  disk: Buffer
  unsynced: Step[]
}

type NameStep = { path: string; inode: Inode | undefined }

export interface SimulatedFsOptions {
  random: Random
  /** How likely each call fails without the process dying. */
  failureChance: number
  /** For canaries: syncs that succeed without doing anything. */
  syncLies?: boolean
}

export class SimulatedFs implements LogFs {
  readonly #options: SimulatedFsOptions
  readonly #random: Random
  /** Calls until the process dies. */
  callsLeft = Number.POSITIVE_INFINITY
  failureChance: number
  #life = 0
  #dead = false
  #seenNames = new Map<string, Inode>()
  #diskNames = new Map<string, Inode>()
  #unsyncedNames: NameStep[] = []
  readonly #locks = new Set<string>()

  constructor(options: SimulatedFsOptions) {
    this.#options = options
    this.#random = options.random
    this.failureChance = options.failureChance
  }

  get dead(): boolean {
    return this.#dead
  }

  /** What the process would see in a file. */
  contentOf(path: string): Buffer | undefined {
    const inode = this.#seenNames.get(path)
    return inode && Buffer.from(inode.seen)
  }

  /** The process is gone, and another may begin. When the machine fell too, what was not synced is at the mercy of chance. */
  restart(machineFell: boolean): void {
    this.#life++
    this.#dead = false
    this.callsLeft = Number.POSITIVE_INFINITY
    this.#locks.clear()
    if (!machineFell) return
    for (const { path, inode } of this.#unsyncedNames)
      if (this.#random.chance(0.5)) setName(this.#diskNames, path, inode)
    this.#unsyncedNames = []
    this.#seenNames = new Map(this.#diskNames)
    for (const inode of new Set(this.#diskNames.values())) {
      this.#writeSomeOf(inode)
      inode.seen = Buffer.from(inode.disk)
    }
  }

  async makeDirectory(): Promise<void> {
    await this.#call()
  }

  async list(path: string): Promise<{ name: string; sizeBytes: number }[]> {
    await this.#call()
    return [...this.#seenNames]
      .filter(([at]) => dirname(at) === path)
      .map(([at, inode]) => ({ name: at.slice(path.length + 1), sizeBytes: inode.seen.length }))
  }

  async open(path: string, mode: 'read' | 'write'): Promise<LogFile> {
    await this.#call()
    let inode = this.#seenNames.get(path)
    if (inode === undefined && mode === 'read') throw systemError('ENOENT')
    if (inode === undefined) {
      inode = { seen: Buffer.alloc(0), disk: Buffer.alloc(0), unsynced: [] }
      this.#name(path, inode)
    }
    return this.#file(inode)
  }

  async remove(path: string): Promise<void> {
    await this.#call()
    if (this.#seenNames.has(path)) this.#name(path, undefined)
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#call()
    if (this.#options.syncLies) return
    for (const step of this.#unsyncedNames)
      if (dirname(step.path) === path) setName(this.#diskNames, step.path, step.inode)
    this.#unsyncedNames = this.#unsyncedNames.filter((step) => dirname(step.path) !== path)
  }

  async lock(path: string): Promise<() => Promise<void>> {
    if (this.#locks.has(path)) throw new Fault('conflict', `${path} is in use.`)
    this.#locks.add(path)
    const life = this.#life
    return async () => {
      if (this.#life === life) this.#locks.delete(path)
    }
  }

  #file(inode: Inode): LogFile {
    const life = this.#life
    const call = () => this.#call(life)
    return {
      sizeBytes: async () => {
        await call()
        return inode.seen.length
      },
      read: async (position, lengthBytes) => {
        await call()
        return Buffer.from(inode.seen.subarray(position, position + lengthBytes))
      },
      write: async (bytes, position) => {
        const failure = await this.#tryCall(life)
        const whole = Buffer.from(bytes)
        const written = failure ? whole.subarray(0, this.#random.below(whole.length + 1)) : whole
        if (!failure || this.#life === life) this.#change(inode, { kind: 'write', position, bytes: written })
        if (failure) throw failure
      },
      truncate: async (length) => {
        const failure = await this.#tryCall(life)
        if (this.#life === life && (!failure || this.#random.chance(0.5)))
          this.#change(inode, { kind: 'truncate', length })
        if (failure) throw failure
      },
      sync: async () => {
        const failure = await this.#tryCall(life)
        if (failure) {
          // What a failed sync did not write is forgotten: the next sync succeeds without it.
          if (!this.#dead && this.#life === life) this.#writeSomeOf(inode)
          throw failure
        }
        if (this.#options.syncLies) return
        for (const step of inode.unsynced) inode.disk = performed(inode.disk, step)
        inode.unsynced = []
      },
      close: async () => {},
    }
  }

  #change(inode: Inode, step: Step): void {
    inode.seen = performed(inode.seen, step)
    inode.unsynced.push(step)
  }

  #writeSomeOf(inode: Inode): void {
    for (const step of inode.unsynced) {
      if (this.#random.chance(0.3)) continue
      if (step.kind === 'truncate' || this.#random.chance(0.4)) inode.disk = performed(inode.disk, step)
      else {
        const start = this.#random.below(step.bytes.length + 1)
        const end = start + this.#random.below(step.bytes.length - start + 1)
        inode.disk = performed(inode.disk, {
          kind: 'write',
          position: step.position + start,
          bytes: step.bytes.subarray(start, end),
        })
      }
    }
    inode.unsynced = []
  }

  #name(path: string, inode: Inode | undefined): void {
    setName(this.#seenNames, path, inode)
    this.#unsyncedNames.push({ path, inode })
  }

  async #call(life = this.#life): Promise<void> {
    const failure = await this.#tryCall(life)
    if (failure) throw failure
  }

  /** Lets others run for a while, then says whether this call fails. */
  async #tryCall(life: number): Promise<Error | undefined> {
    for (let turns = this.#random.below(12); turns > 0; turns--) await Promise.resolve()
    if (this.#dead || this.#life !== life) return systemError('EIO', 'the process is gone')
    if (--this.callsLeft <= 0) {
      this.#dead = true
      return systemError('EIO', 'the process dies')
    }
    return this.#random.chance(this.failureChance) ? systemError(this.#random.pick(['EIO', 'ENOSPC'])) : undefined
  }
}

function performed(content: Buffer, step: Step): Buffer {
  const length = step.kind === 'truncate' ? step.length : Math.max(content.length, step.position + step.bytes.length)
  const changed = Buffer.alloc(length)
  content.copy(changed, 0, 0, Math.min(content.length, length))
  if (step.kind === 'write') step.bytes.copy(changed, step.position)
  return changed
}

function setName(names: Map<string, Inode>, path: string, inode: Inode | undefined): void {
  if (inode) names.set(path, inode)
  else names.delete(path)
}

function systemError(code: string, message = `simulated ${code}`): Error {
  return Object.assign(new Error(message), { code })
}
