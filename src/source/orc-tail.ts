/**
 * What an ORC file says of itself, in Protocol Buffers: postscript, footer and the footers of its stripes (ORC Specification v1). Pure.
 * Fields that are of no use here are skipped by their wire type.
 */
import { Fault } from '../base/fault.ts'

export type OrcCompression = 'none' | 'zlib' | 'snappy' | 'zstd'

export interface OrcPostscript {
  footerBytes: number
  metadataBytes: number
  compression: OrcCompression
}

export interface OrcStripe {
  offset: number
  indexBytes: number
  dataBytes: number
  footerBytes: number
  rows: number
}

export interface OrcType {
  /** As the specification numbers them. */
  kind: number
  subtypes: number[]
  fieldNames: string[]
}

export interface OrcFooter {
  stripes: OrcStripe[]
  types: OrcType[]
  rows: number
}

export interface OrcStream {
  kind: number
  column: number
  bytes: number
}

export interface OrcEncoding {
  kind: number
  dictionarySize: number
}

export interface OrcStripeFooter {
  streams: OrcStream[]
  encodings: OrcEncoding[]
  writerTimezone: string
}

const COMPRESSIONS: Record<number, OrcCompression> = { 0: 'none', 1: 'zlib', 2: 'snappy', 5: 'zstd' }

/** @throws Fault `corrupt`, `unsupported` (a compression that is not read) */
export function readPostscript(bytes: Uint8Array): OrcPostscript {
  const found = { footerBytes: 0, metadataBytes: 0, compression: 0, magic: '' }
  for (const { field, number, bytes: value } of messageFields(bytes)) {
    if (field === 1) found.footerBytes = number
    else if (field === 2) found.compression = number
    else if (field === 5) found.metadataBytes = number
    else if (field === 8000) found.magic = Buffer.from(value).toString('latin1')
  }
  if (found.magic !== 'ORC')
    throw new Fault('corrupt', 'expected an ORC file, whose last part names it so; it does not')
  const compression = COMPRESSIONS[found.compression]
  if (compression === undefined) {
    const known = Object.values(COMPRESSIONS).join(', ')
    throw new Fault(
      'unsupported',
      `expected an ORC file compressed by one of ${known}, got number ${found.compression}`,
    )
  }
  return { footerBytes: found.footerBytes, metadataBytes: found.metadataBytes, compression }
}

/** @throws Fault `corrupt` */
export function readFooter(bytes: Uint8Array): OrcFooter {
  const footer: OrcFooter = { stripes: [], types: [], rows: 0 }
  for (const { field, number, bytes: value } of messageFields(bytes)) {
    if (field === 3) footer.stripes.push(readStripe(value))
    else if (field === 4) footer.types.push(readType(value))
    else if (field === 6) footer.rows = number
  }
  return footer
}

function readStripe(bytes: Uint8Array): OrcStripe {
  const stripe: OrcStripe = { offset: 0, indexBytes: 0, dataBytes: 0, footerBytes: 0, rows: 0 }
  for (const { field, number } of messageFields(bytes)) {
    if (field === 1) stripe.offset = number
    else if (field === 2) stripe.indexBytes = number
    else if (field === 3) stripe.dataBytes = number
    else if (field === 4) stripe.footerBytes = number
    else if (field === 5) stripe.rows = number
  }
  return stripe
}

function readType(bytes: Uint8Array): OrcType {
  const type: OrcType = { kind: 0, subtypes: [], fieldNames: [] }
  for (const { field, number, bytes: value, isBytes } of messageFields(bytes)) {
    if (field === 1) type.kind = number
    else if (field === 2) type.subtypes.push(...(isBytes ? packed(value) : [number]))
    else if (field === 3) type.fieldNames.push(Buffer.from(value).toString('utf8'))
  }
  return type
}

/** @throws Fault `corrupt` */
export function readStripeFooter(bytes: Uint8Array): OrcStripeFooter {
  const footer: OrcStripeFooter = { streams: [], encodings: [], writerTimezone: '' }
  for (const { field, bytes: value } of messageFields(bytes)) {
    if (field === 1) {
      const stream: OrcStream = { kind: 0, column: 0, bytes: 0 }
      for (const { field: inner, number } of messageFields(value)) {
        if (inner === 1) stream.kind = number
        else if (inner === 2) stream.column = number
        else if (inner === 3) stream.bytes = number
      }
      footer.streams.push(stream)
    } else if (field === 2) {
      const encoding: OrcEncoding = { kind: 0, dictionarySize: 0 }
      for (const { field: inner, number } of messageFields(value)) {
        if (inner === 1) encoding.kind = number
        else if (inner === 2) encoding.dictionarySize = number
      }
      footer.encodings.push(encoding)
    } else if (field === 3) footer.writerTimezone = Buffer.from(value).toString('utf8')
  }
  return footer
}

interface Field {
  field: number
  /** Of a number. */
  number: number
  /** Of a text, a message or packed numbers. */
  bytes: Uint8Array
  isBytes: boolean
}

const NOTHING = new Uint8Array()

function* messageFields(bytes: Uint8Array): Generator<Field> {
  const at = { offset: 0 }
  while (at.offset < bytes.length) {
    const tag = varint(bytes, at)
    const field = Math.floor(tag / 8)
    switch (tag % 8) {
      case 0:
        yield { field, number: varint(bytes, at), bytes: NOTHING, isBytes: false }
        break
      case 2: {
        const length = varint(bytes, at)
        const end = at.offset + length
        if (end > bytes.length) throw cutOff()
        yield { field, number: 0, bytes: bytes.subarray(at.offset, end), isBytes: true }
        at.offset = end
        break
      }
      case 1:
        at.offset += 8
        break
      case 5:
        at.offset += 4
        break
      default:
        throw new Fault('corrupt', 'expected the description of an ORC file, got bytes of another form')
    }
  }
}

function packed(bytes: Uint8Array): number[] {
  const at = { offset: 0 }
  const numbers: number[] = []
  while (at.offset < bytes.length) numbers.push(varint(bytes, at))
  return numbers
}

/** A number of seven bits a byte, the lowest first. Beyond 2^53 its last digits are lost. @throws Fault `corrupt` */
export function varint(bytes: Uint8Array, at: { offset: number }): number {
  let value = 0
  let scale = 1
  for (let count = 0; count < 10; count++) {
    const byte = bytes[at.offset]
    if (byte === undefined) throw cutOff()
    at.offset++
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
    scale *= 128
  }
  throw new Fault('corrupt', 'expected a number of at most ten bytes in an ORC file')
}

export function cutOff(): Fault {
  return new Fault('corrupt', 'a part of an ORC file ends before it is whole')
}
