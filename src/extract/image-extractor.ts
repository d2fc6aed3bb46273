/** `image`: size, format and kind of pixels of a picture, from its head alone. No pixel is decoded, so a bomb costs nothing. */
import type { Json } from '../base/json.ts'
import type { ByteSource, Extractor, ExtractSubject } from './extract.ts'
import { fact, facts, record, word } from './fact-schema.ts'
import { profileDescription } from './icc.ts'
import { type Draft, invalid, truncated } from './image-head.ts'
import { imageHead, isReadImage } from './image-walk.ts'
import { claimsImage } from './sniff.ts'
import { hasAscii } from './text.ts'

const schema = facts('image', {
  image: record(
    {
      image_width: fact(
        'integer | null',
        'width as stored, before any orientation; SVG in CSS pixels, null if it states no size',
      ),
      image_height: fact('integer | null', 'height as stored'),
      format: word(['JPEG', 'PNG', 'GIF', 'WEBP', 'TIFF', 'BMP', 'ICO', 'HEIF', 'AVIF', 'SVG'], 'kind of file'),
      mode: fact(
        'string | null',
        "Pillow's name of the pixels: `1` `L` `LA` `P` `PA` `RGB` `RGBA` `CMYK` `LAB` `I` `I;16` `F` …; null for SVG and unknown",
      ),
      bit_depth: fact('integer | null', 'bits of one sample (of one pixel, with a palette)'),
      orientation: fact(
        'integer',
        '1 to 8 as EXIF numbers them; anything else counts as 1. Always 1 for HEIF and AVIF, whose files turn themselves',
        { minimum: 1, maximum: 8 },
      ),
      display_width: fact(
        'integer | null',
        'width after the orientation, or the turn that a HEIF or AVIF file asks for',
      ),
      display_height: fact('integer | null', 'height after it'),
      frames: fact('integer | null', 'pictures or pages; null when counting them all would read too much, and for SVG'),
      has_alpha: fact('boolean', 'it can be see-through'),
      color_space: fact(
        'string | null',
        'by the profile, else by the container, else by EXIF: `sRGB`, `Display P3`, …; null when nobody says',
      ),
      icc: fact('string | null', 'name of the colour profile'),
    },
    {
      progressive: fact('boolean', 'JPEG: it appears in several passes'),
      interlaced: fact('boolean', 'PNG: it appears in several passes'),
    },
  ),
})

export const imageExtractor: Extractor = {
  name: 'image',
  version: 1,
  schema,
  /** Pictures; and objects that are named as pictures but are none, so that this can be said. */
  appliesTo: (subject) => isReadImage(subject.sniffed) || claimsImage(subject.key),
  async extract(subject, bytes) {
    if (!isReadImage(subject.sniffed)) throw await notAnImage(subject, bytes)
    const { draft, fault } = await imageHead(subject.sniffed, bytes)
    if (fault !== null) {
      // A walk that failed after the size was known still tells the size.
      if (draft.width === null) throw fault
    }
    return { image: imageFacts(draft) }
  },
}

/** What the bytes of a file that is named as a picture are instead. */
async function notAnImage(subject: ExtractSubject, bytes: ByteSource): Promise<Error> {
  const head = await bytes.read(0, 16)
  if (isBeginning(head)) return truncated(`${head.length} bytes are the beginning of an image and no more`)
  return invalid(`not an image: the name ends like one, the bytes are ${subject.sniffed ?? 'of no known type'}`)
}

/** True when the whole object is the beginning of a signature. */
function isBeginning(head: Uint8Array): boolean {
  return ['\xff\xd8\xff', '\x89PNG\r\n\x1a\n', 'GIF89a', 'GIF87a', 'RIFF'].some(
    (signature) => head.length < signature.length && hasAscii(head, 0, signature.slice(0, head.length)),
  )
}

/** Orientation as EXIF numbers it: 1 unless the tag holds 2 to 8; 1 too where the container turns the picture itself. */
function orientationOf(draft: Draft): number {
  if (draft.format === 'AVIF' || draft.format === 'HEIF') return 1
  const value = draft.exif?.exif['Orientation']
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 8 ? value : 1
}

function imageFacts(draft: Draft): { [key: string]: Json } {
  const orientation = orientationOf(draft)
  const swaps = draft.container?.swapsSides ?? orientation >= 5
  const icc = profileDescription(draft.icc)
  const facts: { [key: string]: Json } = {
    image_width: draft.width,
    image_height: draft.height,
    format: draft.format,
    mode: draft.mode,
    bit_depth: draft.bitDepth,
    orientation,
    display_width: swaps ? draft.height : draft.width,
    display_height: swaps ? draft.width : draft.height,
    frames: draft.frames,
    has_alpha: draft.hasAlpha,
    color_space: colorSpaceOf(draft, icc),
    icc,
  }
  if (draft.progressive !== undefined) facts['progressive'] = draft.progressive
  if (draft.interlaced !== undefined) facts['interlaced'] = draft.interlaced
  return facts
}

/** A profile's word counts first, then the container's, then EXIF's; null when nobody says. */
function colorSpaceOf(draft: Draft, icc: string | null): string | null {
  if (icc !== null) return /^sRGB/i.test(icc) ? 'sRGB' : icc
  if (draft.colorSpace !== null) return draft.colorSpace
  const exif = draft.exif?.exif['ColorSpace']
  return exif === 1 ? 'sRGB' : exif === 2 ? 'Adobe RGB' : null
}
