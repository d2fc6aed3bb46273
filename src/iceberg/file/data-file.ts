/**
 * A row of RETURN_STATS of DuckDB's COPY as a `DataFile`: sizes, counts and bounds by field id.
 *
 * Bounds follow the single-value rules (Iceberg spec, Appendix D): text and bytes are cut to 16 code points or bytes, the
 * upper one rounded up; zeros of floats become -0.0 below and +0.0 above, since the statistics do not tell them apart;
 * a bound that is not given, or not representable, is left out, which means "unknown" and never "all null". Members of
 * structs have bounds, members of lists and maps do not.
 */
import { must } from '../../base/assert.ts'
import { Fault, isFault } from '../../base/fault.ts'
import { type DuckRow, type DuckSession, ident, listLiteral } from '../../duck/duck.ts'
import type { DataFile, Value } from '../spec/manifest.ts'
import { truncateLowerBound, truncateUpperBound, uuidToBytes, valueToBytes } from '../spec/single-value.ts'
import { parseDate, parseTime, parseTimestamp } from '../spec/time-text.ts'
import { parsePrimitive } from '../spec/type.ts'
import { parseDecimal } from '../spec/value-json.ts'
import type { Present } from '../spec/value-order.ts'
import type { ParquetLeaf } from './parquet-types.ts'

/** What RETURN_STATS says of one file. */
export interface CopiedFile {
  localPath: string
  recordCount: number
  fileSizeBytes: number
  /** By the quoted chain of names, e.g. `"st"."a"`. */
  columns: Map<string, Map<string, string>>
  /** Partition columns as text, by name; null for null. */
  partitionKeys: Map<string, string | null>
}

/** A row of `COPY … RETURN_STATS`. */
export function copiedFile(row: DuckRow): CopiedFile {
  const columns = new Map<string, Map<string, string>>()
  for (const { key, value } of mapEntries(row['column_statistics'])) {
    columns.set(String(key), new Map(mapEntries(value).map((stat) => [String(stat.key), String(stat.value)])))
  }
  return {
    localPath: String(row['filename']),
    recordCount: Number(row['count']),
    fileSizeBytes: Number(row['file_size_bytes']),
    columns,
    partitionKeys: new Map(
      mapEntries(row['partition_keys']).map(({ key, value }) => [String(key), value === null ? null : String(value)]),
    ),
  }
}

/** The entries of a MAP value. */
function mapEntries(value: DuckRow[string] | undefined): { key: DuckRow[string]; value: DuckRow[string] }[] {
  const isMap = typeof value === 'object' && value !== null && 'entries' in value && Array.isArray(value.entries)
  return isMap ? (value.entries as { key: DuckRow[string]; value: DuckRow[string] }[]) : []
}

/** How RETURN_STATS names a leaf. */
export function statsName(leaf: ParquetLeaf): string {
  return leaf.path.map(ident).join('.')
}

export interface DataFileParts {
  content: DataFile['content']
  filePath: string
  specId: number
  partition: Value[]
  /** Offsets of the row groups, ascending. */
  splitOffsets: number[]
  /** NaNs by field id, for the columns whose `has_nan` is true. */
  nanCounts: ReadonlyMap<number, number>
}

/** @throws Fault `corrupt` when a column has no statistics: the file is not what was asked for */
export function dataFileOf(copied: CopiedFile, leaves: readonly ParquetLeaf[], parts: DataFileParts): DataFile {
  const file = {
    content: parts.content,
    filePath: parts.filePath,
    fileFormat: 'parquet' as const,
    specId: parts.specId,
    partition: parts.partition,
    recordCount: copied.recordCount,
    fileSizeBytes: copied.fileSizeBytes,
    columnSizes: new Map<number, number>(),
    valueCounts: new Map<number, number>(),
    nullValueCounts: new Map<number, number>(),
    nanValueCounts: new Map<number, number>(),
    lowerBounds: new Map<number, Uint8Array>(),
    upperBounds: new Map<number, Uint8Array>(),
    splitOffsets: parts.splitOffsets,
  }
  for (const leaf of leaves) {
    const stats = copied.columns.get(statsName(leaf))
    if (stats === undefined) {
      throw new Fault(
        'corrupt',
        `the Parquet file just written has no column ${statsName(leaf)}: this is a fault of the writer`,
      )
    }
    setCount(file.columnSizes, leaf.id, stats.get('column_size_bytes'))
    setCount(file.valueCounts, leaf.id, stats.get('num_values'))
    setCount(file.nullValueCounts, leaf.id, stats.get('null_count'))
    if (stats.get('has_nan') === 'false') file.nanValueCounts.set(leaf.id, 0)
    const nans = parts.nanCounts.get(leaf.id)
    if (nans !== undefined) file.nanValueCounts.set(leaf.id, nans)
    if (leaf.repeated) continue
    const lower = boundOf(leaf.type, stats.get('min'), 'lower')
    const upper = boundOf(leaf.type, stats.get('max'), 'upper')
    if (lower !== undefined) file.lowerBounds.set(leaf.id, lower)
    if (upper !== undefined) file.upperBounds.set(leaf.id, upper)
  }
  return file
}

function setCount(map: Map<number, number>, id: number, text: string | undefined): void {
  if (text !== undefined) map.set(id, Number(text))
}

/** Text of a least or greatest value → bound; undefined when there is none that may be written. */
export function boundOf(type: string, text: string | undefined, side: 'lower' | 'upper'): Uint8Array | undefined {
  if (text === undefined) return undefined
  let value: Present | undefined
  try {
    value = parseStat(type, text)
    if (value === 0 && side === 'lower' && (type === 'float' || type === 'double')) value = -0
    if (value === 0 && side === 'upper') value = 0
    value = side === 'lower' ? truncateLowerBound(type, value) : truncateUpperBound(type, value)
    return value === undefined ? undefined : valueToBytes(type, value)
  } catch (error) {
    // A value that the format cannot name, such as a date before the year 0: no bound is always right.
    if (isFault(error, 'invalid')) return undefined
    throw error
  }
}

/** @throws Fault `invalid` for a text that is no value of the type */
function parseStat(type: string, text: string): Present {
  const primitive = parsePrimitive(type)
  switch (primitive.kind) {
    case 'boolean':
      return text === '1' || text === 'true'
    case 'int':
      return Number(text)
    case 'long':
      return BigInt(text)
    case 'float':
    case 'double':
      return text === 'inf' ? Infinity : text === '-inf' ? -Infinity : Number(text)
    case 'decimal':
      return parseDecimal(text, primitive.precision, primitive.scale)
    case 'date':
      return parseDate(text)
    case 'time':
      return parseTime(text)
    case 'timestamp':
      return parseTimestamp(text, 'us', 'none')
    case 'timestamptz':
      return parseTimestamp(text.replace(/\+00$/, 'Z'), 'us', 'required')
    case 'timestamp_ns':
      return parseTimestamp(text, 'ns', 'none')
    case 'uuid':
      return text
    case 'fixed':
      return uuidToBytes(text)
    case 'string':
      return text
    case 'binary':
      return Buffer.from(text, 'hex')
    default:
      throw new Fault('invalid', `a column of type ${type} has no bounds`)
  }
}

/** Row group offsets of each file, by local path, from `parquet_metadata`. */
const SPLIT_OFFSETS_SQL = `SELECT file_name, row_group_id, min(coalesce(dictionary_page_offset, data_page_offset)) AS "offset"
FROM parquet_metadata($files) GROUP BY ALL ORDER BY 1, 2`

/** A file of no more rows is of one row group, which begins after the magic number. */
const ONE_GROUP_ROWS = 2048
const FIRST_OFFSET = 4

/** Ascending offsets of row groups by local path. */
export async function splitOffsetsOf(
  session: DuckSession,
  files: readonly CopiedFile[],
): Promise<Map<string, number[]>> {
  const offsets = new Map<string, number[]>()
  const large = files.filter(({ localPath, recordCount }) => {
    const small = recordCount <= ONE_GROUP_ROWS
    offsets.set(localPath, small ? [FIRST_OFFSET] : [])
    return !small
  })
  if (large.length === 0) return offsets
  const paths = listLiteral(large.map((file) => file.localPath))
  for (const row of await session.rows(SPLIT_OFFSETS_SQL.replace('$files', () => paths))) {
    const list = must(offsets.get(String(row['file_name'])), 'a file just written')
    list.push(Number(must(row['offset'], 'a row group offset')))
  }
  return offsets
}
