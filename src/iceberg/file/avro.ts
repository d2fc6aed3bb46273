/**
 * Avro object container files (Avro 1.11 specification, "Object Container Files"), as Iceberg uses them.
 *
 * The container is read and written here, the records by `avsc`: a schema that has passed through avsc has lost its
 * `field-id`s, and avsc's own decoder ends without an error when a file was cut. A file that ends inside a block is
 * fault `corrupt` here; one cut exactly between two blocks is found by the counts in the manifest list.
 */
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
// As a whole: Node before 22.15 has no zstd, and would not link.
import zlib from 'node:zlib'
import avsc from 'avsc'
import { Fault, messageOf } from '../../base/fault.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'

const deflate = promisify(zlib.deflateRaw)
const inflate = promisify(zlib.inflateRaw)
const unzstd = (packed: Uint8Array, options: zlib.ZstdOptions) => promisify(zlib.zstdDecompress)(packed, options)

/** An Avro schema as its JSON, with Iceberg's `field-id`, `element-id` and `logicalType` members. */
export type AvroSchema = string | AvroSchema[] | { [member: string]: Json | AvroSchema }
export type AvroRecord = Record<string, unknown>

const MAGIC = Buffer.from('Obj\x01', 'latin1')
const SYNC_BYTES = 16
/** Bytes of records that are compressed together. */
const BLOCK_BYTES = 256 * 1024
/** Level 3 is twice as fast as the default and costs a tenth in size on manifests. */
const DEFLATE_LEVEL = 3

const noJson = () => {
  throw new Error('not used')
}
const bigintLong = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(0),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeBigInt64LE(value)
    return bytes
  },
  fromJSON: noJson,
  toJSON: noJson,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
})

/**
 * How records look in memory. A path is the canonical names from the outermost record down to the field.
 */
export interface AvroView {
  /** The canonical name of a field, found by its id: names differ between writers. Default: its own name, sanitized. */
  name?(fieldId: number | undefined, own: string): string | undefined
  /** Longs that are bigint in memory; all others are numbers, and a value beyond 2^53-2 is an error. Default: none. */
  bigint?(path: readonly string[]): boolean
  /** Fields that are read; others are skipped without being made. Default: all. */
  keep?(path: readonly string[]): boolean
}

/** A name that Avro allows, made as Java's Iceberg makes it; letters beyond ASCII count as letters for Java but not here. */
export function avroName(name: string): string {
  return Array.from(name, (character, index) => {
    if (/[A-Za-z_]/.test(character) || (index > 0 && /[0-9]/.test(character))) return character
    if (/[0-9]/.test(character)) return `_${character}`
    return Array.from(
      { length: character.length },
      (_, i) => `_x${character.charCodeAt(i).toString(16).toUpperCase()}`,
    ).join('')
  }).join('')
}

/** A copy of `schema` with canonical names, whose bigint longs are marked for `typeHook`; unwanted fields are gone. */
function prepare(schema: AvroSchema, path: string[], view: AvroView): AvroSchema {
  if (typeof schema === 'string')
    return schema === 'long' && view.bigint?.(path) ? { type: 'long', bigint: true } : schema
  if (Array.isArray(schema)) return schema.map((branch) => prepare(branch, path, view))
  const type = schema['type'] as AvroSchema
  if (type === 'record') {
    const fields: AvroSchema[] = []
    for (const field of schema['fields'] as { name: string; type: AvroSchema; 'field-id'?: number }[]) {
      const name = view.name?.(field['field-id'], field.name) ?? avroName(field.name)
      const below = [...path, name]
      if (view.keep?.(below) ?? true) fields.push({ ...field, name, type: prepare(field.type, below, view) })
    }
    return { ...schema, fields }
  }
  if (type === 'array') return { ...schema, items: prepare(schema['items'] as AvroSchema, path, view) }
  if (type === 'map') return { ...schema, values: prepare(schema['values'] as AvroSchema, path, view) }
  if (type === 'long') return { type: 'long', bigint: view.bigint?.(path) ?? false }
  if (typeof type === 'object') return prepare(type, path, view)
  return schema
}

interface Codec {
  type: avsc.Type
  /** From rows as they were written; undefined: as they are. */
  resolver: ReturnType<avsc.Type['createResolver']> | undefined
}

/**
 * What was made of prepared schemas, by their text: making it takes milliseconds, longer than reading most manifests, and
 * all manifests of a table have the same. Emptied when it reaches its bound.
 */
const codecs = new Map<string, Codec>()

/** @param wanted what is read of `written`, prepared both; absent: all */
function codecOf(written: AvroSchema, wanted?: AvroSchema): Codec {
  const key = JSON.stringify([written, wanted])
  const known = codecs.get(key)
  if (known !== undefined) return known
  const writer = typeOf(written)
  const type = wanted === undefined ? writer : typeOf(wanted)
  const codec: Codec = { type, resolver: wanted === undefined ? undefined : type.createResolver(writer) }
  if (codecs.size >= limits.avroCodecsKept) codecs.clear()
  codecs.set(key, codec)
  return codec
}

function typeOf(schema: AvroSchema): avsc.Type {
  return avsc.Type.forSchema(schema as avsc.Schema, {
    wrapUnions: false as unknown as 'never',
    typeHook: (part) => ((part as unknown as { bigint?: boolean } | null)?.bigint === true ? bigintLong : undefined),
  })
}

/** Writes all rows in one file. `metadata` are the header's texts beside the schema and the codec. @param bigint as in `AvroView` */
export async function writeAvro(
  schema: AvroSchema,
  metadata: Record<string, string>,
  rows: Iterable<AvroRecord>,
  bigint: (path: readonly string[]) => boolean,
): Promise<Buffer> {
  const { type } = codecOf(prepare(schema, [], { bigint }))
  const sync = randomBytes(SYNC_BYTES)
  const parts: Buffer[] = [
    header({ 'avro.schema': JSON.stringify(schema), 'avro.codec': 'deflate', ...metadata }, sync),
  ]
  let block = Buffer.allocUnsafe(BLOCK_BYTES)
  let used = 0
  let count = 0
  const flush = async () => {
    if (count === 0) return
    const data = await deflate(block.subarray(0, used), { level: DEFLATE_LEVEL, chunkSize: BLOCK_BYTES })
    parts.push(Buffer.concat([zigzag(count), zigzag(data.length)]), data, sync)
    used = 0
    count = 0
  }
  for (const row of rows) {
    let end = type.encode(row, block, used)
    if (end < 0) {
      await flush()
      end = type.encode(row, block, 0)
      if (end < 0) {
        block = Buffer.allocUnsafe(-end * 2)
        end = type.encode(row, block, 0)
      }
    }
    used = end
    count += 1
  }
  await flush()
  return Buffer.concat(parts)
}

function header(metadata: Record<string, string>, sync: Buffer): Buffer {
  const entries = Object.entries(metadata)
  const parts = [MAGIC, zigzag(entries.length)]
  for (const [key, value] of entries) {
    for (const text of [Buffer.from(key), Buffer.from(value)]) parts.push(zigzag(text.length), text)
  }
  return Buffer.concat([...parts, zigzag(0), sync])
}

/** Avro's variable-length long. */
function zigzag(value: number): Buffer {
  const bytes: number[] = []
  let rest = value * 2
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

export class AvroFile {
  readonly schema: AvroSchema
  /** The header's texts. */
  readonly metadata: ReadonlyMap<string, string>
  readonly #bytes: Buffer
  readonly #where: string
  readonly #codec: string
  readonly #sync: Buffer
  readonly #start: number

  /**
   * Reads the header.
   * @param where the file's location, for messages
   * @throws Fault `corrupt`, `unsupported` (a codec of neither null, deflate nor zstandard)
   */
  constructor(content: Uint8Array, where: string) {
    this.#bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    this.#where = where
    if (!this.#bytes.subarray(0, 4).equals(MAGIC)) throw this.#corrupt('it does not begin with the Avro magic bytes')
    const cursor = new Cursor(this.#bytes, 4, () => this.#corrupt('it ends inside the header'))
    const metadata = new Map<string, string>()
    for (let pairs = cursor.long(); pairs !== 0; pairs = cursor.long()) {
      if (pairs < 0) cursor.long()
      for (let i = 0; i < Math.abs(pairs); i++) {
        const key = cursor.take(cursor.long()).toString()
        metadata.set(key, cursor.take(cursor.long()).toString())
      }
    }
    this.#sync = cursor.take(SYNC_BYTES)
    this.#start = cursor.position
    this.metadata = metadata
    this.#codec = metadata.get('avro.codec') ?? 'null'
    if (!['null', 'deflate', 'zstandard'].includes(this.#codec)) {
      throw new Fault(
        'unsupported',
        `${where} is compressed with "${this.#codec}"; expected null, deflate or zstandard: write it again with another write.avro.compression-codec`,
      )
    }
    try {
      this.schema = JSON.parse(metadata.get('avro.schema') ?? '') as AvroSchema
    } catch (error) {
      throw this.#corrupt(`its schema is not JSON (${messageOf(error)})`)
    }
  }

  /** The records, block by block in the file's order. @throws Fault `corrupt` */
  async *blocks(view: AvroView = {}): AsyncGenerator<AvroRecord[]> {
    const { keep, ...whole } = view
    const written = prepare(this.schema, [], whole)
    const { type, resolver } = codecOf(written, keep === undefined ? undefined : prepare(this.schema, [], view))
    for await (const { data, count } of this.#unpacked()) yield this.#decode(data, count, type, resolver)
  }

  /** Blocks unpacked, one ahead of the reader so that inflating and decoding go on together. */
  async *#unpacked(): AsyncGenerator<{ data: Buffer; count: number }> {
    let ahead: Promise<{ data: Buffer; count: number }> | undefined
    for (const { packed, count } of this.#packed()) {
      const next = this.#unpack(packed).then((data) => ({ data, count }))
      next.catch(() => undefined)
      if (ahead !== undefined) yield await ahead
      ahead = next
    }
    if (ahead !== undefined) yield await ahead
  }

  *#packed(): Generator<{ packed: Buffer; count: number }> {
    const cursor = new Cursor(this.#bytes, this.#start, () => this.#corrupt('it ends inside a block: it was cut'))
    while (cursor.position < this.#bytes.length) {
      const count = cursor.long()
      const packed = cursor.take(cursor.long())
      if (!cursor.take(SYNC_BYTES).equals(this.#sync)) throw this.#corrupt('a block does not end with the sync marker')
      yield { packed, count }
    }
  }

  async #unpack(packed: Buffer): Promise<Buffer> {
    const options = { maxOutputLength: limits.avroBlockBytesMax, chunkSize: BLOCK_BYTES }
    try {
      if (this.#codec === 'deflate') return await inflate(packed, options)
      if (this.#codec === 'zstandard') return await unzstd(packed, options)
      return packed
    } catch (error) {
      throw this.#corrupt(`a block cannot be unpacked (${messageOf(error)})`)
    }
  }

  #decode(
    data: Buffer,
    count: number,
    type: avsc.Type,
    resolver?: ReturnType<avsc.Type['createResolver']>,
  ): AvroRecord[] {
    const rows: AvroRecord[] = []
    let position = 0
    if (count < 0 || count > data.length) throw this.#corrupt(`a block of ${data.length} bytes claims ${count} records`)
    try {
      for (let i = 0; i < count; i++) {
        const { value, offset } = type.decode(data, position, resolver as never)
        if (offset < 0) throw new Error('a record ends behind its block')
        rows.push(value as AvroRecord)
        position = offset
      }
    } catch (error) {
      throw this.#corrupt(`a record cannot be read (${messageOf(error)})`)
    }
    if (position !== data.length)
      throw this.#corrupt(`a block of ${data.length} bytes has ${position} bytes of records`)
    return rows
  }

  #corrupt(what: string): Fault {
    return new Fault(
      'corrupt',
      `${this.#where} (${this.#bytes.length} bytes) is damaged: ${what}. Restore it from a copy, or roll the table back to a snapshot that does not use it.`,
      { location: this.#where },
    )
  }
}

class Cursor {
  readonly #bytes: Buffer
  readonly #ended: () => Fault
  position: number

  constructor(bytes: Buffer, position: number, ended: () => Fault) {
    this.#bytes = bytes
    this.position = position
    this.#ended = ended
  }

  long(): number {
    let value = 0
    for (let factor = 1; factor <= 2 ** 49; factor *= 0x80) {
      const byte = this.#bytes[this.position]
      if (byte === undefined) throw this.#ended()
      this.position += 1
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    throw this.#ended()
  }

  take(length: number): Buffer {
    if (length < 0 || this.position + length > this.#bytes.length) throw this.#ended()
    this.position += length
    return this.#bytes.subarray(this.position - length, this.position)
  }
}
