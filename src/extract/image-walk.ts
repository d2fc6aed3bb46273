/** Chooses the walker for a type and runs it once for each source, however many extractors ask. */
import { type Fault, isFault } from '../base/fault.ts'
import { walkBmp, walkIco } from './bitmap.ts'
import type { ByteSource } from './extract.ts'
import { walkGif } from './gif.ts'
import { heifFormat, walkHeif } from './heif.ts'
import { type Draft, invalid, newDraft, Window, type WindowShape } from './image-head.ts'
import { walkJpeg } from './jpeg.ts'
import { walkPng } from './png.ts'
import { walkSvg } from './svg.ts'
import { walkTiff } from './tiff.ts'
import { walkWebp } from './webp.ts'

type Walker = { format: string; walk: (window: Window, draft: Draft) => Promise<void> }

const WALKERS: ReadonlyMap<string, Walker> = new Map([
  ['image/jpeg', { format: 'JPEG', walk: walkJpeg }],
  ['image/png', { format: 'PNG', walk: walkPng }],
  ['image/apng', { format: 'PNG', walk: walkPng }],
  ['image/gif', { format: 'GIF', walk: walkGif }],
  ['image/webp', { format: 'WEBP', walk: walkWebp }],
  ['image/tiff', { format: 'TIFF', walk: walkTiff }],
  ['image/bmp', { format: 'BMP', walk: walkBmp }],
  ['image/x-icon', { format: 'ICO', walk: walkIco }],
  ['image/avif', { format: 'AVIF', walk: walkHeif }],
  ['image/heic', { format: 'HEIF', walk: walkHeif }],
  ['image/heif', { format: 'HEIF', walk: walkHeif }],
  ['image/heic-sequence', { format: 'HEIF', walk: walkHeif }],
  ['image/heif-sequence', { format: 'HEIF', walk: walkHeif }],
  ['image/svg+xml', { format: 'SVG', walk: walkSvg }],
])

/** True for the types whose head is read here. */
export function isReadImage(sniffed: string | null): sniffed is string {
  return sniffed !== null && WALKERS.has(sniffed)
}

export interface ImageHead {
  /** What was found, complete or not. */
  draft: Draft
  /** Why it is not complete; null when it is. Faults of reading (`limit`, `superseded`, …) among them. */
  fault: Fault | null
}

const walked = new WeakMap<ByteSource, Promise<ImageHead>>()

/** The head of an image of one of the types above. Never rejects with a fault: it is in the result. */
export function imageHead(sniffed: string, source: ByteSource): Promise<ImageHead> {
  const known = walked.get(source)
  if (known !== undefined) return known
  const head = walkHead(sniffed, source)
  walked.set(source, head)
  return head
}

/** As `imageHead`, not shared; tests choose how much is fetched at a time. */
export async function walkHead(sniffed: string, source: ByteSource, shape?: WindowShape): Promise<ImageHead> {
  const walker = WALKERS.get(sniffed)
  const draft = newDraft(walker?.format ?? '')
  try {
    if (walker === undefined) throw invalid(`not an image that is read here: ${sniffed}`)
    const window = await Window.open(source, shape)
    // A sequence is told apart from a video by its brands.
    if (walker.walk === walkHeif) draft.format = heifFormat(await window.bytes(0, 512)) ?? draft.format
    await walker.walk(window, draft)
    return { draft, fault: null }
  } catch (error) {
    if (isFault(error)) return { draft, fault: error }
    throw error
  }
}
