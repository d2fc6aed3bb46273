/**
 * Reading ahead of an object that is read in order: each request to a store costs more than the bytes that it brings. Who jumps
 * gets what was asked for and no more. Bound: one block of `aheadBytes` per object that is read.
 */
import { limits } from '../base/limits.ts'
import type { RangeReader } from './extract.ts'

/** @param sizeBytes of the object: nothing is asked for beyond it */
export function readingAhead(
  read: RangeReader,
  sizeBytes: number,
  aheadBytes: number = limits.readAheadBytes,
): RangeReader {
  let block: { start: number; bytes: Uint8Array } = { start: 0, bytes: new Uint8Array(0) }
  let lastEnd = Number.NEGATIVE_INFINITY
  return async (start, end) => {
    const isOnward = start >= lastEnd && start - lastEnd <= aheadBytes
    lastEnd = end
    const from = start - block.start
    // Copies: what is sent to a worker takes the memory that it lies in along.
    if (from >= 0 && end <= block.start + block.bytes.length) return block.bytes.slice(from, from + end - start)
    const to = isOnward ? Math.max(end, Math.min(sizeBytes, start + aheadBytes)) : end
    const bytes = await read(start, to)
    if (to === end) return bytes
    block = { start, bytes }
    return bytes.slice(0, end - start)
  }
}
