/**
 * Puffin files (Iceberg, "Puffin file format", version 1): blobs one after another, and a footer in JSON that says what each is.
 *
 *     PFA1 blob… PFA1 footer-json length(4, little endian) flags(4) PFA1
 *
 * Written and read here without compression of the footer; blobs are opaque and say themselves how they are packed.
 */
import { Fault, messageOf } from '../../base/fault.ts'
import { type Json, parseJson, stringifyJson } from '../../base/json.ts'
import { asArray, asId, asObject, asText, asWhole, type JsonObject, type Place, required } from './json-reader.ts'

const MAGIC = Buffer.from('PFA1', 'latin1')
const TAIL_BYTES = 4 + 4 + MAGIC.length

/** What a blob is about. */
export interface BlobFacts {
  type: string
  /** Field ids that it was computed from. */
  fields: number[]
  /** The snapshot that it was computed from, and its sequence number. */
  snapshotId: bigint
  sequenceNumber: number
  properties: Record<string, string>
}

export interface Puffin {
  bytes: Buffer
  /** From the footer's magic to the end of the file. */
  footerBytes: number
}

export function encodePuffin(
  blobs: readonly { facts: BlobFacts; bytes: Uint8Array }[],
  properties: Record<string, string> = {},
): Puffin {
  let offset = MAGIC.length
  const described = blobs.map(({ facts, bytes }) => {
    const { type, fields, snapshotId, sequenceNumber } = facts
    const at = offset
    offset += bytes.length
    return {
      type,
      fields,
      'snapshot-id': snapshotId,
      'sequence-number': sequenceNumber,
      offset: at,
      length: bytes.length,
      properties: facts.properties,
    }
  })
  const json = Buffer.from(stringifyJson({ blobs: described, properties }))
  const tail = Buffer.alloc(8)
  tail.writeInt32LE(json.length, 0)
  const footer = Buffer.concat([MAGIC, json, tail, MAGIC])
  return { bytes: Buffer.concat([MAGIC, ...blobs.map(({ bytes }) => bytes), footer]), footerBytes: footer.length }
}

/** The blobs of type `type`, their bytes as they stand in the file. @throws Fault `corrupt`, `unsupported` (packed footers and blobs) */
export function readPuffin(file: Uint8Array, type: string): { properties: Record<string, string>; bytes: Buffer }[] {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  const { blobs, start } = footerOf(bytes)
  return blobs.flatMap((blob, at) => {
    const place: Place = { path: `blobs[${at}]`, kind: 'corrupt' }
    const object = asObject(blob, place)
    if (required(object, 'type', place, asText) !== type) return []
    required(object, 'snapshot-id', place, asId)
    if (object['compression-codec'] !== undefined && object['compression-codec'] !== null)
      throw new Fault('unsupported', `expected ${place.path} of a Puffin file to be stored as it is, got it compressed`)
    const offset = required(object, 'offset', place, asWhole)
    const length = required(object, 'length', place, asWhole)
    if (offset < MAGIC.length || length < 0 || offset + length > start)
      throw new Fault('corrupt', `${place.path} of a Puffin file lies outside of its ${start} bytes of blobs`)
    const properties = Object.entries(asObject(object['properties'] ?? {}, place)).map(
      ([name, value]) => [name, asText(value, place)] as const,
    )
    return [{ properties: Object.fromEntries(properties), bytes: bytes.subarray(offset, offset + length) }]
  })
}

/** The footer's blobs, and where the footer begins. */
function footerOf(bytes: Buffer): { blobs: Json[]; start: number } {
  const end = bytes.length - TAIL_BYTES
  const whole = end >= 2 * MAGIC.length && startsAt(bytes, 0) && startsAt(bytes, bytes.length - MAGIC.length)
  const length = whole ? bytes.readInt32LE(end) : -1
  const start = end - length
  if (length < 0 || start < 2 * MAGIC.length || !startsAt(bytes, start - MAGIC.length))
    throw new Fault('corrupt', `expected a Puffin file, got ${bytes.length} bytes without its frame`)
  if (bytes.readInt32LE(end + 4) !== 0)
    throw new Fault('unsupported', 'expected a Puffin file with a plain footer, got a packed one')
  return { blobs: parseFooter(bytes.subarray(start, end).toString('utf8')), start: start - MAGIC.length }
}

function parseFooter(text: string): Json[] {
  const place: Place = { path: 'the footer of a Puffin file', kind: 'corrupt' }
  let footer: JsonObject
  try {
    footer = asObject(parseJson(text), place)
  } catch (error) {
    throw new Fault('corrupt', `the footer of a Puffin file is no JSON: ${messageOf(error)}`, {}, error)
  }
  return required(footer, 'blobs', place, asArray)
}

function startsAt(bytes: Buffer, at: number): boolean {
  return bytes.subarray(at, at + MAGIC.length).equals(MAGIC)
}
