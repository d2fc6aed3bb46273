/**
 * What the head of an image tells, in one form for all formats. A walker fills a `Draft` while it reads, so that what it
 * found before it met the end of a broken file is kept. `image-extractor.ts` and `exif-extractor.ts` both read the result;
 * the walk is done once for each source.
 */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type BlockReader, blockOf, type ExifBlock, readExif } from './exif.ts'
import type { ByteSource } from './extract.ts'
import { hasAscii } from './text.ts'

/** What a walker found. Sizes are as stored, before any orientation. */
export interface Draft {
  /** Pillow's name of the format. */
  format: string
  /** Pillow's name of the pixel mode; null where there are no pixels (SVG) or it is not known. */
  mode: string | null
  width: number | null
  height: number | null
  /** Bits of one sample; null when not told. */
  bitDepth: number | null
  /** Pictures or pages; null when they were not all counted. */
  frames: number | null
  hasAlpha: boolean
  progressive?: boolean
  interlaced?: boolean
  /** Quarter turns and mirroring that the container itself asks for, so that EXIF's orientation must not be applied. */
  container?: { swapsSides: boolean }
  /** The colour profile's bytes. */
  icc: Uint8Array | null
  /** Named by the container when there is no profile, e.g. `sRGB`. */
  colorSpace: string | null
  exif: ExifBlock | null
  xmp: Uint8Array | null
  iptc: Uint8Array | null
  /** Texts by keyword, as PNG and GIF hold them. */
  text: Map<string, string>
  /** What a bound left out, as paths in the facts. */
  truncated: string[]
}

export function newDraft(format: string): Draft {
  return {
    format,
    mode: null,
    width: null,
    height: null,
    bitDepth: null,
    frames: 1,
    hasAlpha: false,
    icc: null,
    colorSpace: null,
    exif: null,
    xmp: null,
    iptc: null,
    text: new Map(),
    truncated: [],
  }
}

/** The file ends (or breaks off) before what is needed. */
export function truncated(what: string): Fault {
  return new Fault('corrupt', `truncated: ${what}`, { reason: 'truncated' })
}

/** The bytes contradict their own format. */
export function invalid(what: string): Fault {
  return new Fault('corrupt', what, { reason: 'invalid' })
}

/** Sets the size, refusing sides of zero. */
export function setSize(draft: Draft, width: number, height: number): void {
  if (width === 0 || height === 0) throw invalid(`zero dimension: the ${draft.format} header says ${width} x ${height}`)
  draft.width = width
  draft.height = height
}

/** Takes an EXIF block unless one was found before: the first wins. A wrong `Exif\0\0` in front of it is passed over. */
export function takeExif(draft: Draft, bytes: Uint8Array): void {
  if (draft.exif !== null) return
  if (bytes.length > limits.metadataBlockBytesMax) draft.truncated.push('exif')
  const at = hasAscii(bytes, 0, 'Exif\0\0') ? 6 : 0
  takeExifFrom(draft, blockOf(bytes.subarray(at, at + limits.metadataBlockBytesMax)))
}

/** As `takeExif`, from any reader of a TIFF block. */
export function takeExifFrom(draft: Draft, read: BlockReader): void {
  const block = readExif(read)
  if (block === null) return
  draft.exif = block
  draft.truncated.push(...block.truncated)
  draft.xmp ??= block.xmp
}

/** How much a window fetches first, and at least with each further fetch. */
export interface WindowShape {
  headBytes: number
  nextBytes: number
}

export const defaultShape: WindowShape = { headBytes: limits.extractHeadBytes, nextBytes: limits.extractNextBytes }

/**
 * A window on the bytes of an object: the head, then one further range at a time, exactly where a walker says.
 * Two ranges are held, so that a value behind a header does not fetch the header again.
 */
export class Window {
  readonly sizeBytes: number
  readonly #source: ByteSource
  readonly #head: Uint8Array
  readonly #nextBytes: number
  #bytes: Uint8Array
  #base = 0

  private constructor(source: ByteSource, head: Uint8Array, nextBytes: number) {
    this.#source = source
    this.#nextBytes = nextBytes
    this.sizeBytes = source.sizeBytes
    this.#head = head
    this.#bytes = head
  }

  static async open(source: ByteSource, { headBytes, nextBytes } = defaultShape): Promise<Window> {
    return new Window(source, await source.read(0, Math.min(headBytes, source.sizeBytes)), nextBytes)
  }

  /** Bytes [start, start + length) if they are at hand; undefined when they must be fetched. Cut at the object's end. */
  peek(start: number, length: number): Uint8Array | undefined {
    const end = Math.min(start + length, this.sizeBytes)
    if (start >= end) return new Uint8Array(0)
    if (end <= this.#head.length) return this.#head.subarray(start, end)
    if (start >= this.#base && end <= this.#base + this.#bytes.length)
      return this.#bytes.subarray(start - this.#base, end - this.#base)
    return undefined
  }

  /** Bytes [start, start + length), fetched if need be. Shorter at the object's end. */
  async bytes(start: number, length: number): Promise<Uint8Array> {
    const there = this.peek(start, length)
    if (there !== undefined) return there
    await this.load(start, length)
    return this.peek(start, length)!
  }

  /** Fetches a range of at least `length` bytes from `start`. */
  async load(start: number, length: number): Promise<void> {
    const end = Math.min(this.sizeBytes, start + Math.max(length, this.#nextBytes))
    this.#bytes = await this.#source.read(start, end)
    this.#base = start
  }
}
