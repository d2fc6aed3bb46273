/**
 * The log as segment files in a directory of its own.
 *
 *     <dir>/<name>/00000000000000000000.ndjson   entries, one per line: sealed, never changes again
 *     <dir>/<name>/00000000000000000000.frames   checksums and positions of its blocks (`segment-frames.ts`)
 *     <dir>/<name>/00000000000000051200.ndjson   the last one is active: appends go here
 *     <dir>/<name>/lock, lock.owner              held while open
 *
 * A segment is named by its first offset, in 20 digits. The active segment always exists, if only as an empty file: its
 * name is how the next offset survives a trim of everything.
 *
 * Invariants
 * 1. Entries are acknowledged after both files are synced; a new segment's names are synced before its first write.
 * 2. One group is in flight at a time, and a segment is rolled only between groups: a sealed segment is whole.
 * 3. After a failed write or sync both files are cut back to what is durable. When that fails too, the log takes no
 *    further append until it is opened anew.
 */
import { join } from 'node:path'
import { Fault, isFault, messageOf, systemCode } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { Recent } from '../base/recent.ts'
import { ActiveSegment, framesPath } from './active-segment.ts'
import { checkEntries } from './entry-text.ts'
import type { EntrySource, Log, LogEntry, Segment } from './log.ts'
import { type LogFs, nodeLogFs } from './log-fs.ts'
import { requireHeld, requireOpen } from './refusal.ts'
import { FRAME_BYTES, surveyFrames } from './segment-frames.ts'
import { encodeGroup, storedBytesMax } from './segment-group.ts'
import { damage, openToRead, type Readable, readEntries, verifySegment } from './segment-reader.ts'
import { Waiters } from './waiters.ts'

export interface SegmentLogOptions {
  /** Where logs live; this one takes the folder `name` in it. Created if it is not there. */
  dir: string
  /** Letters, digits, dot, dash and underscore; it is a folder's name. */
  name: string
  /** A segment that would grow beyond this is sealed and the next begun. Default `limits.logSegmentBytesMax`. */
  segmentBytesMax?: number
  /**
   * The next offset is at least this: a log that ends before it goes on there, and drops what it held. For a log that was
   * lost after what was made of its entries had become durable elsewhere. Default 0.
   */
  endAtLeast?: number
  fs?: LogFs
}

interface Pending {
  entries: EntrySource
  done: (offset: number) => void
  fail: (reason: unknown) => void
}

/** A sealed segment; `verified` once its bytes were compared with their checksums, or were written by this process. */
interface Sealed extends Segment {
  verified: boolean
}

/** Sidecars of sealed segments kept in memory. */
const FRAMES_CACHED_MAX = 8

/**
 * Opens a log, creating it if it is not there, and cuts what an interrupted append left behind.
 * @throws Fault `conflict` (another owner), `corrupt`, `invalid` (name), `unavailable`
 */
export async function openSegmentLog(options: SegmentLogOptions): Promise<Log> {
  const { name, fs = nodeLogFs, segmentBytesMax = limits.logSegmentBytesMax, endAtLeast = 0 } = options
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name)) {
    throw new Fault(
      'invalid',
      `A log's name has letters, digits, ".", "-" and "_", at most 100, got ${JSON.stringify(name)}.`,
      {
        name,
      },
    )
  }
  const dir = join(options.dir, name)
  return guard(`open log ${name} in ${dir}`, async () => {
    await fs.makeDirectory(dir)
    const unlock = await fs.lock(dir)
    try {
      const sealed = await findSegments(fs, dir)
      const last = sealed.pop()
      let active = await ActiveSegment.open(fs, dir, last?.first ?? 0)
      if (active.end < endAtLeast) active = await goOnAt(fs, dir, endAtLeast, sealed.splice(0), active)
      return new SegmentLog({ name, dir, fs, segmentBytesMax, sealed, active, unlock })
    } catch (error) {
      await unlock()
      throw error
    }
  })
}

/**
 * Begins a segment at `offset` and removes those before it, the oldest first. Crash story: once the new segment's names are
 * durable the log ends at `offset`; older segments that stay are dropped by the next trim.
 */
async function goOnAt(
  fs: LogFs,
  dir: string,
  offset: number,
  sealed: readonly Sealed[],
  last: ActiveSegment,
): Promise<ActiveSegment> {
  const next = await ActiveSegment.open(fs, dir, offset)
  await last.close()
  for (const path of [...sealed.map((segment) => segment.path), last.path]) await removeSegment(fs, dir, path)
  return next
}

/** A name goes durably before the next: a crash never leaves a gap in the middle. */
async function removeSegment(fs: LogFs, dir: string, path: string): Promise<void> {
  await fs.remove(path)
  await fs.syncDirectory(dir)
  await fs.remove(framesPath(path))
}

/** The segments in a directory, oldest first. The end of each is the beginning of the next. */
async function findSegments(fs: LogFs, dir: string): Promise<Sealed[]> {
  const files = await fs.list(dir)
  const segments = files
    .filter(({ name }) => /^\d{20}\.ndjson$/.test(name))
    .map(({ name, sizeBytes }) => ({ path: join(dir, name), first: Number(name.slice(0, 20)), bytes: sizeBytes }))
    .sort((one, other) => one.first - other.first)
  const paths = new Set(segments.map(({ path }) => framesPath(path)))
  for (const { name, sizeBytes } of files) {
    const path = join(dir, name)
    if (!/^\d{20}\.frames$/.test(name) || paths.has(path)) continue
    // An interrupted trim leaves the sidecar of an old segment, an interrupted roll the empty one of a new segment.
    if (sizeBytes > 0 && segments.every(({ first }) => first < Number(name.slice(0, 20)))) {
      throw damage(path, 0, 'describes a segment file that is not there', Number(name.slice(0, 20)))
    }
    // The names may not be durable as they are seen: without this the NDJSON file could come back alone.
    await fs.syncDirectory(dir)
    await fs.remove(path)
  }
  return segments.map((segment, at) => ({ ...segment, end: segments[at + 1]?.first ?? segment.first, verified: false }))
}

class SegmentLog implements Log {
  readonly name: string
  readonly #dir: string
  readonly #fs: LogFs
  readonly #segmentBytesMax: number
  readonly #sealed: Sealed[]
  /** Segments that are no more, oldest first, whose files may be there: one that cannot be removed keeps the newer ones. */
  readonly #trimmed: string[] = []
  readonly #unlock: () => Promise<void>
  readonly #waiters = new Waiters()
  readonly #frames = new Recent<string, Readable>(FRAMES_CACHED_MAX)
  #active: ActiveSegment
  /** Sticky: after a roll that failed half-way nothing may go into the old segment any more. */
  #rollNext = false
  #queue: Pending[] = []
  #queueBytes = 0
  #writing = false
  /** The last of the steps that change files; each begins when the one before has ended. */
  #turn: Promise<unknown> = Promise.resolve()
  #refusal: Fault | undefined
  #closed = false

  constructor(parts: {
    name: string
    dir: string
    fs: LogFs
    segmentBytesMax: number
    sealed: Sealed[]
    active: ActiveSegment
    unlock: () => Promise<void>
  }) {
    this.name = parts.name
    this.#dir = parts.dir
    this.#fs = parts.fs
    this.#segmentBytesMax = parts.segmentBytesMax
    this.#sealed = parts.sealed
    this.#active = parts.active
    this.#unlock = parts.unlock
  }

  get start(): number {
    return this.#sealed[0]?.first ?? this.#active.first
  }

  get end(): number {
    return this.#active.end
  }

  async append(given: readonly string[] | EntrySource): Promise<number> {
    requireOpen(this, this.#closed)
    if (this.#refusal) throw this.#refusal
    const entries = checkEntries(this.name, given)
    if (entries.length === 0) return this.end
    const { bytes } = entries
    if (this.#queueBytes + bytes > limits.logQueueBytesMax) {
      throw new Fault(
        'unavailable',
        `Log ${this.name} has ${this.#queueBytes} bytes waiting to be written, at most ${limits.logQueueBytesMax} may wait: try again later.`,
        { log: this.name, waitingBytes: this.#queueBytes },
      )
    }
    return new Promise((done, fail) => {
      this.#queue.push({ entries, done, fail })
      this.#queueBytes += bytes
      if (!this.#writing) void this.#drain()
    })
  }

  async #drain(): Promise<void> {
    this.#writing = true
    while (this.#queue.length > 0) await this.#inTurn(() => this.#writeGroup(this.#takeGroup()))
    this.#writing = false
  }

  /** Everything that waits, up to the size of a batch: made durable by one sync. */
  #takeGroup(): Pending[] {
    let bytes = 0
    let count = 0
    for (const { entries } of this.#queue) {
      if (count > 0 && bytes + entries.bytes > limits.logBatchBytesMax) break
      bytes += entries.bytes
      count++
    }
    this.#queueBytes -= bytes
    return this.#queue.splice(0, count)
  }

  /** Writes and acknowledges a group, or fails all of it. Never throws. */
  async #writeGroup(appends: Pending[]): Promise<void> {
    if (appends.length === 0) return
    const first = this.#active.end
    try {
      if (this.#refusal) throw this.#refusal
      const bytes = appends.reduce((sum, { entries }) => sum + storedBytesMax(entries), 0)
      if (this.#rollNext || (this.#active.bytes > 0 && this.#active.bytes + bytes > this.#segmentBytesMax)) {
        await this.#roll()
      }
      const group = encodeGroup(
        appends.map(({ entries }) => entries),
        first,
        this.#active.bytes,
      )
      await this.#writeOrCutBack(group)
    } catch (error) {
      const reason = asFault(`append to log ${this.name}`, error)
      for (const append of appends) append.fail(reason)
      return
    }
    let offset = first
    for (const append of appends) {
      append.done(offset)
      offset += append.entries.length
    }
    this.#waiters.wake(this.end)
  }

  async #writeOrCutBack(group: ReturnType<typeof encodeGroup>): Promise<void> {
    try {
      await this.#active.write(group)
    } catch (error) {
      await this.#active.rollback().catch((cause: unknown) => {
        this.#refusal = new Fault(
          'unavailable',
          `Log ${this.name} takes no more entries: writing to ${this.#active.path} failed (${messageOf(error)}), and so did taking it back (${messageOf(cause)}). Check the disk and open the log again.`,
          { log: this.name },
          cause,
        )
      })
      throw error
    }
  }

  /** Seals the active segment and begins the next. */
  async #roll(): Promise<void> {
    this.#rollNext = true
    const full = this.#active
    const next = await ActiveSegment.open(this.#fs, this.#dir, full.end)
    this.#sealed.push({ path: full.path, first: full.first, end: full.end, bytes: full.bytes, verified: true })
    this.#frames.set(full.path, full.asReadable())
    this.#active = next
    this.#rollNext = false
    await Promise.allSettled([full.close()])
  }

  async read(from: number, limit: number): Promise<LogEntry[]> {
    requireOpen(this, this.#closed)
    requireHeld(this, from)
    const segments = [...this.#sealed, this.#active.asReadable()].filter((segment) => segment.end > from)
    return guard(`read log ${this.name}`, async () => {
      const entries: LogEntry[] = []
      let bytes = 0
      for (const segment of segments) {
        if (entries.length >= limit || bytes >= limits.logBatchBytesMax) break
        const readable = 'frames' in segment ? segment : await this.#readable(segment, Math.max(from, segment.first))
        bytes += await readEntries(this.#fs, readable, from, limit, limits.logBatchBytesMax - bytes, entries)
        if (readable.end < segment.end) break
      }
      return entries
    }).catch((error: unknown) => {
      requireHeld(this, from)
      throw error
    })
  }

  async seal(from: number, bytesMax: number): Promise<Segment[]> {
    requireOpen(this, this.#closed)
    requireHeld(this, from)
    return guard(`seal log ${this.name}`, async () => {
      await this.#inTurn(async () => {
        if (this.#refusal) throw this.#refusal
        if (this.#active.end > this.#active.first) await this.#roll()
      })
      const taken: Segment[] = []
      let bytes = 0
      for (const segment of this.#sealed.filter(({ end }) => end > from)) {
        if (taken.length > 0 && bytes + segment.bytes > bytesMax) break
        if (!segment.verified) await verifySegment(this.#fs, await this.#readable(segment, segment.end - 1))
        segment.verified = true
        bytes += segment.bytes
        taken.push({ path: segment.path, first: segment.first, end: segment.end, bytes: segment.bytes })
      }
      return taken
    })
  }

  async waitFor(offset: number, signal?: AbortSignal): Promise<void> {
    requireOpen(this, this.#closed)
    if (this.end > offset) return
    await this.#waiters.wait(offset, signal)
  }

  async trim(offset: number): Promise<void> {
    requireOpen(this, this.#closed)
    await guard(`trim log ${this.name}`, () =>
      this.#inTurn(async () => {
        for (let oldest = this.#sealed[0]; oldest && oldest.end <= offset; oldest = this.#sealed[0]) {
          this.#sealed.shift()
          this.#frames.delete(oldest.path)
          this.#trimmed.push(oldest.path)
        }
        for (let path = this.#trimmed[0]; path !== undefined; path = this.#trimmed[0]) {
          await removeSegment(this.#fs, this.#dir, path)
          this.#trimmed.shift()
        }
      }),
    )
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#waiters.close(this.name)
    await this.#inTurn(async () => {
      while (this.#queue.length > 0) await this.#writeGroup(this.#takeGroup())
      try {
        if (!this.#refusal) await this.#active.mark()
      } catch {
        // A mark helps to tell damage from a torn tail; nothing acknowledged depends on it.
      } finally {
        await Promise.allSettled([this.#active.close()])
        await this.#unlock()
      }
    })
  }

  /** The sidecar of a sealed segment, checked. @throws Fault `corrupt` when it does not say where `offset` is */
  async #readable(segment: Sealed, offset: number): Promise<Readable> {
    const cached = this.#frames.get(segment.path)
    if (cached) return cached
    const path = framesPath(segment.path)
    const file = await openToRead(this.#fs, path, offset)
    try {
      const frames = await file.read(0, await file.sizeBytes())
      const survey = surveyFrames(frames, segment.first)
      const readable = { path: segment.path, first: segment.first, frames, frameCount: survey.kept, end: survey.end }
      if (survey.end === segment.end) this.#frames.set(segment.path, readable)
      if (survey.end <= offset || survey.end > segment.end) {
        const how = `ends at offset ${survey.end}, expected ${segment.end}`
        throw damage(path, survey.kept * FRAME_BYTES, how, survey.end)
      }
      return readable
    } finally {
      await file.close()
    }
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(step)
    this.#turn = result.catch(() => undefined)
    return result
  }
}

/** Errors of the file system become faults of kind `unavailable`; bugs stay what they are. */
async function guard<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asFault(what, error)
  }
}

function asFault(what: string, error: unknown): unknown {
  const code = systemCode(error)
  if (isFault(error) || code === undefined || code.startsWith('ERR_')) return error
  return new Fault('unavailable', `Cannot ${what}: ${messageOf(error)}.`, {}, error)
}
