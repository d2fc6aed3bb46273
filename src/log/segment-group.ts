/** Several appends → the bytes and frames of one group. Pure. */
import { crc32 } from '../base/hash.ts'
import { stamp } from './entry-text.ts'
import { encodeFrame, FRAME_BYTES } from './segment-frames.ts'

/** A block is closed when its text reaches this many characters: what reading one entry costs at most, beside its own size. */
const BLOCK_CHARACTERS = 128 * 1024

/** What is written and synced together. */
export interface Group {
  bytes: Buffer
  frames: Buffer
  frameCount: number
  /** Offset after its last entry. */
  end: number
}

/** Stamps entries with offsets from `first` on, to be written at `position`. */
export function encodeGroup(appends: readonly (readonly string[])[], first: number, position: number): Group {
  const blocks: { bytes: Buffer; count: number }[] = []
  let text = ''
  let count = 0
  let end = first
  for (const entries of appends) {
    for (const entry of entries) {
      text += `${stamp(end, entry)}\n`
      end++
      count++
      if (text.length >= BLOCK_CHARACTERS) {
        blocks.push({ bytes: Buffer.from(text), count })
        text = ''
        count = 0
      }
    }
  }
  if (count > 0) blocks.push({ bytes: Buffer.from(text), count })

  const frames = Buffer.allocUnsafe(blocks.length * FRAME_BYTES)
  let groupBefore = 0
  let at = position
  for (const [index, block] of blocks.entries()) {
    encodeFrame(frames, index, {
      first: first + groupBefore,
      position: at,
      lengthBytes: block.bytes.length,
      count: block.count,
      groupBefore,
      groupCount: end - first,
      crc: crc32(block.bytes),
    })
    groupBefore += block.count
    at += block.bytes.length
  }
  const bytes = blocks.length === 1 ? blocks[0]!.bytes : Buffer.concat(blocks.map((block) => block.bytes))
  return { bytes, frames, frameCount: blocks.length, end }
}
