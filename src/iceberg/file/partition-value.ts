/**
 * Partition tuples between memory and Avro records (Iceberg spec, Appendix A, "Avro").
 */
import type { Value } from '../spec/manifest.ts'
import type { PartitionColumn } from '../spec/partition.ts'
import { decimalFromBytes, uuidFromBytes, uuidToBytes } from '../spec/single-value.ts'
import type { PrimitiveType } from '../spec/table-metadata.ts'
import { type AvroRecord, avroName } from './avro.ts'
import { decimalBytes, partitionKey } from './manifest-schema.ts'

/**
 * A record as read (names by `partitionKey`) → the tuple, one value per column, null where the file lacks the column.
 * Values come in the column's type of today: an int written before a promotion to long becomes a bigint.
 */
export function partitionFromAvro(record: AvroRecord | null | undefined, columns: readonly PartitionColumn[]): Value[] {
  return columns.map((column) => {
    const raw = record?.[partitionKey(column)] ?? record?.[avroName(column.name)]
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
  if (typeof raw === 'number' && isBigintType(type)) return BigInt(raw)
  if (typeof raw === 'bigint' && !isBigintType(type)) return Number(raw)
  return raw
}

/** The tuple as a record to write, names by `avroName` of the columns. */
export function partitionToAvro(values: readonly Value[], columns: readonly PartitionColumn[]): AvroRecord {
  const record: AvroRecord = {}
  for (const [at, column] of columns.entries()) {
    let name = avroName(column.name)
    while (name in record) name = `${name}_`
    const value = values[at] ?? null
    record[name] = value === null ? null : toAvro(value, column.type)
  }
  return record
}

function toAvro(value: NonNullable<Value>, type: PrimitiveType): unknown {
  if (type === 'uuid') return Buffer.from(uuidToBytes(String(value)))
  const decimal = /^decimal\((\d+)/.exec(type)
  if (decimal) return signedBytes(BigInt(value as bigint), decimalBytes(Number(decimal[1])))
  if (value instanceof Uint8Array) return Buffer.from(value)
  return value
}

const BIGINT_TYPES = new Set(['long', 'time', 'timestamp', 'timestamptz', 'timestamp_ns', 'timestamptz_ns'])

function isBigintType(type: PrimitiveType): boolean {
  return BIGINT_TYPES.has(type) || type.startsWith('decimal')
}

function signedBytes(value: bigint, length: number): Buffer {
  return Buffer.from(
    BigInt.asUintN(length * 8, value)
      .toString(16)
      .padStart(length * 2, '0'),
    'hex',
  )
}
