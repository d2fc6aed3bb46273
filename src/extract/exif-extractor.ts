/**
 * `exif`: what cameras and people wrote into a picture. EXIF's tags under Pillow's names, and beside them the same facts in
 * the form that columns want: place, time, numbers, IPTC, XMP and texts.
 */
import type { Json } from '../base/json.ts'
import { TRUNCATED } from './canonical.ts'
import type { Extractor } from './extract.ts'
import { fact, facts, record, texts } from './fact-schema.ts'
import { positionOf } from './gps.ts'
import type { Draft } from './image-head.ts'
import { imageHead, isReadImage } from './image-walk.ts'
import { readIptc } from './iptc.ts'
import { numbersOf } from './numbers.ts'
import { takenOf } from './taken.ts'
import { readXmp } from './xmp.ts'

const schema = facts(
  'exif',
  {
    exif: fact(
      'object',
      'tags under the names that Pillow uses (`DateTime`, `ISOSpeedRatings`, `SubsecTimeOriginal`, `GPSInfo` nested); unnamed tags under their number',
    ),
    gps: {
      ...record(
        {
          latitude: fact('number', 'decimal degrees, 7 decimals, south negative'),
          longitude: fact('number', 'decimal degrees, 7 decimals, west negative'),
          altitude_m: fact('number | null', 'metres above the sea'),
        },
        { at: fact('string', 'time of the fix, UTC') },
      ),
      type: ['object', 'null'],
      description: 'where it was taken; null when no place is known for certain',
    },
    taken: {
      ...record({
        local: fact('string', 'DateTimeOriginal with SubsecTimeOriginal'),
        offset: fact('string | null', 'OffsetTimeOriginal'),
        utc: fact('string | null', 'the moment; null without an offset: no zone is ever guessed'),
      }),
      type: ['object', 'null'],
      description: 'when it was taken; null without a date that exists',
    },
  },
  {
    numbers: {
      type: 'object',
      additionalProperties: { type: ['number', 'null', 'array'] },
      description: 'the rational tags of `exif` as numbers, 7 decimals; a denominator of 0 is null',
    },
    user_comment: fact('string', 'the decoded UserComment'),
    iptc: fact(
      'object',
      '`title` `headline` `caption` `keywords[]` `byline[]` `byline_title[]` `credit` `source` `copyright` `contact[]` `caption_writer[]` `city` `sublocation` `state` `country` `country_code` `category` `supplemental_categories[]` `urgency` `instructions` `date_created` `time_created` `program` `transmission_reference`',
    ),
    xmp: fact(
      'object',
      '`title` `description` `subject[]` `creator[]` `rights` `format` `rating` `created` `modified` `metadata_date` `creator_tool` `label` `headline` `city` `state` `country` `country_code` `location` `credit` `source` `date_created` `creator_position` `caption_writer` `instructions` `transmission_reference` `category` `urgency` `genre` `scene[]` `subject_code[]` `alt_text` `person[]` `event` `rights_marked` `usage_terms` `web_statement` `document_id` `instance_id` `original_document_id` `hierarchical_subject[]`',
    ),
    text: texts("PNG's texts by keyword; a GIF's first comment as `Comment`"),
  },
)

export const exifExtractor: Extractor = {
  name: 'exif',
  version: 1,
  schema,
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
