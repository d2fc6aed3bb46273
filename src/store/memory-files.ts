/** Local files of stores in memory: what comes in from one, and copies of objects for those who need a path. */
import { mkdir, mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Fault, systemCode } from '../base/fault.ts'
import { sha256Hex } from '../base/hash.ts'

/** Gives a file's bytes to `put` and removes it. @throws Fault `not-found` */
export async function takeFile<T>(store: string, localPath: string, put: (bytes: Uint8Array) => Promise<T>) {
  try {
    const done = await put(await readFile(localPath))
    await unlink(localPath)
    return done
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    throw new Fault('not-found', `cannot move ${localPath} into ${store}: there is no such file`, {}, error)
  }
}

/** Copies of objects in a temporary folder, by content and name; written once, since bytes never change. */
export class MemoryFiles {
  #folder: Promise<string> | null = null
  readonly #files = new Map<string, Promise<string>>()

  async pathOf(key: string, bytes: Uint8Array): Promise<string> {
    const id = join(sha256Hex(bytes), key.split('/').at(-1)?.replaceAll('\0', '_') || 'object')
    const path = this.#files.get(id) ?? this.#write(id, bytes)
    this.#files.set(id, path)
    return path
  }

  async #write(id: string, bytes: Uint8Array): Promise<string> {
    this.#folder ??= mkdtemp(join(tmpdir(), 'tidewater-memory-store-'))
    const path = join(await this.#folder, id)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
    return path
  }

  async close(): Promise<void> {
    if (this.#folder) await rm(await this.#folder, { recursive: true, force: true })
    this.#folder = null
    this.#files.clear()
  }
}
