/**
 * Partition tuples between memory and Avro records (Iceberg spec, Appendix A, "Avro").
 */
import type { Value } from '../spec/manifest.ts'
import type { PartitionColumn } from '../spec/partition.ts'
import { decimalFromBytes, signedBytes, uuidFromBytes, uuidToBytes } from '../spec/single-value.ts'
import type { PrimitiveType } from '../spec/table-metadata.ts'
import { parsePrimitive } from '../spec/type.ts'
import { type AvroRecord, avroName } from './avro.ts'
import { decimalBytes, partitionKey, partitionNames } from './manifest-schema.ts'

/**
 * A record as read (names by `partitionKey`) → the tuple, one value per column, null where the file lacks the column.
 * Values come in the column's type of today: an int written before a promotion to long becomes a bigint.
 */
export function partitionFromAvro(record: AvroRecord | null | undefined, columns: readonly PartitionColumn[]): Value[] {
  return columns.map((column) => {
    const name = [partitionKey(column), avroName(column.name)].find((each) => record && Object.hasOwn(record, each))
    const raw = name === undefined ? null : record?.[name]
    return raw === null || raw === undefined
      ? null
      : fromAvro(raw as number | bigint | string | boolean | Buffer, column.type)
  })
}

function fromAvro(raw: number | bigint | string | boolean | Buffer, type: PrimitiveType): Value {
  if (Buffer.isBuffer(raw)) {
    if (type === 'uuid') return uuidFromBytes(raw)
    if (type.startsWith('decimal')) return decimalFromBytes(raw)
    return new Uint8Array(raw)
  }
  return asToday(raw, type)
}

/** The tuple in its columns' types of today: whoever remembers a file's from before a promotion of int to long has numbers. */
export function promotedPartition(values: readonly Value[], columns: readonly PartitionColumn[]): Value[] {
  return columns.map(({ type }, at) => {
    const value = values[at] ?? null
    return typeof value === 'number' ? asToday(value, type) : value
  })
}

function asToday<T extends Value>(value: T, type: PrimitiveType): T | number | bigint {
  if (typeof value === 'number' && isBigintType(type)) return BigInt(value)
  return typeof value === 'bigint' && !isBigintType(type) ? Number(value) : value
}

/** The tuple as a record to write, names by `partitionNames`. */
export function partitionToAvro(values: readonly Value[], columns: readonly PartitionColumn[]): AvroRecord {
  const names = partitionNames(columns)
  return Object.fromEntries(
    columns.map((column, at) => {
      const value = values[at] ?? null
      return [names[at]!, value === null ? null : toAvro(value, column.type)]
    }),
  )
}

function toAvro(value: NonNullable<Value>, type: PrimitiveType): unknown {
  if (type === 'uuid') return Buffer.from(uuidToBytes(String(value)))
  const primitive = parsePrimitive(type)
  if (primitive.kind === 'decimal') return signedBytes(BigInt(value as bigint), decimalBytes(primitive.precision))
  if (value instanceof Uint8Array) return Buffer.from(value)
  return value
}

const BIGINT_TYPES = new Set(['long', 'time', 'timestamp', 'timestamptz', 'timestamp_ns', 'timestamptz_ns'])

function isBigintType(type: PrimitiveType): boolean {
  return BIGINT_TYPES.has(type) || type.startsWith('decimal')
}
