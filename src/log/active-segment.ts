/**
 * The segment that is being written: two files that grow together, and the index of what is durable in them.
 *
 * Crash story: at open everything after the last whole group is cut; the last group is written once more unless a mark
 * says that it was durable; then both files are synced. What a reader is shown can no longer go away.
 */
import { join } from 'node:path'
import { Fault } from '../base/fault.ts'
import { crc32 } from '../base/hash.ts'
import type { LogFile, LogFs } from './log-fs.ts'
import { decodeFrame, encodeFrame, FRAME_BYTES, surveyFrames } from './segment-frames.ts'
import type { Group } from './segment-group.ts'
import type { Readable } from './segment-reader.ts'

/** The path of a segment's NDJSON file: its first offset in 20 digits, so that names sort as offsets. */
export function segmentPath(dir: string, first: number): string {
  return join(dir, `${String(first).padStart(20, '0')}.ndjson`)
}

/** The path of the sidecar that describes an NDJSON file. */
export function framesPath(path: string): string {
  return `${path.slice(0, -'.ndjson'.length)}.frames`
}

export class ActiveSegment {
  readonly path: string
  readonly first: number
  /** Durable: offset after the last entry, bytes, records. */
  end: number
  bytes: number
  frames: Buffer
  frameCount: number
  readonly #data: LogFile
  readonly #index: LogFile

  private constructor(path: string, first: number, data: LogFile, index: LogFile, frames: Buffer) {
    this.path = path
    this.first = first
    this.end = first
    this.bytes = 0
    this.frames = frames
    this.frameCount = 0
    this.#data = data
    this.#index = index
  }

  /** Opens the segment that begins at `first`, or creates it. @throws Fault `corrupt` when its index is damaged */
  static async open(fs: LogFs, dir: string, first: number): Promise<ActiveSegment> {
    const path = segmentPath(dir, first)
    const data = await fs.open(path, 'write')
    let index: LogFile | undefined
    try {
      index = await fs.open(framesPath(path), 'write')
      const segment = new ActiveSegment(path, first, data, index, await index.read(0, await index.sizeBytes()))
      await segment.#recover()
      await fs.syncDirectory(dir)
      await segment.mark()
      return segment
    } catch (error) {
      await Promise.allSettled([data.close(), index?.close()])
      throw error
    }
  }

  async #recover(): Promise<void> {
    const survey = surveyFrames(this.frames, this.first)
    if (survey.damaged) {
      const position = survey.kept * FRAME_BYTES
      throw new Fault(
        'corrupt',
        `${framesPath(this.path)} is damaged at byte ${position}: acknowledged entries from offset ${survey.end} on cannot be found. Restore the file from a copy.`,
        { path: framesPath(this.path), position, offset: survey.end },
      )
    }
    this.end = survey.end
    this.bytes = survey.bytes
    this.frameCount = survey.kept
    const tail = survey.acknowledged ? [] : await this.#blocksFrom(survey.lastGroup)
    if (tail === undefined) {
      const lost = decodeFrame(this.frames, survey.lastGroup)!
      this.end = lost.first
      this.bytes = lost.position
      this.frameCount = survey.lastGroup
    } else {
      // A sync that failed before the restart may have left pages that look clean and are not on the disk.
      for (const { position, bytes } of tail) await this.#data.write(bytes, position)
      const from = survey.lastGroup * FRAME_BYTES
      await this.#index.write(this.frames.subarray(from, this.frameCount * FRAME_BYTES), from)
    }
    await this.rollback()
  }

  /** The blocks of the records from number `from` on, or undefined when one does not match its record. */
  async #blocksFrom(from: number): Promise<{ position: number; bytes: Buffer }[] | undefined> {
    const blocks = []
    for (let index = from; index < this.frameCount; index++) {
      const { position, lengthBytes, crc } = decodeFrame(this.frames, index)!
      const bytes = await this.#data.read(position, lengthBytes)
      if (bytes.length !== lengthBytes || crc32(bytes) !== crc) return undefined
      blocks.push({ position, bytes })
    }
    return blocks
  }

  /** Writes a group behind what is durable and makes it durable. After a failure only `rollback` may follow. */
  async write(group: Group): Promise<void> {
    await both(
      this.#data.write(group.bytes, this.bytes),
      this.#index.write(group.frames, this.frameCount * FRAME_BYTES),
    )
    await both(this.#data.sync(), this.#index.sync())
    this.#remember(group.frames)
    this.bytes += group.bytes.length
    this.frameCount += group.frameCount
    this.end = group.end
  }

  /** Cuts both files back to what is durable, and makes the cut durable. */
  async rollback(): Promise<void> {
    await both(this.#data.truncate(this.bytes), this.#index.truncate(this.frameCount * FRAME_BYTES))
    await both(this.#data.sync(), this.#index.sync())
  }

  /** Notes in the sidecar that everything up to here was durable, so that later damage is not taken for a torn tail. */
  async mark(): Promise<void> {
    const last = this.frameCount === 0 ? undefined : decodeFrame(this.frames, this.frameCount - 1)
    if (last === undefined || last.count === 0) return
    const frames = Buffer.alloc(FRAME_BYTES)
    const nothing = { lengthBytes: 0, count: 0, groupBefore: 0, groupCount: 0, crc: 0 }
    encodeFrame(frames, 0, { first: this.end, position: this.bytes, ...nothing })
    await this.write({ bytes: Buffer.alloc(0), frames, frameCount: 1, end: this.end })
  }

  async close(): Promise<void> {
    await both(this.#data.close(), this.#index.close())
  }

  /** What is durable now, to be read while more is written. */
  asReadable(): Readable {
    return { path: this.path, first: this.first, frames: this.frames, frameCount: this.frameCount, end: this.end }
  }

  #remember(added: Buffer): void {
    const length = this.frameCount * FRAME_BYTES
    if (length + added.length > this.frames.length) {
      const grown = Buffer.allocUnsafe(Math.max(64 * FRAME_BYTES, 2 * (length + added.length)))
      this.frames.copy(grown, 0, 0, length)
      this.frames = grown
    }
    added.copy(this.frames, length)
  }
}

/** Waits for both even when one fails: nothing of a failed write may still be under way when the next step begins. */
async function both(one: Promise<void>, other: Promise<void>): Promise<void> {
  for (const result of await Promise.allSettled([one, other])) if (result.status === 'rejected') throw result.reason
}
