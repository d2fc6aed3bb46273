/**
 * All extractors on one object: the built-in ones in workers of theirs, each of the operator's own in workers of its own, side by side.
 * So each of those has its own bounds on time, memory and bytes, and what one does to its worker is nobody else's.
 *
 * What comes out is as if all had run one after the other: facts merged in order, faults in order, and nothing at all of an object that
 * turned out to be another one, whichever pool found it out. The head of an object that a store has is fetched once for all.
 */
import { availableParallelism } from 'node:os'
import { limits } from '../base/limits.ts'
import { canonicalBounds, canonicalFacts, type Facts, jsonBytes, TRUNCATED } from './canonical.ts'
import type { Extraction, ExtractPool, ExtractTask, RangeReader } from './extract.ts'
import { type ExtractLimits, type ExtractorModule, type ExtractPoolOptions, openExtractPool } from './pool.ts'
import { assertDistinct } from './user-extractor.ts'

/** An extractor of the operator's own. */
export interface OwnExtractor extends ExtractorModule {
  limits?: Partial<ExtractLimits>
  /** Threads at most; they come with demand. Default: as for the built-in ones. */
  workers?: number
}

export interface ExtractPoolsOptions extends Omit<ExtractPoolOptions, 'extractors'> {
  own: readonly OwnExtractor[]
}

/** Starts the workers and loads the modules. @throws Fault `invalid` when a module cannot be used, or two have one name */
export async function openExtractPools({ own, ...options }: ExtractPoolsOptions): Promise<ExtractPool> {
  const window = options.limits?.window ?? limits.extractWindow
  const workers = options.workers ?? availableParallelism()
  const opened = await Promise.allSettled([
    openExtractPool({ ...options, workers }),
    ...own.map(({ limits: bounds, workers: most, ...module }) =>
      openExtractPool({
        builtin: [],
        extractors: [module],
        workers: most ?? workers,
        startsWithOne: true,
        limits: { ...options.limits, ...bounds, window },
        ...(options.onWarning === undefined ? {} : { onWarning: options.onWarning }),
      }),
    ),
  ])
  const pools = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const pool = new Pools(pools)
  try {
    const failed = opened.find((each) => each.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    assertDistinct(pool.extractors)
    return pool
  } catch (error) {
    await pool.close()
    throw error
  }
}

class Pools implements ExtractPool {
  readonly extractors: readonly { name: string; version: number }[]
  readonly #pools: readonly ExtractPool[]

  constructor(pools: readonly ExtractPool[]) {
    this.#pools = pools
    this.extractors = pools.flatMap(({ extractors }) => extractors)
  }

  async extract(task: ExtractTask, signal?: AbortSignal): Promise<Extraction> {
    const [only] = this.#pools
    if (only !== undefined && this.#pools.length === 1) return only.extract(task, signal)
    const shared = 'read' in task ? { ...task, read: withHeadOnce(task.read) } : task
    const parts = await Promise.allSettled(this.#pools.map((pool) => pool.extract(shared, signal)))
    return joined(
      parts.map((part) => {
        if (part.status === 'rejected') throw part.reason
        return part.value
      }),
    )
  }

  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.close()))
  }
}

/** A read of the first bytes is made once; each reader gets them. */
function withHeadOnce(read: RangeReader): RangeReader {
  const heads = new Map<number, Promise<Uint8Array>>()
  return (start, end) => {
    if (start !== 0) return read(start, end)
    let head = heads.get(end)
    if (head === undefined) {
      head = read(start, end)
      heads.set(end, head)
    }
    return head
  }
}

/** Extractions of one object as one. */
export function joined(parts: readonly Extraction[]): Extraction {
  const faults: Extraction['faults'] = []
  const metadata: Facts = {}
  const truncated: Facts[string][] = []
  for (const part of parts) {
    for (const fault of part.faults) {
      const isKnown = faults.some(({ extractor, kind }) => extractor === fault.extractor && kind === fault.kind)
      if (fault.extractor !== 'read' || !isKnown) faults.push(fault)
    }
    for (const [key, value] of Object.entries(part.metadata)) {
      if (key === TRUNCATED && Array.isArray(value)) truncated.push(...value)
      else Object.defineProperty(metadata, key, { value, enumerable: true, configurable: true, writable: true })
    }
  }
  const bytesRead = parts.reduce((sum, part) => sum + part.bytesRead, 0)
  if (faults.some(({ kind }) => kind === 'superseded')) return { metadata: {}, faults, bytesRead }
  if (truncated.length > 0) metadata[TRUNCATED] = truncated
  const fits = parts.filter((part) => Object.keys(part.metadata).length > 0).length < 2 || isSmall(metadata)
  return {
    metadata: fits ? metadata : canonicalFacts(metadata),
    faults,
    bytesRead,
    ...(parts.some(({ extractors }) => extractors === undefined)
      ? {}
      : { extractors: Object.assign({}, ...parts.map(({ extractors }) => extractors)) }),
  }
}

function isSmall(metadata: Facts): boolean {
  return jsonBytes(metadata) <= canonicalBounds.bytesMax
}
