/** Reading a segment: from its frames to entries, every block checked against its checksum. */
import { Fault, systemCode } from '../base/fault.ts'
import { crc32 } from '../base/hash.ts'
import type { LogEntry } from './log.ts'
import type { LogFile, LogFs } from './log-fs.ts'
import { blockOf, decodeFrame, type Frame } from './segment-frames.ts'

/** A segment's NDJSON file and the records that describe it, all known to be good. */
export interface Readable {
  path: string
  first: number
  frames: Buffer
  frameCount: number
  /** Offset after its last entry. */
  end: number
}

/**
 * Appends to `into` the entries of one segment from `from` on, until there are `limit` or about `bytesMax` bytes were read.
 * @returns bytes read @throws Fault `corrupt` naming file and position
 */
export async function readEntries(
  fs: LogFs,
  segment: Readable,
  from: number,
  limit: number,
  bytesMax: number,
  into: LogEntry[],
): Promise<number> {
  const file = await openToRead(fs, segment.path, from)
  let bytesRead = 0
  try {
    let index = Math.max(0, blockOf(segment.frames, segment.frameCount, from))
    for (; index < segment.frameCount && into.length < limit && bytesRead < bytesMax; index++) {
      const frame = decodeFrame(segment.frames, index)!
      if (frame.count === 0) continue
      const text = (await readBlock(file, segment.path, frame)).toString('utf8')
      bytesRead += frame.lengthBytes
      takeLines(text, frame, from, limit, into)
    }
  } finally {
    await file.close()
  }
  return bytesRead
}

/** Reads every block of a sealed segment. @throws Fault `corrupt` when one does not match, or the file has other bytes too */
export async function verifySegment(fs: LogFs, segment: Readable): Promise<void> {
  const file = await openToRead(fs, segment.path, segment.first)
  try {
    let end = 0
    for (let index = 0; index < segment.frameCount; index++) {
      const frame = decodeFrame(segment.frames, index)!
      await readBlock(file, segment.path, frame)
      end = frame.position + frame.lengthBytes
    }
    const sizeBytes = await file.sizeBytes()
    if (sizeBytes !== end) throw damage(segment.path, end, `ends at byte ${sizeBytes} instead`, segment.end)
  } finally {
    await file.close()
  }
}

/** The fault for stored bytes that contradict what was written. */
export function damage(path: string, position: number, how: string, offset: number): Fault {
  return new Fault(
    'corrupt',
    `${path} is damaged at byte ${position} (offset ${offset}): it ${how}. Restore the file from a copy; nothing was skipped.`,
    { path, position, offset },
  )
}

async function readBlock(file: LogFile, path: string, frame: Frame): Promise<Buffer> {
  const bytes = await file.read(frame.position, frame.lengthBytes)
  if (bytes.length !== frame.lengthBytes) {
    throw damage(path, frame.position, `has ${bytes.length} bytes there, expected ${frame.lengthBytes}`, frame.first)
  }
  const crc = crc32(bytes)
  if (crc !== frame.crc) {
    throw damage(path, frame.position, `has checksum ${crc} there, expected ${frame.crc}`, frame.first)
  }
  return bytes
}

function takeLines(text: string, frame: Frame, from: number, limit: number, into: LogEntry[]): void {
  let start = 0
  for (let offset = frame.first; offset < frame.first + frame.count && into.length < limit; offset++) {
    const end = text.indexOf('\n', start)
    if (offset >= from) into.push({ offset, text: text.slice(start, end) })
    start = end + 1
  }
}

/** Opens a file that must be there. @throws Fault `corrupt` when it is not */
export async function openToRead(fs: LogFs, path: string, offset: number): Promise<LogFile> {
  try {
    return await fs.open(path, 'read')
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    throw damage(path, 0, 'is not there', offset)
  }
}
