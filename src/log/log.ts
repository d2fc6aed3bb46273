/**
 * The durable, ordered log: append, read from an offset, seal, trim.
 *
 * Invariants
 * 1. `append` resolves only when its entries are on disk (fsync, shared by concurrent callers: group commit).
 * 2. Offsets are 0, 1, 2, … without gaps; one is given once and never reused, also after a crash or a trim.
 * 3. What was acknowledged is read back byte for byte, in order; a torn tail that was never acknowledged is cut at open.
 *
 * Crash story: after a kill at any point the log holds every acknowledged entry, perhaps followed by entries whose
 * acknowledgement was never sent (whole appends only, never half of one).
 *
 * An entry is one JSON object as text on one line. The log stores it as `{"offset":N,` + the rest of the object, so
 * that a segment is NDJSON in which every row names its own offset, and DuckDB reads sealed segments directly.
 * Adapters: `segments` (files), `memory`; the contract suite is `test/contract/log.ts`.
 */

/** An entry as read back. `text` is the whole line without its line feed, `{"offset":N,…}`. */
export interface LogEntry {
  offset: number
  text: string
}

/**
 * Entries of one append that write themselves, for who has them as bytes: nothing is made of a single one. They are written when the
 * append is its turn, so what they are made of stays as it is until the append is answered.
 */
export interface EntrySource {
  readonly length: number
  /** UTF-8 bytes of all entries' texts, and of the largest; not less than they are. */
  readonly bytes: number
  readonly bytesMax: number
  /**
   * Writes into `into`, from `from` on, what stands in the log behind the offset of entry `at`: its text with a comma in place of the
   * opening brace. Entries are objects with a member, on one line, as they have to be as texts.
   * @returns the place behind it
   */
  write(at: number, into: Buffer, from: number): number
}

/** A sealed, immutable stretch of the log as an NDJSON file. */
export interface Segment {
  /** Absolute local path. */
  path: string
  /** First offset in it. */
  first: number
  /** End offset, exclusive. */
  end: number
  bytes: number
}

export interface Log {
  readonly name: string
  /** First offset still held (entries before it were trimmed). */
  readonly start: number
  /** End offset, exclusive: the offset that the next entry gets. Covers durable entries only. */
  readonly end: number
  /**
   * Appends JSON objects (each a text such as `{"a":1}` without line feeds and without a member `offset`, or what writes them).
   * @returns the offset of the first. @throws Fault `limit` (entry or batch too large), `invalid` (not an object on
   * one line), `unavailable` (disk full or I/O error: nothing of this call is acknowledged; the log stays usable or
   * refuses further appends until reopened, and never acknowledges what may be lost).
   */
  append(entries: readonly string[] | EntrySource): Promise<number>
  /**
   * Up to `limit` entries from offset `from` on, oldest first; fewer when they come to many bytes, but one at least if there
   * is any. @throws Fault `not-found` when `from` < `start`, `corrupt` naming file and position.
   */
  read(from: number, limit: number): Promise<LogEntry[]>
  /**
   * Seals the active segment if it has entries, and returns the sealed segments that hold [from, end), oldest first,
   * at most `bytesMax` of them in sum (but always at least one if there is any).
   */
  seal(from: number, bytesMax: number): Promise<Segment[]>
  /** Resolves when `end` > `offset` (at once if it is), or rejects when aborted. */
  waitFor(offset: number, signal?: AbortSignal): Promise<void>
  /** Drops whole sealed segments that end at or before `offset`. */
  trim(offset: number): Promise<void>
  /** Finishes the appends under way. Every later call and every waiting one gets Fault `cancelled`. */
  close(): Promise<void>
}
