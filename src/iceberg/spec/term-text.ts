/**
 * Partition specs and sort orders as people write them: `day(record_timestamp), bucket(16, key), region` and
 * `bucket, key desc nulls last`.
 */
import { Fault } from '../../base/fault.ts'
import { PARTITION_ID_BEFORE_FIRST, UNSORTED } from './metadata-json.ts'
import { checkSpec, partitionName } from './partition.ts'
import { fieldNamedAnyCase, type SchemaField } from './schema.ts'
import { checkOrder } from './sort.ts'
import type { PartitionSpec, Schema, SortOrder } from './table-metadata.ts'
import { TextReader } from './text-reader.ts'
import { formatTransform, type ParsedTransform } from './transform.ts'

/** A transform of a column, e.g. `bucket(16, key)`, with the name given to it by `AS`. */
export interface Term {
  transform: ParsedTransform
  column: SchemaField
  alias?: string
}

/**
 * Text → partition spec with ids from 1000. Empty text: unpartitioned. Each term may be named: `bucket(16, key) AS shard`.
 * @throws Fault `invalid` (text, or a transform that the column's type does not have), `not-found` (no such column)
 */
export function parseSpecText(text: string, schema: Schema): PartitionSpec {
  const fields = parseTerms(text, schema).map((term, at) => ({
    'source-id': term.column.id,
    'field-id': PARTITION_ID_BEFORE_FIRST + 1 + at,
    name: term.alias ?? partitionName(term.column.name, term.transform),
    transform: formatTransform(term.transform),
  }))
  const spec: PartitionSpec = { 'spec-id': 0, fields }
  checkSpec(spec, schema)
  return spec
}

/** Text → terms of a partition spec. @throws as `parseSpecText` */
export function parseTerms(text: string, schema: Schema): Term[] {
  const reader = new TextReader(text, 'the partitioning')
  const terms: Term[] = []
  while (!reader.done) {
    if (terms.length > 0) reader.expect(',')
    const term = readTerm(reader, schema)
    terms.push(reader.take('as') ? { ...term, alias: reader.word('the name of the partition field').text } : term)
  }
  return terms
}

/**
 * Text → sort order 1, or 0 for empty text. Ascending unless it says `desc`; nulls come first when ascending and last when
 * descending, unless it says `nulls first` or `nulls last`.
 * @throws as `parseSpecText`
 */
export function parseOrderText(text: string, schema: Schema): SortOrder {
  const reader = new TextReader(text, 'the sort order')
  const fields: SortOrder['fields'] = []
  while (!reader.done) {
    if (fields.length > 0) reader.expect(',')
    const term = readTerm(reader, schema)
    const direction = reader.take('desc') ? 'desc' : 'asc'
    if (direction === 'asc') reader.take('asc')
    fields.push({
      transform: formatTransform(term.transform),
      'source-id': term.column.id,
      direction,
      'null-order': readNullOrder(reader, direction),
    })
  }
  if (fields.length === 0) return UNSORTED
  const order: SortOrder = { 'order-id': 1, fields }
  checkOrder(order, schema)
  return order
}

function readNullOrder(reader: TextReader, direction: 'asc' | 'desc'): 'nulls-first' | 'nulls-last' {
  if (!reader.take('nulls')) return direction === 'asc' ? 'nulls-first' : 'nulls-last'
  if (reader.take('first')) return 'nulls-first'
  reader.expect('last')
  return 'nulls-last'
}

/** `column`, `day(column)`, `bucket(16, column)` or `bucket(column, 16)`. */
function readTerm(reader: TextReader, schema: Schema): Term {
  const isCall = reader.peek(1)?.text === '(' && reader.peek()?.quoted === false
  if (!isCall) return { transform: { kind: 'identity' }, column: readColumn(reader, schema) }
  const name = reader.word('a transform').text.toLowerCase()
  reader.expect('(')
  const term = readCall(reader, schema, name)
  reader.expect(')')
  return term
}

const SIMPLE: Readonly<Record<string, 'identity' | 'year' | 'month' | 'day' | 'hour' | 'void'>> = {
  identity: 'identity',
  year: 'year',
  years: 'year',
  month: 'month',
  months: 'month',
  day: 'day',
  days: 'day',
  date: 'day',
  hour: 'hour',
  hours: 'hour',
  date_hour: 'hour',
  void: 'void',
}

function readCall(reader: TextReader, schema: Schema, name: string): Term {
  const simple = Object.hasOwn(SIMPLE, name) ? SIMPLE[name] : undefined
  if (simple !== undefined) return { transform: { kind: simple }, column: readColumn(reader, schema) }
  if (name !== 'bucket' && name !== 'truncate') {
    throw new Fault(
      'invalid',
      `expected a transform (identity, bucket, truncate, year, month, day, hour, void), got "${name}"`,
    )
  }
  const numberFirst = reader.peek()?.quoted === false && /^\d+$/.test(reader.peek()?.text ?? '')
  const before = numberFirst ? readParameter(reader, name) : null
  if (numberFirst) reader.expect(',')
  const column = readColumn(reader, schema)
  if (!numberFirst) reader.expect(',')
  const parameter = before ?? readParameter(reader, name)
  return {
    transform: name === 'bucket' ? { kind: name, buckets: parameter } : { kind: name, width: parameter },
    column,
  }
}

function readParameter(reader: TextReader, name: string): number {
  const value = reader.whole(name === 'bucket' ? 'the number of buckets' : 'the width')
  if (value < 1 || value > 0x7fff_ffff) throw new Fault('invalid', `expected ${name} of 1 to 2147483647, got ${value}`)
  return value
}

function readColumn(reader: TextReader, schema: Schema): SchemaField {
  const at = reader.peek()?.at
  const name = reader.path('a column')
  try {
    return fieldNamedAnyCase(schema, name)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw new Fault(error.kind, error.message, { ...error.facts, at }, error)
  }
}
