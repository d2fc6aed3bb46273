/**
 * The system's own file system below one folder, and what a power failure does to it: bytes of files that were not synced survive
 * whole, in part, as zeros or not at all; names that were created, moved or removed without a sync of their folder likewise, in any
 * order. The process may die at any call.
 */
import { constants, readFileSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type DurableFile, type DurableFs, nodeDurableFs } from '../../src/store/durable-fs.ts'
import type { Random } from './random.ts'

/** What a name stands for. */
interface Node {
  folder: boolean
  bytes: Buffer
  synced: boolean
}

interface NameStep {
  path: string
  node: Node | undefined
}

export class PowerLossFs implements DurableFs {
  readonly #root: string
  readonly #random: Random
  /** For canaries: syncs that succeed without doing anything. */
  readonly #lies: 'none' | 'files' | 'folders'
  /** Calls until the process dies. */
  callsLeft = Number.POSITIVE_INFINITY
  #names = new Map<string, Node>()
  #disk = new Map<string, Node>()
  #unsynced: NameStep[] = []

  /** @param root an empty folder */
  constructor(root: string, random: Random, lies: 'none' | 'files' | 'folders' = 'none') {
    this.#root = root
    this.#random = random
    this.#lies = lies
  }

  get dead(): boolean {
    return this.callsLeft <= 0
  }

  /** Another process begins; when the power failed, on what the disk has kept. */
  async restart(powerFailed: boolean): Promise<void> {
    this.callsLeft = Number.POSITIVE_INFINITY
    if (!powerFailed) return
    for (const step of this.#unsynced) if (this.#random.chance(0.5)) setName(this.#disk, step)
    this.#unsynced = []
    for (const name of await readdir(this.#root)) await rm(join(this.#root, name), { recursive: true })
    const kept = new Map<string, Node>()
    // A folder comes before what is in it.
    for (const [path, node] of [...this.#disk].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
      const above = dirname(path)
      if (above !== this.#root && !kept.has(above)) continue
      kept.set(path, node)
      if (node.folder) await mkdir(path)
      else {
        if (!node.synced) node.bytes = this.#torn(node.bytes)
        node.synced = true
        await writeFile(path, node.bytes)
      }
    }
    this.#disk = kept
    this.#names = new Map(kept)
  }

  #torn(bytes: Buffer): Buffer {
    const length = this.#random.below(bytes.length + 1)
    switch (this.#random.below(3)) {
      case 0:
        return Buffer.from(bytes.subarray(0, length))
      case 1:
        return Buffer.concat([bytes.subarray(0, length), Buffer.alloc(bytes.length - length)])
      default:
        return bytes
    }
  }

  async open(path: string, flags: 'r' | 'wx'): Promise<DurableFile> {
    this.#call()
    const handle = await nodeDurableFs.open(path, flags)
    if (flags === 'wx') this.#name(path, { folder: false, bytes: Buffer.alloc(0), synced: false })
    const node = this.#nodeAt(path, (await handle.stat({ bigint: true })).isDirectory())
    return {
      writeFile: async (bytes) => {
        node.synced = false
        // Any part of it may have been written when the process dies.
        if (this.callsLeft <= 1) node.bytes = Buffer.from(bytes.subarray(0, this.#random.below(bytes.length + 1)))
        this.#call()
        node.bytes = Buffer.from(bytes)
        await handle.writeFile(bytes)
      },
      utimes: async (accessed, modified) => {
        this.#call()
        await handle.utimes(accessed, modified)
      },
      stat: (options) => handle.stat(options),
      sync: async () => {
        this.#call()
        if (node.folder) this.#syncNames(path)
        else if (this.#lies !== 'files') node.synced = true
      },
      close: () => handle.close(),
    }
  }

  #syncNames(folder: string): void {
    if (this.#lies === 'folders') return
    for (const step of this.#unsynced) if (dirname(step.path) === folder) setName(this.#disk, step)
    this.#unsynced = this.#unsynced.filter(({ path }) => dirname(path) !== folder)
  }

  lstat(path: string, options: { bigint: true }) {
    return nodeDurableFs.lstat(path, options)
  }

  async mkdir(path: string, options: { recursive: true }): Promise<string | undefined> {
    this.#call()
    const first = await nodeDurableFs.mkdir(path, options)
    if (first === undefined) return first
    for (let at = path; at.length >= first.length; at = dirname(at))
      this.#name(at, { folder: true, bytes: Buffer.alloc(0), synced: true })
    return first
  }

  async copyFile(from: string, to: string): Promise<void> {
    this.#call()
    await nodeDurableFs.copyFile(from, to, constants.COPYFILE_EXCL)
    this.#name(to, { folder: false, bytes: readFileSync(to), synced: false })
  }

  async rename(from: string, to: string): Promise<void> {
    this.#call()
    const node = this.#nodeAt(from, false)
    await nodeDurableFs.rename(from, to)
    this.#name(to, node)
    this.#name(from, undefined)
  }

  async link(from: string, to: string): Promise<void> {
    this.#call()
    await nodeDurableFs.link(from, to)
    this.#name(to, this.#nodeAt(from, false))
  }

  async unlink(path: string): Promise<void> {
    this.#call()
    await nodeDurableFs.unlink(path)
    this.#name(path, undefined)
  }

  async rmdir(path: string): Promise<void> {
    this.#call()
    await nodeDurableFs.rmdir(path)
    this.#name(path, undefined)
  }

  /** A file from outside the folder is as it is, and not synced. */
  #nodeAt(path: string, folder: boolean): Node {
    const known = this.#names.get(path)
    if (known !== undefined) return known
    const node = { folder, bytes: folder ? Buffer.alloc(0) : readFileSync(path), synced: folder }
    if (!folder) this.#names.set(path, node)
    return node
  }

  #name(path: string, node: Node | undefined): void {
    const step = { path, node }
    setName(this.#names, step)
    if (path.startsWith(`${this.#root}/`)) this.#unsynced.push(step)
  }

  #call(): void {
    if (--this.callsLeft <= 0) throw Object.assign(new Error('simulated: the process is gone'), { code: 'EIO' })
  }
}

function setName(names: Map<string, Node>, { path, node }: NameStep): void {
  if (node) names.set(path, node)
  else names.delete(path)
}
