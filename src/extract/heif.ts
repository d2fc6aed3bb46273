/**
 * HEIF: HEIC and AVIF (ISO/IEC 23008-12, ISO/IEC 14496-12). Walks the boxes to `meta`, takes the properties of the primary
 * item, and reads the Exif and XMP items that describe it. Rotation and mirroring are properties here: decoders apply them
 * by themselves, so EXIF's orientation is not applied on top.
 */
import { limits } from '../base/limits.ts'
import { type Box, boxes, type Item, parseMeta } from './heif-meta.ts'
import { type Draft, invalid, setSize, takeExif, truncated, type Window } from './image-head.ts'
import { latin1, tag4, untilNul } from './text.ts'

/** Boxes of the file looked at before `meta`. */
const BOXES_MAX = 64
/** Item data that is read in one piece. */
const EXTENTS_MAX = 16

export async function walkHeif(window: Window, draft: Draft): Promise<void> {
  const meta = await findMeta(window)
  const { primary, items, properties, idatAt } = parseMeta(meta.bytes, meta.at)
  const item = items.get(primary)
  if (item === undefined) throw invalid('a HEIF whose primary item is missing')
  for (const index of item.properties) {
    const property = properties[index - 1]
    if (property !== undefined) applyProperty(draft, property)
  }
  if (draft.width === null) throw invalid('a HEIF whose primary item has no size')
  for (const other of items.values()) {
    if (other.auxiliaryOf.includes(primary) && isAlpha(other, properties)) draft.hasAlpha = true
  }
  draft.mode = draft.hasAlpha ? 'RGBA' : 'RGB'
  for (const other of items.values()) {
    if (!other.describes.includes(primary)) continue
    if (other.type === 'Exif' && draft.exif === null) {
      const bytes = await itemBytes(window, draft, other, idatAt, 'exif')
      // Four bytes say how far behind them the TIFF header begins.
      if (bytes !== null && bytes.length > 4)
        takeExif(draft, bytes.subarray(4 + Math.min(be32(bytes, 0), bytes.length - 4)))
    } else if (other.type === 'mime' && other.contentType === 'application/rdf+xml') {
      draft.xmp ??= await itemBytes(window, draft, other, idatAt, 'xmp')
    }
  }
}

function be32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at)
}

/** The body of the file's `meta` box. */
async function findMeta(window: Window): Promise<{ bytes: Uint8Array; at: number }> {
  let at = 0
  for (let count = 0; count < BOXES_MAX && at < window.sizeBytes; count++) {
    const head = await window.bytes(at, 16)
    if (head.length < 8) break
    let size = be32(head, 0)
    let headBytes = 8
    if (size === 1 && head.length === 16) {
      size = be32(head, 8) * 0x1_0000_0000 + be32(head, 12)
      headBytes = 16
    } else if (size === 0) size = window.sizeBytes - at
    if (size < headBytes) throw invalid(`a HEIF box of ${size} bytes`)
    if (tag4(head, 4) === 'meta') {
      const length = size - headBytes
      if (length > limits.metadataBlockBytesMax) throw invalid(`a HEIF whose meta box has ${length} bytes`)
      const bytes = await window.bytes(at + headBytes, length)
      if (bytes.length < length) throw truncated('the HEIF meta box is cut off')
      return { bytes, at: at + headBytes }
    }
    at += size
  }
  throw truncated('the file ends before its HEIF meta box')
}

function applyProperty(draft: Draft, { type, body }: Box): void {
  switch (type) {
    case 'ispe':
      if (body.length >= 12 && draft.width === null) setSize(draft, be32(body, 4), be32(body, 8))
      return
    case 'irot':
      draft.container = { swapsSides: ((body[0] ?? 0) & 1) === 1 }
      return
    case 'imir':
      draft.container ??= { swapsSides: false }
      return
    case 'pixi':
      if (body.length >= 6) draft.bitDepth = body[5]!
      return
    case 'colr':
      colour(draft, body)
      return
    case 'av1C':
      // Bits 6 and 5 of the third byte: high bit depth, twelve bits.
      if (body.length >= 3) draft.bitDepth ??= (body[2]! & 0x40) === 0 ? 8 : (body[2]! & 0x20) === 0 ? 10 : 12
      return
    case 'hvcC':
      if (body.length >= 18) draft.bitDepth ??= (body[17]! & 0x07) + 8
      return
    default:
      return
  }
}

function colour(draft: Draft, body: Uint8Array): void {
  const kind = tag4(body, 0)
  if (kind === 'prof' || kind === 'rICC') draft.icc ??= body.subarray(4)
  else if (kind === 'nclx' && body.length >= 6) {
    // Primaries by ITU-T H.273: 1 are sRGB's, 12 Display P3's, 9 those of BT.2020.
    const primaries = (body[4]! << 8) | body[5]!
    draft.colorSpace =
      primaries === 1 ? 'sRGB' : primaries === 12 ? 'Display P3' : primaries === 9 ? 'BT.2020' : draft.colorSpace
  }
}

const ALPHA = new Set([
  'urn:mpeg:mpegB:cicp:systems:auxiliary:alpha',
  'urn:mpeg:hevc:2015:auxid:1',
  'urn:mpeg:avc:2015:auxid:1',
])

function isAlpha(item: Item, properties: readonly Box[]): boolean {
  return item.properties.some((index) => {
    const property = properties[index - 1]
    return property?.type === 'auxC' && ALPHA.has(untilNul(latin1(property.body.subarray(4))))
  })
}

async function itemBytes(
  window: Window,
  draft: Draft,
  item: Item,
  idatAt: number,
  path: string,
): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = []
  let total = 0
  for (const extent of item.extents.slice(0, EXTENTS_MAX)) {
    total += extent.length
    if (total > limits.metadataBlockBytesMax) {
      draft.truncated.push(path)
      return null
    }
    if (item.method > 1 || (item.method === 1 && idatAt < 0)) return null
    parts.push(await window.bytes((item.method === 1 ? idatAt : 0) + extent.offset, extent.length))
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/** Brands of still pictures and their sequences → Pillow's format; null for other users of the same boxes (video). */
export function heifFormat(head: Uint8Array): 'AVIF' | 'HEIF' | null {
  const ftyp = boxes(head.subarray(0, 512), 0, 1)[0]
  if (ftyp === undefined || ftyp.type !== 'ftyp') return null
  const brands = new Set<string>([tag4(ftyp.body, 0)])
  for (let at = 8; at + 4 <= ftyp.body.length; at += 4) brands.add(tag4(ftyp.body, at))
  if (brands.has('avif') || brands.has('avis')) return 'AVIF'
  return ['heic', 'heix', 'hevc', 'heim', 'heis', 'hevm', 'mif1', 'msf1'].some((brand) => brands.has(brand))
    ? 'HEIF'
    : null
}
