/** Byte ranges: the same rule for every adapter, and reading one from an open file without the rest. */
import type { FileHandle } from 'node:fs/promises'
import { Fault } from '../base/fault.ts'

export interface ByteRange {
  start: number
  end: number
}

/** One read system call takes at most this much. */
const readBytesMax = 1024 * 1024 * 1024

/** The part of `range` that an object of `sizeBytes` has: the end cut, empty when the start is past it. */
export function clampRange(range: ByteRange | undefined, sizeBytes: number): ByteRange {
  if (range === undefined) return { start: 0, end: sizeBytes }
  const { start, end } = range
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new Fault('invalid', `expected a byte range with 0 <= start <= end, got start ${start} and end ${end}`)
  }
  return { start: Math.min(start, sizeBytes), end: Math.min(end, sizeBytes) }
}

/** The bytes of `range`, in memory of their own. Shorter only when the file was cut while it was read. */
export async function readRange(handle: FileHandle, range?: ByteRange): Promise<Uint8Array> {
  const { start, end } = clampRange(range, (await handle.stat()).size)
  const bytes = Buffer.allocUnsafeSlow(end - start)
  let filled = 0
  while (filled < bytes.length) {
    const wanted = Math.min(bytes.length - filled, readBytesMax)
    const { bytesRead } = await handle.read(bytes, filled, wanted, start + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
