/**
 * Etags of files. `stat` is made of modification time, size and inode: cheap, and it changes with every write of this
 * store. `md5` is the MD5 of the bytes, as S3 gives it for objects put in one part; it is kept by the file's identity.
 */
import { createHash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { Recent } from '../base/recent.ts'

export type EtagKind = 'stat' | 'md5'

/** How often a file that changes while it is read is hashed again. */
const hashAttemptsMax = 3
const hashChunkBytes = 256 * 1024

/** Time in ns, size and inode in hex: equal means the same write of the same file. */
export function statEtag(stats: BigIntStats): string {
  return `${stats.mtimeNs.toString(16)}-${stats.size.toString(16)}-${stats.ino.toString(16)}`
}

async function md5OfHandle(handle: FileHandle): Promise<string> {
  const hash = createHash('md5')
  const chunk = Buffer.allocUnsafeSlow(hashChunkBytes)
  for (let position = 0; ; ) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position)
    if (bytesRead === 0) return hash.digest('hex')
    hash.update(chunk.subarray(0, bytesRead))
    position += bytesRead
  }
}

/** The part of a file's state that a hash is kept by. */
export type FileState = Pick<BigIntStats, 'dev' | 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>

/** MD5 by file identity, the least recently used forgotten beyond `entriesMax`. */
export class Md5Cache {
  readonly #hashes: Recent<string, string>

  constructor(entriesMax: number = limits.storeEtagsMax) {
    this.#hashes = new Recent(entriesMax)
  }

  remember(stats: FileState, md5: string): void {
    this.#hashes.set(identityOf(stats), md5)
  }

  /** The MD5 if this very state of the file has been hashed. */
  known(stats: FileState): string | undefined {
    return this.#hashes.get(identityOf(stats))
  }

  /** The MD5 of an open file and the state it belongs to. @throws Fault `unavailable` when the file keeps changing */
  async of(handle: FileHandle, path: string): Promise<{ stats: BigIntStats; md5: string }> {
    for (let attempt = 1; attempt <= hashAttemptsMax; attempt++) {
      const stats = await handle.stat({ bigint: true })
      const known = this.known(stats)
      if (known !== undefined) return { stats, md5: known }
      const md5 = await md5OfHandle(handle)
      if (identityOf(await handle.stat({ bigint: true })) !== identityOf(stats)) continue
      this.remember(stats, md5)
      return { stats, md5 }
    }
    throw new Fault('unavailable', `expected ${path} to hold still while it is hashed, but it kept changing; try later`)
  }
}

/** Device and change time besides: a cached hash must not outlive a write that set the modification time back. */
function identityOf(stats: FileState): string {
  return `${stats.dev}-${stats.ino}-${stats.size}-${stats.mtimeNs}-${stats.ctimeNs}`
}
