/**
 * Table properties and sort order as settings of the data file writer, under the names that Iceberg's users know
 * (Iceberg documentation, "Configuration", write properties). Unknown values are refused where they are read.
 */
import { Fault } from '../base/fault.ts'
import { ident } from '../duck/duck.ts'
import { RESERVED_PROPERTIES } from '../iceberg/action/set-properties.ts'
import type { ParquetCodec } from '../iceberg/file/data-writer.ts'
import type { TableMetadata } from '../iceberg/spec/table-metadata.ts'

const CODECS: Record<string, ParquetCodec> = {
  zstd: 'zstd',
  snappy: 'snappy',
  gzip: 'gzip',
  uncompressed: 'uncompressed',
  none: 'uncompressed',
}

/** @throws Fault `invalid` for values that no table can be written with, and for names that the format keeps for itself */
export function checkProperties(properties: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(properties)) {
    if (RESERVED_PROPERTIES.has(name)) throw new Fault('invalid', `${name} is not a property that may be set`)
  }
  codecOf(properties, 'invalid')
}

/** @throws Fault `unsupported` for a codec that is not offered: not `invalid`, since no entry of the log is to blame */
export function writeSettings(properties: Readonly<Record<string, string>>): { codec: ParquetCodec } {
  return { codec: codecOf(properties, 'unsupported') }
}

function codecOf(properties: Readonly<Record<string, string>>, kind: 'invalid' | 'unsupported'): ParquetCodec {
  const name = properties['write.parquet.compression-codec'] ?? 'zstd'
  const codec = Object.hasOwn(CODECS, name.toLowerCase()) ? CODECS[name.toLowerCase()] : undefined
  if (codec === undefined) {
    const known = Object.keys(CODECS).join(', ')
    throw new Fault(kind, `write.parquet.compression-codec: expected one of ${known}, got "${name}"`)
  }
  return codec
}

/**
 * The table's default sort order as ORDER BY terms. Only identity terms order files here; an order with other
 * transforms is sorted by its leading identity terms and the files do not claim the order.
 */
export function sortTerms(metadata: TableMetadata): { orderBySql?: string; sortOrderId?: number } {
  const order = metadata['sort-orders'].find((candidate) => candidate['order-id'] === metadata['default-sort-order-id'])
  if (order === undefined || order.fields.length === 0) return {}
  const schema = metadata.schemas.find((candidate) => candidate['schema-id'] === metadata['current-schema-id'])
  const terms: string[] = []
  for (const field of order.fields) {
    const column = schema?.fields.find((candidate) => candidate.id === field['source-id'])
    if (field.transform !== 'identity' || column === undefined) break
    terms.push(
      `${ident(column.name)} ${field.direction.toUpperCase()} ${field['null-order'] === 'nulls-first' ? 'NULLS FIRST' : 'NULLS LAST'}`,
    )
  }
  if (terms.length === 0) return {}
  return {
    orderBySql: terms.join(', '),
    ...(terms.length === order.fields.length ? { sortOrderId: order['order-id'] } : {}),
  }
}
