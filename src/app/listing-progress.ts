/**
 * How far listings of buckets have come, and when buckets were compared last: `state/listings.json`. Written now and then while a
 * bucket is ingested: a run that was killed goes on where the file says, and compares a little again.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { messageOf, systemCode } from '../base/fault.ts'
import type { PartRange } from '../source/source.ts'
import { openFileStore } from '../store/file.ts'
import type { Store } from '../store/store.ts'

const KEY = 'listings.json'

/** A listing that is not at its end. */
export interface UnfinishedListing {
  /** When it was begun, ISO 8601 UTC. */
  begun: string
  /** Keys that were compared. */
  keys: number
  left: PartRange[]
}

interface Kept {
  /** By bucket and prefix. */
  unfinished: Record<string, UnfinishedListing>
  /** When a bucket was compared to its end the last time, in milliseconds since 1970. */
  compared: Record<string, number>
}

export class ListingProgress {
  readonly #state: Store
  readonly #kept: Kept

  private constructor(state: Store, kept: Kept) {
    this.#state = state
    this.#kept = kept
  }

  /** A file that cannot be read costs a listing from the start: it is told and left behind. */
  static async open(stateDir: string, onNotice: (text: string) => void): Promise<ListingProgress> {
    const state = await openFileStore({ root: stateDir, create: true })
    return new ListingProgress(state, await readKept(path.join(stateDir, KEY), onNotice))
  }

  unfinished(bucket: string, prefix: string): UnfinishedListing | undefined {
    return this.#kept.unfinished[nameOf(bucket, prefix)]
  }

  /** Durable when it resolves; undefined: it is at its end. */
  async keep(bucket: string, prefix: string, listing: UnfinishedListing | undefined): Promise<void> {
    const name = nameOf(bucket, prefix)
    if (listing === undefined) delete this.#kept.unfinished[name]
    else this.#kept.unfinished[name] = listing
    await this.#write()
  }

  comparedMs(bucket: string): number | undefined {
    return this.#kept.compared[bucket]
  }

  async setCompared(bucket: string, atMs: number): Promise<void> {
    this.#kept.compared[bucket] = atMs
    await this.#write()
  }

  async #write(): Promise<void> {
    await this.#state.put(KEY, Buffer.from(`${JSON.stringify(this.#kept, null, 2)}\n`))
  }
}

function nameOf(bucket: string, prefix: string): string {
  return `${bucket}/${prefix}`
}

async function readKept(file: string, onNotice: (text: string) => void): Promise<Kept> {
  const nothing: Kept = { unfinished: {}, compared: {} }
  try {
    const parsed = JSON.parse(await readFile(file, 'utf8')) as Partial<Kept> | null
    const isKept = (part: unknown) => typeof part === 'object' && part !== null && !Array.isArray(part)
    if (isKept(parsed) && isKept(parsed?.unfinished) && isKept(parsed?.compared)) return parsed as Kept
    onNotice(`${file} does not say how far listings have come: they begin anew`)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') onNotice(`${file} cannot be read: ${messageOf(error)}; listings begin anew`)
  }
  return nothing
}
