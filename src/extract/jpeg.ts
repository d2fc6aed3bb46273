/** JPEG (ITU-T T.81): the segments before the first scan. Nothing of the pixels is read. */
import { limits } from '../base/limits.ts'
import { type Draft, invalid, setSize, takeExif, truncated, type Window } from './image-head.ts'
import { iptcInPhotoshop } from './iptc.ts'
import { hasAscii } from './text.ts'

const XMP_HEADER = 'http://ns.adobe.com/xap/1.0/\0'
const ICC_HEADER = 'ICC_PROFILE\0'

/** Segments looked at before the walk gives up; a real file has a few dozen. */
const SEGMENTS_MAX = 2_000
/** Bytes that belong to no segment are passed over, as decoders do, up to this many in one place. */
const STRAY_BYTES_MAX = 4_096

export async function walkJpeg(window: Window, draft: Draft): Promise<void> {
  const profile: (Uint8Array | undefined)[] = []
  let at = 2
  for (let count = 0; count < SEGMENTS_MAX; count++) {
    at = await nextMarker(window, at)
    const head = window.peek(at, 4) ?? (await window.bytes(at, 4))
    const marker = head[1]
    if (marker === undefined) return finish(draft, profile, 'the file ends before its frame header')
    if (marker === 0xda || marker === 0xd9) return finish(draft, profile, 'the pixels begin without a frame header')
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2
      continue
    }
    if (head.length < 4) return finish(draft, profile, 'the file ends before its frame header')
    const length = (head[2]! << 8) | head[3]!
    if (length < 2) return finish(draft, profile, `a segment of length ${length}`)
    const bodyAt = at + 4
    const bodyLength = length - 2
    if (isFrame(marker) || isRead(marker)) {
      const body = window.peek(bodyAt, bodyLength) ?? (await window.bytes(bodyAt, bodyLength))
      segment(draft, profile, marker, body)
    }
    at += 2 + length
  }
  finish(draft, profile, `no frame header among ${SEGMENTS_MAX} segments`)
}

/** The offset of the next `FF` that a marker follows: past fill bytes and stray bytes. */
async function nextMarker(window: Window, from: number): Promise<number> {
  let at = from
  for (let stray = 0; stray < STRAY_BYTES_MAX; ) {
    const two = window.peek(at, 2) ?? (await window.bytes(at, 2))
    if (two.length < 2) return window.sizeBytes
    if (two[0] === 0xff && two[1] !== 0xff && two[1] !== 0) return at
    if (two[0] !== 0xff || two[1] === 0) stray++
    else {
      // Fill bytes: any number of FF may stand before a marker.
      const run = window.peek(at, limits.extractNextBytes) ?? (await window.bytes(at, limits.extractNextBytes))
      let skip = 0
      while (skip + 1 < run.length && run[skip + 1] === 0xff) skip++
      at += Math.max(skip, 1)
      stray += skip > 1_024 ? STRAY_BYTES_MAX : 0
      continue
    }
    at++
  }
  return window.sizeBytes
}

function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
}

/** APP1 (EXIF, XMP), APP2 (profile), APP13 (Photoshop). */
function isRead(marker: number): boolean {
  return marker === 0xe1 || marker === 0xe2 || marker === 0xed
}

function segment(draft: Draft, profile: (Uint8Array | undefined)[], marker: number, body: Uint8Array): void {
  if (isFrame(marker)) frame(draft, marker, body)
  else if (marker === 0xe1) {
    if (hasAscii(body, 0, 'Exif\0')) takeExif(draft, body)
    else if (draft.xmp === null && hasAscii(body, 0, XMP_HEADER)) draft.xmp = body.slice(XMP_HEADER.length)
  } else if (marker === 0xe2) {
    if (hasAscii(body, 0, ICC_HEADER) && body.length > 14) profile[body[12]!] ??= body.slice(14)
  } else draft.iptc ??= iptcInPhotoshop(body)?.slice() ?? null
}

function frame(draft: Draft, marker: number, body: Uint8Array): void {
  if (draft.width !== null) return
  if (body.length < 6) throw truncated('the JPEG frame header is cut off')
  const components = body[5]!
  draft.bitDepth = body[0]!
  draft.progressive = (marker & 0x03) === 2
  draft.mode = components === 1 ? 'L' : components === 3 ? 'RGB' : components === 4 ? 'CMYK' : null
  if (draft.mode === null) throw invalid(`a JPEG of ${components} components: expected 1, 3 or 4`)
  setSize(draft, (body[3]! << 8) | body[4]!, (body[1]! << 8) | body[2]!)
}

function finish(draft: Draft, profile: (Uint8Array | undefined)[], problem: string): void {
  const parts = profile.filter((part) => part !== undefined)
  if (parts.length > 0) draft.icc = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  if (draft.width === null) throw truncated(problem)
}
