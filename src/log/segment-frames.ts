/**
 * Frames: what a segment's sidecar (`.frames`) says about the bytes of its NDJSON file.
 *
 * A group is what was written and synced together: one or more whole appends. It is cut into blocks (so that reading one
 * entry never costs more than one block), and each block has one record of 40 bytes, big-endian:
 *
 *     first u64 | position u64 | lengthBytes u32 | count u32 | groupBefore u32 | groupCount u32 | crc of the bytes u32 | crc of these 36 bytes u32
 *
 * `groupBefore` is how many entries of its group stand before the block, `groupCount` how many the group has in all. A
 * record with count 0 is a mark: everything before it was acknowledged (written when a log is closed in order).
 *
 * Invariant: a group is written only after the group before it was synced. So only the last group can be torn, and
 * anything damaged that has a later group behind it was acknowledged and is damage, never a torn tail.
 */
import { assert } from '../base/assert.ts'
import { crc32 } from '../base/hash.ts'

export const FRAME_BYTES = 40

export interface Frame {
  /** Offset of the block's first entry. */
  first: number
  /** Where the block begins in the NDJSON file. */
  position: number
  lengthBytes: number
  /** Entries in the block. */
  count: number
  groupBefore: number
  groupCount: number
  /** CRC-32 of the block's bytes. */
  crc: number
}

/** Writes `frame` as record number `index` of `into`. */
export function encodeFrame(into: Buffer, index: number, frame: Frame): void {
  const at = index * FRAME_BYTES
  writeWide(into, frame.first, at)
  writeWide(into, frame.position, at + 8)
  into.writeUInt32BE(frame.lengthBytes, at + 16)
  into.writeUInt32BE(frame.count, at + 20)
  into.writeUInt32BE(frame.groupBefore, at + 24)
  into.writeUInt32BE(frame.groupCount, at + 28)
  into.writeUInt32BE(frame.crc, at + 32)
  into.writeUInt32BE(crc32(into.subarray(at, at + 36)), at + 36)
}

/** Record number `index` of a sidecar, or undefined when its own checksum does not hold. */
export function decodeFrame(frames: Buffer, index: number): Frame | undefined {
  const at = index * FRAME_BYTES
  assert(at + FRAME_BYTES <= frames.length, 'a frame beyond the end of its file')
  if (frames.readUInt32BE(at + 36) !== crc32(frames.subarray(at, at + 36))) return undefined
  return {
    first: readWide(frames, at),
    position: readWide(frames, at + 8),
    lengthBytes: frames.readUInt32BE(at + 16),
    count: frames.readUInt32BE(at + 20),
    groupBefore: frames.readUInt32BE(at + 24),
    groupCount: frames.readUInt32BE(at + 28),
    crc: frames.readUInt32BE(at + 32),
  }
}

/** The number of the last block that begins at or before `offset`, in records known to be good. -1 when none does. */
export function blockOf(frames: Buffer, count: number, offset: number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (readWide(frames, middle * FRAME_BYTES) <= offset) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** How much of a segment's records can be trusted, and how that ended. */
export interface Survey {
  /** Whole groups: records kept, offset after the last of them, end of their bytes. */
  kept: number
  end: number
  bytes: number
  /** The last group kept: number of its first record, and whether a mark says that it was acknowledged. */
  lastGroup: number
  acknowledged: boolean
  /** The record after `kept` is damaged although a later group was begun: damage, not a torn tail. */
  damaged: boolean
}

/**
 * Reads the records of a segment that begins at offset `first`, and keeps the longest run of whole groups in which every
 * record holds its checksum and continues the one before. Pure.
 */
export function surveyFrames(frames: Buffer, first: number): Survey {
  const records = Math.floor(frames.length / FRAME_BYTES)
  const survey: Survey = { kept: 0, end: first, bytes: 0, lastGroup: 0, acknowledged: false, damaged: false }
  let end = first
  let bytes = 0
  let group = 0
  let index = 0
  for (; index < records; index++) {
    const frame = decodeFrame(frames, index)
    if (frame === undefined || frame.first !== end || frame.position !== bytes) break
    if (frame.groupBefore === 0) group = index
    end += frame.count
    bytes += frame.lengthBytes
    if (frame.groupBefore + frame.count !== frame.groupCount) continue
    survey.kept = index + 1
    survey.end = end
    survey.bytes = bytes
    survey.acknowledged = frame.count === 0
    if (frame.count > 0) survey.lastGroup = group
  }
  for (; index < records; index++) {
    const frame = decodeFrame(frames, index)
    if (frame !== undefined && frame.first - frame.groupBefore > survey.end) survey.damaged = true
  }
  return survey
}

function writeWide(into: Buffer, value: number, at: number): void {
  into.writeUInt32BE(Math.floor(value / 2 ** 32), at)
  into.writeUInt32BE(value >>> 0, at + 4)
}

function readWide(from: Buffer, at: number): number {
  return from.readUInt32BE(at) * 2 ** 32 + from.readUInt32BE(at + 4)
}
