/**
 * Avro schemas (specification 1.12): parsed once by the library, which knows names and their rules, into a tree of the types
 * that records are checked against and decoded by. Pure.
 */
import { createRequire } from 'node:module'
import type avscModule from 'avsc'
import { Fault, messageOf } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'

export type AvroType =
  | { kind: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string' }
  /** Counted since 1970, or since midnight; a local timestamp has no zone. */
  | { kind: 'time'; base: 'int' | 'long'; of: 'date' | 'time' | 'timestamp'; perSecond: bigint; local: boolean }
  /** `size` 0: of any length. */
  | { kind: 'decimal'; precision: number; scale: number; size: number }
  | { kind: 'uuid'; size: number }
  | { kind: 'fixed'; size: number }
  | { kind: 'enum'; symbols: readonly string[] }
  | { kind: 'array'; items: AvroType }
  | { kind: 'map'; values: AvroType }
  | { kind: 'union'; branches: readonly { name: string; type: AvroType }[] }
  | { kind: 'record'; fields: AvroField[] }

export interface AvroField {
  name: string
  type: AvroType
  /** It has a default, which is the reader's affair: a record may leave it out. */
  optional: boolean
}

export interface AvroSchema {
  type: AvroType
  /** CRC-64-AVRO of its canonical form, as 8 bytes, least first. */
  fingerprint: Buffer
}

const require = createRequire(import.meta.url)

/** @throws Fault `invalid` when it is no Avro schema, or not one of a record */
export function compileAvroSchema(schema: unknown): AvroSchema {
  const text = JSON.stringify(schema)
  if (text.length > limits.streamSchemaBytesMax)
    throw new Fault('invalid', `Avro schema: expected at most ${limits.streamSchemaBytesMax} bytes, got ${text.length}`)
  const avsc = require('avsc') as typeof avscModule
  try {
    const parsed = avsc.Type.forSchema(JSON.parse(text) as avscModule.Schema, {
      wrapUnions: true,
      logicalTypes: logicalTypes(avsc),
    })
    const type = treeOf(parsed, new Map())
    if (type.kind !== 'record') throw new Error(`expected a record, got ${type.kind}`)
    return { type, fingerprint: fingerprintOf(JSON.stringify(parsed.schema())) }
  } catch (error) {
    throw new Fault('invalid', `Avro schema: ${messageOf(error)}`, {}, error)
  }
}

const LOGICAL = [
  'date',
  'time-millis',
  'time-micros',
  'timestamp-millis',
  'timestamp-micros',
  'timestamp-nanos',
  'local-timestamp-millis',
  'local-timestamp-micros',
  'local-timestamp-nanos',
  'decimal',
  'uuid',
] as const

/** Classes that keep a logical type's name and attributes in the library's tree. */
function logicalTypes(avsc: typeof avscModule): avscModule.ForSchemaOptions['logicalTypes'] {
  return Object.fromEntries(
    LOGICAL.map((name) => [
      name,
      class extends avsc.types.LogicalType {
        readonly attributes: Record<string, unknown>

        constructor(schema: avscModule.Schema, options: object) {
          super(schema, options)
          this.attributes = { ...(schema as object), logicalType: name }
        }

        protected override _fromValue(value: unknown): unknown {
          return value
        }

        protected override _toValue(value: unknown): unknown {
          return value
        }

        protected override _export(attributes: avscModule.Schema): void {
          Object.assign(attributes, { logicalType: name })
        }

        protected override _resolve(): undefined {}
      },
    ]),
  )
}

/** What is read of the library's types. */
interface LibraryType {
  typeName: string
  branchName: string
  attributes?: Record<string, unknown>
  underlyingType: LibraryType
  size: number
  symbols: string[]
  itemsType: LibraryType
  valuesType: LibraryType
  types: LibraryType[]
  fields: { name: string; type: LibraryType; defaultValue(): unknown }[]
}

function treeOf(library: unknown, known: Map<unknown, AvroType>): AvroType {
  const type = library as LibraryType
  const before = known.get(type)
  if (before !== undefined) return before
  if (type.attributes !== undefined) return logicalOf(type.attributes, type.underlyingType)
  switch (type.typeName) {
    case 'null':
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
      return { kind: type.typeName }
    case 'fixed':
      return { kind: 'fixed', size: type.size }
    case 'enum':
      return { kind: 'enum', symbols: type.symbols }
    case 'array': {
      const items = treeOf(type.itemsType, known)
      return { kind: 'array', items }
    }
    case 'map':
      return { kind: 'map', values: treeOf(type.valuesType, known) }
    case 'union:wrapped':
      return {
        kind: 'union',
        branches: type.types.map((branch) => ({ name: branch.branchName, type: treeOf(branch, known) })),
      }
    case 'record':
    case 'error': {
      const record: AvroType = { kind: 'record', fields: [] }
      known.set(type, record)
      for (const field of type.fields) {
        record.fields.push({
          name: field.name,
          type: treeOf(field.type, known),
          optional: field.defaultValue() !== undefined,
        })
      }
      return record
    }
    default:
      throw new Error(`type ${type.typeName} is not known`)
  }
}

/** A logical type; one that its base cannot hold counts as its base, as the specification wants it. */
function logicalOf(attributes: Record<string, unknown>, base: LibraryType): AvroType {
  const name = String(attributes['logicalType'])
  const plain = treeOf(base, new Map())
  const counted = /^(?:(date)|(time|timestamp|local-timestamp)-(millis|micros|nanos))$/.exec(name)
  if (counted !== null && (plain.kind === 'int' || plain.kind === 'long')) {
    const of = counted[1] !== undefined ? 'date' : counted[2] === 'time' ? 'time' : 'timestamp'
    const perSecond = { millis: 1_000n, micros: 1_000_000n, nanos: 1_000_000_000n }[counted[3] ?? 'millis']!
    return { kind: 'time', base: plain.kind, of, perSecond, local: name.startsWith('local') }
  }
  if (name === 'decimal' && (plain.kind === 'bytes' || plain.kind === 'fixed')) {
    const precision = Number(attributes['precision'])
    const scale = Number(attributes['scale'] ?? 0)
    const sound =
      Number.isInteger(precision) && Number.isInteger(scale) && scale >= 0 && precision >= scale && precision > 0
    if (sound) return { kind: 'decimal', precision, scale, size: plain.kind === 'fixed' ? plain.size : 0 }
  }
  if (name === 'uuid' && (plain.kind === 'string' || (plain.kind === 'fixed' && plain.size === 16)))
    return { kind: 'uuid', size: plain.kind === 'fixed' ? 16 : 0 }
  return plain
}

/** What a type is called in messages. */
export function avroName(type: AvroType): string {
  if (type.kind === 'time') return type.of
  if (type.kind === 'decimal') return `decimal(${type.precision}, ${type.scale})`
  return type.kind === 'union' ? type.branches.map(({ name }) => name).join(' or ') : type.kind
}

const EMPTY = 0xc15d213aa4d7a795n

const TABLE = Array.from({ length: 256 }, (_, at) => {
  let value = BigInt(at)
  for (let bit = 0; bit < 8; bit++) value = (value >> 1n) ^ ((value & 1n) === 1n ? EMPTY : 0n)
  return value
})

/** CRC-64-AVRO (specification, "Schema Fingerprints"). */
export function fingerprintOf(canonicalForm: string): Buffer {
  let value = EMPTY
  for (const byte of Buffer.from(canonicalForm)) value = (value >> 8n) ^ TABLE[Number((value ^ BigInt(byte)) & 0xffn)]!
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}
