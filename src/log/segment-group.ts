/** Several appends → the bytes and frames of one group. Pure. */
import { assert } from '../base/assert.ts'
import { crc32 } from '../base/hash.ts'
import type { EntrySource } from './log.ts'
import { encodeFrame, FRAME_BYTES } from './segment-frames.ts'

/** A block is closed when it has so many bytes: what reading one entry costs at most, beside its own size. */
const BLOCK_BYTES = 128 * 1024

/** What is written and synced together. */
export interface Group {
  bytes: Buffer
  frames: Buffer
  frameCount: number
  /** Offset after its last entry. */
  end: number
}

interface Block {
  from: number
  end: number
  count: number
}

const OFFSET = '{"offset":'
const LINE_FEED = 0x0a
const CLOSE = 0x7d

/** What entries take in the file at most: every one gets its offset (up to 16 digits) and a line feed. */
export function storedBytesMax({ bytes, length }: Pick<EntrySource, 'bytes' | 'length'>): number {
  return bytes + length * (OFFSET.length + 16 + 2)
}

/** Stamps entries with offsets from `first` on, to be written at `position`. */
export function encodeGroup(appends: readonly EntrySource[], first: number, position: number): Group {
  const into = Buffer.allocUnsafe(appends.reduce((sum, append) => sum + storedBytesMax(append), 0))
  const stamp = new Stamp(first)
  const blocks: Block[] = []
  let from = 0
  let count = 0
  let end = 0
  for (const append of appends) {
    for (let index = 0; index < append.length; index++) {
      end = append.write(index, into, stamp.write(into, end))
      assert(into[end - 1] === CLOSE, 'an entry that is no object')
      into[end++] = LINE_FEED
      count++
      if (end - from < BLOCK_BYTES) continue
      blocks.push({ from, end, count })
      from = end
      count = 0
    }
  }
  if (count > 0) blocks.push({ from, end, count })
  const bytes = into.subarray(0, end)
  const frames = framesOf(blocks, bytes, first, position)
  return { bytes, frames, frameCount: blocks.length, end: stamp.next }
}

function framesOf(blocks: readonly Block[], bytes: Buffer, first: number, position: number): Buffer {
  const frames = Buffer.allocUnsafe(blocks.length * FRAME_BYTES)
  const groupCount = blocks.reduce((sum, { count }) => sum + count, 0)
  let groupBefore = 0
  for (const [index, { from, end, count }] of blocks.entries()) {
    encodeFrame(frames, index, {
      first: first + groupBefore,
      position: position + from,
      lengthBytes: end - from,
      count,
      groupBefore,
      groupCount,
      crc: crc32(bytes.subarray(from, end)),
    })
    groupBefore += count
  }
  return frames
}

/** Writes `{"offset":N` with the next offset each time. It counts in digits: they are not made anew for each entry. */
export class Stamp {
  next: number
  #text = Buffer.alloc(0)

  constructor(first: number) {
    this.next = first
    this.#begin()
  }

  #begin(): void {
    this.#text = Buffer.from(`${OFFSET}${this.next}`)
  }

  /** @returns the place behind it */
  write(into: Buffer, at: number): number {
    const text = this.#text
    for (let i = 0; i < text.length; i++) into[at + i] = text[i]!
    this.#advance()
    return at + text.length
  }

  #advance(): void {
    this.next++
    const text = this.#text
    let place = text.length - 1
    while (text[place] === 0x39) text[place--] = 0x30
    if (place >= OFFSET.length) text[place] = text[place]! + 1
    // All of them were nines.
    else this.#begin()
  }
}
