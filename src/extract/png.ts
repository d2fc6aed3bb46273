/** PNG and APNG (W3C PNG, third edition): the chunks before the pixels, and those after them as far as they are cheap to reach. */
import { crc32 } from '../base/hash.ts'
import { limits } from '../base/limits.ts'
import { type Draft, invalid, setSize, takeExif, truncated, type Window } from './image-head.ts'
import { inflated, takeText } from './png-text.ts'
import { tag4 } from './text.ts'

/** Chunks looked at, and fetches made past the pixels by jumping from chunk to chunk. */
const CHUNKS_MAX = 20_000
const JUMPS_MAX = 8
const READ_CHUNKS = new Set(['IHDR', 'acTL', 'tRNS', 'iCCP', 'sRGB', 'eXIf', 'tEXt', 'zTXt', 'iTXt'])

export async function walkPng(window: Window, draft: Draft): Promise<void> {
  let at = 8
  let jumps = 0
  let pixels = false
  for (let count = 0; count < CHUNKS_MAX && at < window.sizeBytes; count++) {
    let head = window.peek(at, 8)
    if (head === undefined) {
      if (pixels && ++jumps > JUMPS_MAX) return readTail(window, draft)
      head = await window.bytes(at, 8)
    }
    if (head.length < 8) break
    const length = view(head).getUint32(0)
    const type = tag4(head, 4)
    if (draft.width === null && type !== 'IHDR') throw invalid('a PNG whose first chunk is not IHDR')
    if (type === 'IEND') return
    if (type === 'IDAT') {
      pixels = true
      draft.frames ??= 1
    }
    if (READ_CHUNKS.has(type)) {
      if (length > limits.metadataBlockBytesMax) draft.truncated.push(nameOf(type))
      else {
        const body = await window.bytes(at + 8, length)
        if (body.length < length) break
        takeChunk(draft, type, body)
      }
    }
    at += 12 + length
  }
  if (draft.width === null) throw truncated('the file ends inside its PNG header')
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function nameOf(type: string): string {
  return type === 'eXIf' ? 'exif' : type === 'iCCP' ? 'image.icc' : 'text'
}

/**
 * Pixels may be split into thousands of chunks; rather than follow them all, the end of the file is looked through for
 * chunks that can stand after them. A candidate counts only with the right checksum.
 */
async function readTail(window: Window, draft: Draft): Promise<void> {
  const start = Math.max(0, window.sizeBytes - limits.extractHeadBytes)
  const tail = await window.bytes(start, window.sizeBytes - start)
  for (let at = 4; at + 8 <= tail.length; at++) {
    const type = tag4(tail, at)
    if (type !== 'eXIf' && type !== 'iTXt' && type !== 'tEXt' && type !== 'zTXt') continue
    const length = view(tail).getUint32(at - 4)
    const end = at + 4 + length
    if (end + 4 > tail.length || crc32(tail.subarray(at, end)) !== view(tail).getUint32(end)) continue
    takeChunk(draft, type, tail.subarray(at + 4, end))
    at = end + 3
  }
}

function takeChunk(draft: Draft, type: string, body: Uint8Array): void {
  switch (type) {
    case 'IHDR':
      header(draft, body)
      return
    case 'acTL':
      if (body.length >= 8) draft.frames = Math.max(1, view(body).getUint32(0))
      return
    case 'tRNS':
      draft.hasAlpha = true
      return
    case 'sRGB':
      draft.colorSpace = 'sRGB'
      return
    case 'iCCP': {
      const nul = body.indexOf(0)
      if (nul >= 0 && draft.icc === null) draft.icc = inflated(body.subarray(nul + 2), limits.metadataBlockBytesMax)
      return
    }
    case 'eXIf':
      takeExif(draft, body)
      return
    case 'tEXt':
    case 'zTXt':
    case 'iTXt':
      takeText(draft, type, body)
      return
    default:
      return
  }
}

/** Colour type and depth → Pillow's mode. */
const MODES: Record<number, (depth: number) => string> = {
  0: (depth) => (depth === 1 ? '1' : depth === 16 ? 'I;16' : 'L'),
  2: () => 'RGB',
  3: () => 'P',
  4: (depth) => (depth === 16 ? 'RGBA' : 'LA'),
  6: () => 'RGBA',
}

function header(draft: Draft, body: Uint8Array): void {
  if (draft.width !== null) return
  if (body.length < 13) throw truncated('the PNG header is cut off')
  const header = view(body)
  const [width, height] = [header.getUint32(0), header.getUint32(4)]
  const [depth, colour] = [body[8]!, body[9]!]
  const mode = MODES[colour]
  if (mode === undefined || ![1, 2, 4, 8, 16].includes(depth))
    throw invalid(`a PNG of colour type ${colour} and ${depth} bits`)
  if (width > 0x7fff_ffff || height > 0x7fff_ffff)
    throw invalid(`a PNG of ${width} x ${height}: the format ends at 2147483647`)
  setSize(draft, width, height)
  draft.mode = mode(depth)
  draft.bitDepth = depth
  draft.hasAlpha = colour === 4 || colour === 6
  draft.interlaced = body[12] === 1
}
