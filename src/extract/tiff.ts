/**
 * TIFF 6.0 and BigTIFF. Directories may stand anywhere, usually at the end: the reader asks for the bytes it misses, they
 * are fetched, and it reads again from the start. Reading is pure and short, fetching is bounded, so this stays simple.
 */
import { limits } from '../base/limits.ts'
import type { BlockReader, Facts, readExif } from './exif.ts'
import { type Draft, invalid, setSize, takeExifFrom, truncated, type Window } from './image-head.ts'
import { iptcInPhotoshop } from './iptc.ts'

/** Ranges fetched besides the head. */
const FETCHES_MAX = 64
/** Pages counted; beyond, `frames` is null. */
const PAGES_MAX = 256

export async function walkTiff(window: Window, draft: Draft): Promise<void> {
  const pieces = new Pieces(window)
  await pieces.read((block) => takeExifFrom(Object.assign(draft, { exif: null, truncated: [] }), block))
  const exif = draft.exif
  if (exif === null) throw invalid('a TIFF whose header is broken')
  draft.icc = exif.icc
  draft.iptc = exif.iptc ?? (exif.photoshop === null ? null : iptcInPhotoshop(exif.photoshop))
  const [width, height] = [firstNumber(exif.exif['ImageWidth']), firstNumber(exif.exif['ImageLength'])]
  if (width === null || height === null) throw truncated('the first TIFF directory has no size')
  setSize(draft, width, height)
  describePixels(draft, exif.exif)
  draft.frames = await countPages(window, exif)
}

/** The bytes of a file that were asked for so far. */
class Pieces {
  readonly #window: Window
  readonly #held: { start: number; bytes: Uint8Array }[] = []

  constructor(window: Window) {
    this.#window = window
  }

  /** Runs `work` until it misses nothing, fetching what it missed in between. */
  async read(work: (block: BlockReader) => void): Promise<void> {
    const size = this.#window.sizeBytes
    for (let fetches = 0; ; fetches++) {
      let missed: { start: number; end: number } | null = null
      work((start, end) => {
        if (start < 0 || end > size || start > end) return null
        const found = this.#find(start, end)
        if (found === null) missed ??= { start, end }
        return found
      })
      if (missed === null || fetches >= FETCHES_MAX) return
      const { start, end } = missed as { start: number; end: number }
      const bytes = await this.#window.bytes(
        start,
        Math.max(end - start, Math.min(limits.extractNextBytes, size - start)),
      )
      this.#held.push({ start, bytes })
    }
  }

  #find(start: number, end: number): Uint8Array | null {
    const there = this.#window.peek(start, end - start)
    if (there !== undefined) return there
    const piece = this.#held.find((one) => start >= one.start && end <= one.start + one.bytes.length)
    return piece === undefined ? null : piece.bytes.subarray(start - piece.start, end - piece.start)
  }
}

function firstNumber(value: unknown): number | null {
  const one: unknown = Array.isArray(value) ? value[0] : value
  return typeof one === 'number' ? one : null
}

function numbers(value: unknown): number[] {
  return (Array.isArray(value) ? value : [value]).filter((one): one is number => typeof one === 'number')
}

function describePixels(draft: Draft, tags: Facts): void {
  const bits = numbers(tags['BitsPerSample'])
  const samples = firstNumber(tags['SamplesPerPixel']) ?? Math.max(bits.length, 1)
  const depth = bits[0] ?? 1
  const extra = numbers(tags['ExtraSamples'])
  draft.bitDepth = depth
  draft.hasAlpha = extra.some((kind) => kind === 1 || kind === 2)
  draft.mode = modeOf(
    firstNumber(tags['PhotometricInterpretation']) ?? 1,
    samples,
    depth,
    firstNumber(tags['SampleFormat']) ?? 1,
    draft.hasAlpha,
  )
}

/** Pillow's mode for the combinations that it reads; null for the others. */
function modeOf(
  photometric: number,
  samples: number,
  depth: number,
  sampleFormat: number,
  hasAlpha: boolean,
): string | null {
  switch (photometric) {
    case 0:
    case 1:
      if (samples >= 2) return hasAlpha ? 'LA' : 'L'
      if (depth === 1) return '1'
      if (sampleFormat === 3) return 'F'
      if (depth === 16) return sampleFormat === 2 ? 'I' : 'I;16'
      return depth === 32 ? 'I' : depth <= 12 ? 'L' : null
    case 2:
      return hasAlpha && samples >= 4 ? 'RGBA' : 'RGB'
    case 3:
      return hasAlpha ? 'PA' : 'P'
    case 5:
      return 'CMYK'
    case 6:
      return 'RGB'
    case 8:
      return 'LAB'
    default:
      return null
  }
}

/** Length of the chain of directories; null when it is longer than the bound. A loop or a broken link ends it. */
async function countPages(window: Window, first: NonNullable<ReturnType<typeof readExif>>): Promise<number | null> {
  const seen = new Set<number>()
  let at = first.nextIfd
  for (let pages = 1; pages <= PAGES_MAX; pages++) {
    if (at === 0 || seen.has(at) || !Number.isSafeInteger(at)) return pages
    seen.add(at)
    const head = await window.bytes(at, first.bigTiff ? 8 : 2)
    if (head.length < (first.bigTiff ? 8 : 2)) return pages
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
    const entries = first.bigTiff
      ? Number(view.getBigUint64(0, first.littleEndian))
      : view.getUint16(0, first.littleEndian)
    const link = at + (first.bigTiff ? 8 + entries * 20 : 2 + entries * 12)
    const next = await window.bytes(link, first.bigTiff ? 8 : 4)
    if (next.length < (first.bigTiff ? 8 : 4)) return pages + 1
    const nextView = new DataView(next.buffer, next.byteOffset, next.byteLength)
    at = first.bigTiff
      ? Number(nextView.getBigUint64(0, first.littleEndian))
      : nextView.getUint32(0, first.littleEndian)
  }
  return null
}
