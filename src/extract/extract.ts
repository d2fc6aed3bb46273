/**
 * Extractors: (object, bytes) → facts. Pure: the same bytes give the same facts, so they can be rerun at any time.
 *
 * One file per extractor; `registry.ts` says which apply; `pool.ts` runs them in worker threads with bounds on bytes,
 * pixels, time, heap and output, so that a hostile file can neither block nor kill the process. One extractor's
 * failure never removes another's facts: it becomes an entry of `faults`, and the object still gets its row.
 */
import { isFault } from '../base/fault.ts'
import type { Json } from '../base/json.ts'

/** Ranged, bounded access to one object's bytes. Every byte handed out counts against the bound. */
export interface ByteSource {
  readonly sizeBytes: number
  /** Bytes [start, end), cut at the end of the object. @throws Fault `limit` past the bytes bound, `superseded`, `not-found` */
  read(start: number, end: number): Promise<Uint8Array>
}

/** What an extractor is told about the object besides its bytes. */
export interface ExtractSubject {
  bucket: string
  key: string
  versionId: string
  etag?: string
  sizeBytes: number
  /** MIME type found in the bytes (never from the name), or null. */
  sniffed: string | null
}

/** A JSON Schema of draft 2020-12, as data. */
export type JsonSchema = { readonly [keyword: string]: Json }

export interface Extractor {
  /** Name under which faults are reported: lower case, `a-z0-9-`. */
  readonly name: string
  /** Raised when the facts change for the same bytes. */
  readonly version: number
  /** What `extract` gives: a schema of the whole object that it returns. */
  readonly schema?: JsonSchema
  appliesTo(subject: ExtractSubject): boolean
  /** Facts to merge at the top level of the object's metadata, e.g. `{ image: {…} }`. */
  extract(subject: ExtractSubject, bytes: ByteSource): Promise<{ [key: string]: Json }>
}

export interface ExtractFault {
  /** The extractor's name, or `read` when the bytes could not be had. */
  extractor: string
  /** `empty`, `truncated`, `invalid`, `limit`, `timeout`, `crash`, `superseded`, `missing`, `unavailable`. */
  kind: string
  message: string
  /** Of `unavailable`: the store has answered, and said no. */
  isRefused?: boolean
  /** Of `missing`: nothing says where the objects of that bucket are. */
  isUnnamed?: boolean
}

/** Did a store say no, rather than nothing? Its faults name the code of its answer. */
export function isRefusal(error: unknown): boolean {
  return isFault(error, 'unavailable') && typeof error.facts['code'] === 'string'
}

/** What one object gave: merged facts (JSON-safe: no NaN, no lone surrogate, size capped) and what failed. */
export interface Extraction {
  metadata: { [key: string]: Json }
  faults: ExtractFault[]
  bytesRead: number
  /** Versions of the extractors that applied, by name, whether they gave facts or failed. Absent: the bytes could not be had. */
  extractors?: ExtractorVersions
}

export type ExtractorVersions = { readonly [name: string]: number }

/** Fetches bytes [start, end) of one object; both lie inside it, and exactly that many bytes must come back. */
export type RangeReader = (start: number, end: number) => Promise<Uint8Array>

/** A file whose content is the object. */
export interface LocalFile {
  path: string
  /**
   * Modification time in ns, size and inode in hex, joined by dashes, as the file store's etags of kind `stat` are made.
   * When it is given, another state of the file is refused as superseded.
   */
  stamp?: string
}

/** One object to extract from. Its bytes come from a local file, read by the worker itself, or from a reader called here. */
export type ExtractTask = Omit<ExtractSubject, 'sniffed'> & ({ file: LocalFile } | { read: RangeReader })

/** Extraction with bounds. `pool.ts` opens one over worker threads. */
export interface ExtractPool {
  /** Names and versions of the extractors, in order. */
  readonly extractors: readonly { name: string; version: number }[]
  /**
   * Facts and faults of one object; never rejects because of the object. No facts come with a fault `superseded`.
   * @throws Fault `limit` past `limits.extractWindow` objects in flight, `cancelled` by the signal or by `close`,
   * `unavailable` when no worker starts
   */
  extract(task: ExtractTask, signal?: AbortSignal): Promise<Extraction>
  /** Stops the workers; what is not answered yet is rejected as `cancelled`. */
  close(): Promise<void>
}
