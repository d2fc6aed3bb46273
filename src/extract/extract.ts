/**
 * Extractors: (object, bytes) → facts. Pure: the same bytes give the same facts, so they can be rerun at any time.
 *
 * One file per extractor; `registry.ts` says which apply; `pool.ts` runs them in worker threads with bounds on bytes,
 * pixels, time, heap and output, so that a hostile file can neither block nor kill the process. One extractor's
 * failure never removes another's facts: it becomes an entry of `faults`, and the object still gets its row.
 */
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

export interface Extractor {
  /** Name under which faults are reported: lower case, `a-z0-9-`. */
  readonly name: string
  /** Raised when the facts change for the same bytes. */
  readonly version: number
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
}

/** What one object gave: merged facts (JSON-safe: no NaN, no lone surrogate, size capped) and what failed. */
export interface Extraction {
  metadata: { [key: string]: Json }
  faults: ExtractFault[]
  bytesRead: number
}
