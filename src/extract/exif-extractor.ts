/**
 * `exif`: what cameras and people wrote into a picture. EXIF's tags under Pillow's names, and beside them the same facts in
 * the form that columns want: place, time, numbers, IPTC, XMP and texts.
 */
import type { Json } from '../base/json.ts'
import { TRUNCATED } from './canonical.ts'
import type { Extractor } from './extract.ts'
import { positionOf } from './gps.ts'
import type { Draft } from './image-head.ts'
import { imageHead, isReadImage } from './image-walk.ts'
import { readIptc } from './iptc.ts'
import { numbersOf } from './numbers.ts'
import { takenOf } from './taken.ts'
import { readXmp } from './xmp.ts'

export const exifExtractor: Extractor = {
  name: 'exif',
  version: 1,
  appliesTo: (subject) => isReadImage(subject.sniffed),
  /** A broken head is reported by `image`; here it only means fewer facts. */
  async extract(subject, bytes) {
    if (!isReadImage(subject.sniffed)) return {}
    const { draft } = await imageHead(subject.sniffed, bytes)
    return writtenFacts(draft)
  },
}

function writtenFacts(draft: Draft): { [key: string]: Json } {
  const exif = draft.exif?.exif ?? {}
  const facts: { [key: string]: Json } = { exif, gps: positionOf(exif['GPSInfo']), taken: takenOf(exif) }
  const numbers = numbersOf(exif)
  if (Object.keys(numbers).length > 0) facts['numbers'] = numbers
  const comment = draft.exif?.userComment ?? null
  if (comment !== null) facts['user_comment'] = comment
  const iptc = draft.iptc === null ? null : readIptc(draft.iptc)
  if (iptc !== null) facts['iptc'] = iptc
  const xmp = draft.xmp === null ? null : readXmp(draft.xmp)
  if (xmp !== null) facts['xmp'] = xmp
  if (draft.text.size > 0) facts['text'] = Object.fromEntries(draft.text)
  if (draft.truncated.length > 0) facts[TRUNCATED] = [...new Set(draft.truncated)]
  return facts
}
