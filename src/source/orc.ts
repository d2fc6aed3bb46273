/**
 * Reads ORC files as S3 Inventory writes them: one struct of texts, numbers, booleans and timestamps.
 *
 * A stripe is read at a time, and of it only the columns that are asked for. A column of another type is refused; one that the file
 * does not have is null throughout.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { inflateRawSync, zstdDecompressSync } from 'node:zlib'
import { Fault, isFault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { bitRuns, byteRuns, numberRunsV1, numberRunsV2 } from './orc-runs.ts'
import {
  type OrcCompression,
  type OrcEncoding,
  type OrcFooter,
  type OrcStripe,
  type OrcStripeFooter,
  readFooter,
  readPostscript,
  readStripeFooter,
} from './orc-tail.ts'
import { unpackSnappy } from './snappy.ts'

export type OrcValue = string | number | boolean | null

/** Columns by name, each with one value per row. Timestamps are milliseconds since 1970. */
export interface OrcBatch {
  rows: number
  columns: Map<string, OrcValue[]>
}

const KIND = {
  boolean: 0,
  byte: 1,
  short: 2,
  int: 3,
  long: 4,
  string: 7,
  timestamp: 9,
  struct: 12,
  varchar: 16,
  char: 17,
  timestampInstant: 18,
} as const

const STREAM = { present: 0, data: 1, length: 2, dictionaryData: 3, secondary: 5 } as const

/** From 1970 to the start of 2015, where ORC's timestamps begin. */
const EPOCH_SECONDS = 1_420_070_400

/**
 * The rows of a file, a stripe at a time.
 * @throws Fault `corrupt`, `unsupported` (a type or encoding that inventories do not have), `limit`, `unavailable`
 */
export async function* readOrc(file: string, names: readonly string[]): AsyncGenerator<OrcBatch> {
  const handle = await open(file)
  try {
    const size = (await handle.stat()).size
    const { footer, compression } = await readTail(handle, size)
    const root = footer.types[0]
    if (root?.kind !== KIND.struct) throw new Fault('unsupported', 'expected an ORC file of rows with named columns')
    const wanted = new Map(
      root.fieldNames
        .map((name, at): [string, number] => [name, root.subtypes[at] ?? -1])
        .filter(([name]) => names.includes(name)),
    )
    for (const stripe of footer.stripes) yield await readStripe(handle, { footer, compression, stripe, wanted })
  } catch (error) {
    if (!isFault(error)) throw new Fault('unavailable', `${file} cannot be read: ${messageOf(error)}`, {}, error)
    throw new Fault(error.kind, `${file}: ${error.message}`, error.facts, error)
  } finally {
    await handle.close()
  }
}

async function readTail(handle: FileHandle, size: number): Promise<{ footer: OrcFooter; compression: OrcCompression }> {
  const last = await readAt(handle, Math.max(0, size - 256), Math.min(256, size))
  const postscriptBytes = last.at(-1) ?? 0
  if (postscriptBytes + 1 > last.length) throw new Fault('corrupt', 'expected an ORC file, got one that is too short')
  const postscript = readPostscript(last.subarray(last.length - 1 - postscriptBytes, last.length - 1))
  const { footerBytes, compression } = postscript
  if (footerBytes > limits.orcTailBytesMax || footerBytes + postscriptBytes + 1 > size)
    throw new Fault('corrupt', `expected a footer within the file of ${size} bytes, got one of ${footerBytes}`)
  const packed = await readAt(handle, size - 1 - postscriptBytes - footerBytes, footerBytes)
  return { footer: readFooter(unpack(packed, compression, limits.orcTailBytesMax)), compression }
}

interface StripeParts {
  footer: OrcFooter
  compression: OrcCompression
  stripe: OrcStripe
  wanted: ReadonlyMap<string, number>
}

async function readStripe(handle: FileHandle, parts: StripeParts): Promise<OrcBatch> {
  const { compression, stripe, wanted, footer } = parts
  const { offset, indexBytes, dataBytes, footerBytes, rows } = stripe
  if (rows > limits.orcStripeRowsMax)
    throw new Fault('limit', `expected stripes of at most ${limits.orcStripeRowsMax} rows, got ${rows}`)
  const packed = await readAt(handle, offset + indexBytes + dataBytes, footerBytes)
  const stripeFooter = readStripeFooter(unpack(packed, compression, limits.orcTailBytesMax))
  const columns = new Map<string, OrcValue[]>()
  for (const [name, column] of wanted) {
    const streams = new Map<number, Uint8Array>()
    let at = offset
    for (const stream of stripeFooter.streams) {
      const isWanted = stream.column === column && stream.bytes > 0 && STREAM_KINDS.has(stream.kind)
      if (isWanted) {
        const bytes = await readAt(handle, at, stream.bytes)
        streams.set(stream.kind, unpack(bytes, compression, limits.orcStreamBytesMax))
      }
      at += stream.bytes
    }
    const type = footer.types[column]
    const encoding = stripeFooter.encodings[column] ?? { kind: 0, dictionarySize: 0 }
    columns.set(name, columnOf({ name, kind: type?.kind ?? -1, streams, encoding, rows, stripeFooter }))
  }
  return { rows, columns }
}

const STREAM_KINDS = new Set<number>(Object.values(STREAM))

interface ColumnParts {
  name: string
  kind: number
  streams: ReadonlyMap<number, Uint8Array>
  encoding: OrcEncoding
  rows: number
  stripeFooter: OrcStripeFooter
}

function columnOf(parts: ColumnParts): OrcValue[] {
  const { streams, rows } = parts
  const present = streams.get(STREAM.present)
  if (present === undefined) return valuesOf(parts, rows)
  const isThere = bitRuns(present, rows)
  const values = valuesOf(parts, isThere.filter(Boolean).length)
  let next = 0
  return isThere.map((there) => (there ? values[next++]! : null))
}

function valuesOf(parts: ColumnParts, count: number): OrcValue[] {
  const { name, kind, streams, encoding, stripeFooter } = parts
  const stream = (which: number) => streams.get(which) ?? new Uint8Array()
  const isSecond = encoding.kind >= 2
  const numbers = (which: number, of: number, signed: boolean) =>
    (isSecond ? numberRunsV2 : numberRunsV1)(stream(which), of, signed)
  switch (kind) {
    case KIND.boolean:
      return bitRuns(stream(STREAM.data), count)
    case KIND.byte:
      return Array.from(byteRuns(stream(STREAM.data), count), (byte) => (byte << 24) >> 24)
    case KIND.short:
    case KIND.int:
    case KIND.long:
      return numbers(STREAM.data, count, true)
    case KIND.timestamp:
    case KIND.timestampInstant: {
      const zone = stripeFooter.writerTimezone
      if (kind === KIND.timestamp && !['', 'UTC', 'GMT', 'Etc/UTC', 'Z'].includes(zone))
        throw new Fault('unsupported', `expected timestamps of column ${name} in UTC, got zone ${zone}`)
      const nanos = numbers(STREAM.secondary, count, false)
      return numbers(STREAM.data, count, true).map(
        (seconds, at) => (seconds + EPOCH_SECONDS) * 1000 + Math.floor(nanosOf(nanos[at]!) / 1e6),
      )
    }
    case KIND.string:
    case KIND.varchar:
    case KIND.char: {
      const isDictionary = encoding.kind === 1 || encoding.kind === 3
      if (!isDictionary) return textsOf(stream(STREAM.data), numbers(STREAM.length, count, false))
      const words = textsOf(stream(STREAM.dictionaryData), numbers(STREAM.length, encoding.dictionarySize, false))
      return numbers(STREAM.data, count, false).map((at) => {
        const word = words[at]
        if (word === undefined) throw new Fault('corrupt', `column ${name} names a text that its dictionary lacks`)
        return word
      })
    }
    default:
      throw new Fault(
        'unsupported',
        `expected column ${name} to be a text, number, boolean or timestamp, got ORC type number ${kind}`,
      )
  }
}

/** The lowest three bits say how many zeros were left away, less one. */
function nanosOf(value: number): number {
  const zeros = value % 8
  const digits = Math.floor(value / 8)
  return zeros === 0 ? digits : digits * 10 ** (zeros + 1)
}

function textsOf(bytes: Uint8Array, lengths: readonly number[]): string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  return lengths.map((length) => {
    if (at + length > buffer.length) throw new Fault('corrupt', 'the texts of an ORC column end before they are whole')
    const text = buffer.toString('utf8', at, at + length)
    at += length
    return text
  })
}

/** Blocks, each behind three bytes: its length, and whether it is packed. */
function unpack(bytes: Uint8Array, compression: OrcCompression, bytesMax: number): Uint8Array {
  if (compression === 'none') return bytes
  const blocks: Uint8Array[] = []
  let size = 0
  for (let at = 0; at < bytes.length; ) {
    if (at + 3 > bytes.length) throw new Fault('corrupt', 'a packed part of an ORC file ends before it is whole')
    const header = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)
    const end = at + 3 + (header >> 1)
    if (end > bytes.length) throw new Fault('corrupt', 'a packed part of an ORC file ends before it is whole')
    const block = bytes.subarray(at + 3, end)
    const plain = (header & 1) === 1 ? block : unpackBlock(block, compression, bytesMax - size)
    size += plain.length
    if (size > bytesMax) throw new Fault('limit', `expected at most ${bytesMax} bytes in a part of an ORC file`)
    blocks.push(plain)
    at = end
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks)
}

function unpackBlock(block: Uint8Array, compression: Exclude<OrcCompression, 'none'>, bytesMax: number): Uint8Array {
  if (compression === 'snappy') return unpackSnappy(block, bytesMax)
  try {
    const options = { maxOutputLength: Math.max(1, bytesMax) }
    return compression === 'zlib' ? inflateRawSync(block, options) : zstdDecompressSync(block, options)
  } catch (error) {
    throw new Fault('corrupt', `a packed part of an ORC file cannot be unpacked: ${messageOf(error)}`, {}, error)
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  const { bytesRead } = await handle.read(bytes, 0, length, position)
  if (bytesRead === length) return bytes
  throw new Fault('corrupt', `expected ${length} bytes at ${position} of an ORC file, got ${bytesRead}`)
}
