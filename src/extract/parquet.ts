/** The schema of a Parquet file from its footer, read by hyparquet; types under Iceberg's names. */
import type { FileMetaData, LogicalType, SchemaElement } from 'hyparquet'
import { limits } from '../base/limits.ts'
import { invalid, truncated } from './image-head.ts'
import { type Pages, parsed, tooMuch } from './pages.ts'
import { cut } from './text.ts'

export interface ParquetFacts {
  columns: { name: string; type: string; nullable: boolean }[]
  columnCount: number
  rows: number | null
  rowGroups: number
  codecs: string[]
  writer: string | null
}

/** @throws Fault `corrupt`, `limit` for a footer larger than the bound, and faults of reading */
export async function parquetFacts(pages: Pages): Promise<ParquetFacts> {
  const size = pages.sizeBytes
  if (size < 12) throw truncated('a Parquet file has at least 12 bytes')
  const end = await pages.read(size - 8, size)
  const magic = String.fromCharCode(...end.subarray(4))
  if (magic !== 'PAR1') throw truncated(`the Parquet file does not end with PAR1, so its footer is missing`)
  const footerBytes = new DataView(end.buffer, end.byteOffset).getUint32(0, true)
  if (footerBytes > size - 12) throw invalid(`a Parquet footer of ${footerBytes} bytes in a file of ${size}`)
  if (footerBytes > limits.tableFooterBytesMax)
    throw tooMuch(`the Parquet footer has ${footerBytes} bytes; ${limits.tableFooterBytesMax} are read at most`)
  const footer = await pages.read(size - 8 - footerBytes, size)
  return await parsed(pages, 'the Parquet footer', async () => {
    const { parquetMetadata } = await import('hyparquet')
    return metadataFacts(parquetMetadata(new Uint8Array(footer).buffer, { geoparquet: false }))
  })
}

function metadataFacts(metadata: FileMetaData): ParquetFacts {
  const { schema, num_rows, row_groups, created_by } = metadata
  const { fields } = readFields(schema, 1, schema[0]?.num_children ?? 0, 0)
  const codecs = new Set<string>()
  for (const group of row_groups) for (const { meta_data } of group.columns) codecs.add(String(meta_data?.codec))
  const rows = Number(num_rows)
  return {
    columns: fields.slice(0, limits.tableColumnsMax).map(({ name, type, nullable }) => ({ name, type, nullable })),
    columnCount: fields.length,
    rows: Number.isSafeInteger(rows) && rows >= 0 ? rows : null,
    rowGroups: row_groups.length,
    codecs: [...codecs].filter((codec) => codec !== 'undefined').sort(),
    writer: created_by ?? null,
  }
}

interface Field {
  name: string
  type: string
  nullable: boolean
  children: readonly Field[]
}

/** `count` fields beginning at an element, and where the next one is. */
function readFields(
  schema: readonly SchemaElement[],
  start: number,
  count: number,
  depth: number,
): { fields: Field[]; next: number } {
  const fields: Field[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    const element = schema[at]
    if (element === undefined) throw new Error('the schema names more fields than it has')
    const children = element.num_children ?? 0
    const inner = children === 0 ? { fields: [], next: at + 1 } : readFields(schema, at + 1, children, depth + 1)
    const type = depth > limits.tableDepthMax ? '…' : typeOf(element, inner.fields)
    const isList = element.repetition_type === 'REPEATED' && !isGroupOf(element, ['LIST', 'MAP'])
    fields.push({
      name: cut(element.name, limits.archiveNameMax),
      type: isList && depth === 0 ? `list<${type}>` : type,
      nullable: element.repetition_type !== 'REQUIRED',
      children: inner.fields,
    })
    at = inner.next
  }
  return { fields, next: at }
}

function isGroupOf({ converted_type, logical_type }: SchemaElement, names: readonly string[]): boolean {
  return names.some((name) => converted_type === name || logical_type?.type === name)
}

function typeOf(element: SchemaElement, children: readonly Field[]): string {
  if (children.length === 0) return element.num_children === 0 ? 'struct<>' : leafType(element)
  if (isGroupOf(element, ['LIST'])) return `list<${listItem(children[0]!)}>`
  const pair = children[0]!.children
  if (isGroupOf(element, ['MAP', 'MAP_KEY_VALUE']) && pair.length === 2)
    return `map<${pair[0]!.type}, ${pair[1]!.type}>`
  return structOf(children)
}

function structOf(fields: readonly Field[]): string {
  return `struct<${fields.map(({ name, type }) => `${name}: ${type}`).join(', ')}>`
}

/** The repeated group of a list wraps its item in three levels; in two levels it is the item. */
function listItem({ name, type, children }: Field): string {
  const isWrapped = children.length === 1 && (name === 'list' || name === 'bag' || name === 'array')
  return isWrapped ? children[0]!.type : type
}

function leafType({ type, type_length, converted_type, logical_type, precision, scale }: SchemaElement): string {
  const logical: LogicalType | undefined = logical_type
  if (logical?.type === 'DECIMAL') return `decimal(${logical.precision}, ${logical.scale})`
  if (converted_type === 'DECIMAL') return `decimal(${precision ?? 0}, ${scale ?? 0})`
  if (logical?.type === 'TIMESTAMP') return logical.isAdjustedToUTC ? 'timestamptz' : 'timestamp'
  if (logical?.type === 'INTEGER')
    return logical.bitWidth > 32 || (logical.bitWidth === 32 && !logical.isSigned) ? 'long' : 'int'
  switch (logical?.type ?? converted_type) {
    case 'STRING':
    case 'UTF8':
    case 'ENUM':
    case 'JSON':
      return 'string'
    case 'DATE':
      return 'date'
    case 'TIME':
    case 'TIME_MILLIS':
    case 'TIME_MICROS':
      return 'time'
    case 'TIMESTAMP_MILLIS':
    case 'TIMESTAMP_MICROS':
      return 'timestamptz'
    case 'UUID':
      return 'uuid'
    case 'UINT_32':
      return 'long'
    default:
  }
  switch (type) {
    case 'BOOLEAN':
      return 'boolean'
    case 'INT32':
      return 'int'
    case 'INT64':
      return 'long'
    case 'INT96':
      return 'timestamp'
    case 'FLOAT':
      return 'float'
    case 'DOUBLE':
      return 'double'
    case 'FIXED_LEN_BYTE_ARRAY':
      return `fixed(${type_length ?? 0})`
    default:
      return 'binary'
  }
}
