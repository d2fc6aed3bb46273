/** WebP (RFC 9649): the chunks of the RIFF file, jumped over one by one; metadata may stand behind the pixels. */
import { limits } from '../base/limits.ts'
import { type Draft, invalid, setSize, takeExif, truncated, type Window } from './image-head.ts'
import { tag4 } from './text.ts'

const CHUNKS_MAX = 10_000

export async function walkWebp(window: Window, draft: Draft): Promise<void> {
  let at = 12
  let frames = 0
  let animated = false
  for (let count = 0; count < CHUNKS_MAX && at + 8 <= window.sizeBytes; count++) {
    const head = window.peek(at, 8) ?? (await window.bytes(at, 8))
    const type = tag4(head, 0)
    const length = new DataView(head.buffer, head.byteOffset, head.byteLength).getUint32(4, true)
    if (type === 'ANMF') frames++
    else if (type === 'VP8X' || ((type === 'VP8 ' || type === 'VP8L') && draft.width === null)) {
      const body = await window.bytes(at + 8, Math.min(length, 16))
      if (type === 'VP8X') animated = extended(draft, body) || animated
      else if (type === 'VP8 ') lossy(draft, body)
      else lossless(draft, body)
    } else if (type === 'EXIF' || type === 'XMP ' || type === 'ICCP') {
      if (length > limits.metadataBlockBytesMax)
        draft.truncated.push(type === 'EXIF' ? 'exif' : type === 'ICCP' ? 'image.icc' : 'xmp')
      else {
        const body = await window.bytes(at + 8, length)
        if (type === 'EXIF') takeExif(draft, body)
        else if (type === 'XMP ') draft.xmp ??= body
        else draft.icc ??= body
      }
    }
    at += 8 + length + (length & 1)
  }
  if (draft.width === null) throw truncated('the file ends before its WebP frame header')
  draft.mode = draft.hasAlpha ? 'RGBA' : 'RGB'
  draft.bitDepth = 8
  if (animated) draft.frames = at >= window.sizeBytes ? Math.max(1, frames) : null
}

/** VP8X: flags and the canvas. True when animated. */
function extended(draft: Draft, body: Uint8Array): boolean {
  if (body.length < 10) throw truncated('the WebP header is cut off')
  const flags = body[0]!
  draft.hasAlpha = (flags & 0x10) !== 0
  setSize(
    draft,
    1 + (body[4]! | (body[5]! << 8) | (body[6]! << 16)),
    1 + (body[7]! | (body[8]! << 8) | (body[9]! << 16)),
  )
  return (flags & 0x02) !== 0
}

function lossy(draft: Draft, body: Uint8Array): void {
  if (body.length < 10) throw truncated('the VP8 frame header is cut off')
  if (body[3] !== 0x9d || body[4] !== 0x01 || body[5] !== 0x2a)
    throw invalid('a WebP whose VP8 frame has no start code')
  setSize(draft, (body[6]! | (body[7]! << 8)) & 0x3fff, (body[8]! | (body[9]! << 8)) & 0x3fff)
}

function lossless(draft: Draft, body: Uint8Array): void {
  if (body.length < 5) throw truncated('the VP8L header is cut off')
  if (body[0] !== 0x2f) throw invalid('a WebP whose VP8L frame has no signature')
  const bits = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(1, true)
  draft.hasAlpha = ((bits >>> 28) & 1) === 1
  setSize(draft, 1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff))
}
