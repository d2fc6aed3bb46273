/**
 * The file-system calls that the segment log makes, as a port: a simulation can fail them, tear and lose what was not
 * synced. The rule that the log relies on: what was written before a `sync` that resolved survives a crash; anything
 * else may survive whole, in part or not at all, in any order. The same for names and `syncDirectory`.
 */
import type { FileHandle } from 'node:fs/promises'
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemCode } from '../base/fault.ts'
import { lockDirectory } from './directory-lock.ts'

/** An open file. */
export interface LogFile {
  sizeBytes(): Promise<number>
  /** Up to `lengthBytes` bytes; fewer only at the end of the file. */
  read(position: number, lengthBytes: number): Promise<Buffer>
  /** Writes all of `bytes`, or fails having written any part of them. */
  write(bytes: Uint8Array, position: number): Promise<void>
  truncate(lengthBytes: number): Promise<void>
  /** Makes bytes and length durable. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface LogFs {
  /** Creates a directory and those above it, durably. */
  makeDirectory(path: string): Promise<void>
  /** The files of a directory, in no order. */
  list(path: string): Promise<{ name: string; sizeBytes: number }[]>
  /** `write` also reads, and creates the file if it is not there. */
  open(path: string, mode: 'read' | 'write'): Promise<LogFile>
  /** A file that is not there is no error. */
  remove(path: string): Promise<void>
  /** Makes names created and removed in a directory durable. */
  syncDirectory(path: string): Promise<void>
  /** Takes a directory for this owner alone. @returns how to give it back @throws Fault `conflict` */
  lock(path: string): Promise<() => Promise<void>>
}

class NodeLogFile implements LogFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  async read(position: number, lengthBytes: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(lengthBytes)
    let done = 0
    while (done < lengthBytes) {
      const { bytesRead } = await this.#handle.read(buffer, done, lengthBytes - done, position + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return buffer.subarray(0, done)
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0
    while (done < bytes.length) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position + done)
      if (bytesWritten === 0) throw Object.assign(new Error(`wrote ${done} of ${bytes.length} bytes`), { code: 'EIO' })
      done += bytesWritten
    }
  }

  async truncate(lengthBytes: number): Promise<void> {
    await this.#handle.truncate(lengthBytes)
  }

  async sync(): Promise<void> {
    await this.#handle.datasync()
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export const nodeLogFs: LogFs = {
  async makeDirectory(path) {
    const firstMade = await mkdir(path, { recursive: true })
    if (firstMade === undefined) return
    for (let made = path; made.length >= firstMade.length; made = dirname(made)) await syncPath(dirname(made))
  },

  async list(path) {
    const names = await readdir(path)
    return Promise.all(names.map(async (name) => ({ name, sizeBytes: (await stat(join(path, name))).size })))
  },

  async open(path, mode) {
    if (mode === 'read') return new NodeLogFile(await open(path, 'r'))
    try {
      return new NodeLogFile(await open(path, 'r+'))
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
      return new NodeLogFile(await open(path, 'wx+'))
    }
  },

  remove: (path) => rm(path, { force: true }),
  syncDirectory: syncPath,
  lock: async (path) => lockDirectory(path),
}
