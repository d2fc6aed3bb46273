/**
 * Which directory each bucket of this home stands for: `state/directories.json`. A later run may have to read objects of a
 * bucket that its command does not name, when an earlier one was killed before it had read them.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { Fault, isFault, messageOf, systemCode } from '../base/fault.ts'
import { openFileStore } from '../store/file.ts'
import type { Store } from '../store/store.ts'

const KEY = 'directories.json'

export class KnownDirectories {
  readonly #state: Store
  readonly #roots: Map<string, string>

  private constructor(state: Store, roots: Map<string, string>) {
    this.#state = state
    this.#roots = roots
  }

  /** @throws Fault `corrupt` when the file is no such list */
  static async open(stateDir: string): Promise<KnownDirectories> {
    const state = await openFileStore({ root: stateDir, create: true })
    return new KnownDirectories(state, await knownRoots(stateDir))
  }

  rootOf(bucket: string): string | undefined {
    return this.#roots.get(bucket)
  }

  /** Durable when it resolves. */
  async remember(bucket: string, root: string): Promise<void> {
    if (this.#roots.get(bucket) === root) return
    this.#roots.set(bucket, root)
    await this.#state.put(KEY, Buffer.from(`${JSON.stringify(Object.fromEntries(this.#roots), null, 2)}\n`))
  }
}

/** Bucket → directory, for what only looks: nothing is made. @throws Fault `corrupt` when the file is no such list */
export async function knownRoots(stateDir: string): Promise<Map<string, string>> {
  const file = path.join(stateDir, KEY)
  try {
    const parsed: unknown = JSON.parse(await readFile(file, 'utf8'))
    const entries =
      typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? Object.entries(parsed) : null
    if (entries === null || entries.some(([, root]) => typeof root !== 'string')) {
      throw new Fault(
        'corrupt',
        `${file} should map bucket names to directories; delete it, and run tidewater ingest on each directory again`,
      )
    }
    return new Map(entries as [string, string][])
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return new Map()
    if (isFault(error)) throw error
    throw new Fault(
      'corrupt',
      `${file} cannot be read: ${messageOf(error)}; delete it, and run tidewater ingest on each directory again`,
      {},
      error,
    )
  }
}
