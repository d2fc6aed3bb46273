/**
 * Local copies of objects on disk, bounded by bytes, shared by the processes of a home.
 *
 * A copy's name is the hash of what it is of (store, key, etag), so that a copy is never stale: another object has another name.
 * Invariant: a file under a final name is whole. It was written beside under a name of its own, synced, and renamed; two processes
 * that fetch the same object both do so, and the second rename changes nothing.
 * Bound: before a copy comes in, the ones used longest ago go (the time of use is the file's modification time, so that processes
 * see each other's); those used within `keepMs` stay, because somebody may be about to open them. While these alone fill the cache,
 * a new one waits until the oldest of them may go. Crash story: unfinished files are removed when they are old, at the next opening or cleaning.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, opendir, rename, stat, unlink, utimes } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import { type Clock, systemClock } from '../base/clock.ts'
import { Fault, systemCode } from '../base/fault.ts'
import { sha256Hex } from '../base/hash.ts'
import { limits } from '../base/limits.ts'

export interface LocalCacheOptions {
  /** Made when it is needed. Nothing else may be in it. */
  folder: string
  /** Default `limits.localCacheBytes`. */
  bytesMax?: number
  /** Default `limits.localCacheKeepMs`. */
  keepMs?: number
  clock?: Clock
}

/** Fetches an object into an open file. `reserve` must be called before the first byte is written. */
export type Fill = (file: LocalPart) => Promise<void>

export interface LocalPart {
  /** Makes room for a file of so many bytes. @throws Fault `limit` */
  reserve(sizeBytes: number): Promise<void>
  write(bytes: Uint8Array, position: number): Promise<void>
}

interface Held {
  path: string
  finished: boolean
  sizeBytes: number
  usedMs: number
}

interface Full {
  /** Bytes that are left. */
  bytes: number
  /** How long until more may go. */
  waitMs: number
}

const partSuffix = '.part'
/** A cleaning makes so much more room than is needed, so that not every copy needs one. */
const SPARE_SHARE = 1 / 16

export class LocalCache {
  readonly bytesMax: number
  readonly #folder: string
  readonly #keepMs: number
  readonly #clock: Clock
  readonly #fetching = new Map<string, Promise<string>>()
  /** Bytes in the folder as last counted, and what this process has added since. Null: not counted yet. */
  #bytes: number | null = null
  #cleaning: Promise<void> = Promise.resolve()

  constructor(options: LocalCacheOptions) {
    this.#folder = options.folder
    this.bytesMax = options.bytesMax ?? limits.localCacheBytes
    this.#keepMs = options.keepMs ?? limits.localCacheKeepMs
    this.#clock = options.clock ?? systemClock
  }

  /**
   * The path of the copy of `id`, fetched by `fill` unless it is there. Calls at the same time share one fetch.
   *
   * @param id what it is a copy of: store, key, and etag unless the object never changes
   * @param name whose extension the copy keeps
   * @throws Fault `limit`, `unavailable` (disk), and what `fill` throws
   */
  get(id: string, name: string, fill: Fill): Promise<string> {
    const path = this.#pathOf(id, name)
    const known = this.#fetching.get(path)
    if (known !== undefined) return known
    const fetching = this.#get(path, fill).finally(() => this.#fetching.delete(path))
    this.#fetching.set(path, fetching)
    return fetching
  }

  /** Takes a finished local file in as the copy of `id`. When there is no room, or it lies on another disk, it is only removed. */
  async take(id: string, name: string, localPath: string): Promise<void> {
    const path = this.#pathOf(id, name)
    try {
      const { size } = await stat(localPath)
      // Nobody waits for a copy that may be fetched when it is wanted.
      if ((await this.#tryReserve(size)) !== null) return await unlinkQuietly(localPath)
      await mkdir(dirname(path), { recursive: true })
      await syncFile(localPath)
      await this.#touch(localPath)
      await rename(localPath, path)
    } catch (error) {
      if (systemCode(error) === undefined) throw error
      await unlinkQuietly(localPath)
    }
  }

  /** Forgets the copy of `id`. */
  async drop(id: string, name: string): Promise<void> {
    await unlinkQuietly(this.#pathOf(id, name))
  }

  #pathOf(id: string, name: string): string {
    const hash = sha256Hex(id)
    const extension = /^\.[a-z0-9]{1,16}$/i.exec(extname(name))?.[0] ?? ''
    return join(this.#folder, hash.slice(0, 2), hash.slice(2) + extension)
  }

  async #get(path: string, fill: Fill): Promise<string> {
    try {
      // Its time first: from here on no process takes it away.
      await this.#touch(path)
      return path
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw diskFault(error, path)
    }
    await mkdir(dirname(path), { recursive: true })
    const part = join(dirname(path), `${randomBytes(12).toString('hex')}${partSuffix}`)
    try {
      await this.#fill(part, fill)
      await this.#touch(part)
      await rename(part, path)
      return path
    } catch (error) {
      await unlinkQuietly(part)
      throw diskFault(error, path)
    }
  }

  async #fill(part: string, fill: Fill): Promise<void> {
    const handle = await open(part, 'wx')
    try {
      await fill({
        reserve: async (sizeBytes) => {
          await this.#reserve(sizeBytes)
          // Its whole size from now on, for whoever counts.
          await handle.truncate(sizeBytes)
        },
        write: async (bytes, position) => {
          for (let done = 0; done < bytes.length; ) {
            done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
          }
        },
      })
      await handle.datasync()
    } finally {
      await handle.close()
    }
  }

  async #touch(path: string): Promise<void> {
    const seconds = this.#clock.nowMs() / 1000
    await utimes(path, seconds, seconds)
  }

  /** Makes room, and waits for it while what is in use fills the cache. @throws Fault `limit` */
  async #reserve(sizeBytes: number): Promise<void> {
    for (let waitedMs = 0; ; ) {
      const full = await this.#tryReserve(sizeBytes)
      if (full === null) return
      if (sizeBytes > this.bytesMax || waitedMs > this.#keepMs) {
        throw new Fault(
          'limit',
          `expected room for ${sizeBytes} bytes among the local copies in ${this.#folder}, but of ${this.bytesMax} bytes ${full.bytes} are in use; raise the bound of local copies`,
          { folder: this.#folder, bytesMax: this.bytesMax, inUseBytes: full.bytes, sizeBytes },
        )
      }
      await this.#clock.sleep(full.waitMs)
      waitedMs += full.waitMs
    }
  }

  /** Null: there is room. One at a time, so that two do not count on the same room. */
  #tryReserve(sizeBytes: number): Promise<Full | null> {
    const done = this.#cleaning.then(() => this.#makeRoom(sizeBytes))
    this.#cleaning = done.then(
      () => undefined,
      () => undefined,
    )
    return done
  }

  async #makeRoom(sizeBytes: number): Promise<Full | null> {
    if (this.#bytes !== null && this.#bytes + sizeBytes <= this.bytesMax) {
      this.#bytes += sizeBytes
      return null
    }
    const left = await this.#clean(sizeBytes)
    if (left.bytes + sizeBytes > this.bytesMax) return left
    // What other processes add is seen at the next look, which comes the sooner the more this one adds.
    this.#bytes = Math.max(left.bytes, this.bytesMax * (1 - SPARE_SHARE * 2)) + sizeBytes
    return null
  }

  /** Takes away what may go, as far as needed. */
  async #clean(sizeBytes: number): Promise<Full> {
    const held = (await this.#look()).sort((a, b) => a.usedMs - b.usedMs)
    let bytes = held.reduce((sum, file) => sum + file.sizeBytes, 0)
    const wanted = bytes + sizeBytes <= this.bytesMax ? this.bytesMax : this.bytesMax * (1 - SPARE_SHARE)
    const oldMs = this.#clock.nowMs() - this.#keepMs
    for (const file of held) {
      if (bytes + sizeBytes <= wanted) break
      if (!file.finished) continue
      if (file.usedMs > oldMs) return { bytes, waitMs: Math.min(Math.ceil(file.usedMs - oldMs) + 1, this.#keepMs + 1) }
      await unlinkQuietly(file.path)
      bytes -= file.sizeBytes
    }
    return { bytes, waitMs: this.#keepMs + 1 }
  }

  /** Every copy, unfinished ones too; of those, the old ones go. */
  async #look(): Promise<Held[]> {
    const held: Held[] = []
    for await (const folder of entriesOf(this.#folder)) {
      for await (const name of entriesOf(join(this.#folder, folder))) {
        const path = join(this.#folder, folder, name)
        const found = await stat(path).catch(() => null)
        if (found === null || !found.isFile()) continue
        const finished = !name.endsWith(partSuffix)
        if (!finished && found.mtimeMs < this.#clock.nowMs() - limits.localCachePartMs) await unlinkQuietly(path)
        else held.push({ path, finished, sizeBytes: found.size, usedMs: found.mtimeMs })
      }
    }
    return held
  }
}

async function* entriesOf(folder: string): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(folder)) yield entry.name
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw error
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.datasync()
  } finally {
    await handle.close()
  }
}

async function unlinkQuietly(path: string): Promise<void> {
  await unlink(path).catch(() => undefined)
}

function diskFault(error: unknown, path: string): unknown {
  const code = systemCode(error)
  if (error instanceof Fault || code === undefined) return error
  return new Fault(
    'unavailable',
    `cannot keep a local copy at ${path} (${code}); is the disk full?`,
    { path, code },
    error,
  )
}
