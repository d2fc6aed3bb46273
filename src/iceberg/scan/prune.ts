/**
 * Could a file, or any file of a manifest, hold a row that matches a predicate? "No" is certain, "yes" is not: the
 * inclusive projection of the specification ("Scan Planning"), on partition tuples, partition summaries and column bounds.
 *
 * Floats: SQL takes -0.0 and 0.0 for equal and NaN for the greatest, while bounds tell the zeros apart and leave NaN out.
 */
import { isFault } from '../../base/fault.ts'
import { duckNames } from '../file/parquet-types.ts'
import type { DataFile, FieldSummary, Value } from '../spec/manifest.ts'
import type { PartitionColumn } from '../spec/partition.ts'
import { findByName } from '../spec/schema.ts'
import { valueFromBytes } from '../spec/single-value.ts'
import type { PrimitiveType, Schema } from '../spec/table-metadata.ts'
import { parseTransform } from '../spec/transform.ts'
import { type Comparison, projectComparison } from '../spec/transform-filter.ts'
import { isPrimitive } from '../spec/type.ts'
import { compareValues, type Present } from '../spec/value-order.ts'
import { type LiteralRange, literalRange } from './literal-range.ts'
import type { Predicate } from './scan.ts'

/** A predicate whose columns and literals are resolved; what pruning cannot use is `true`. */
export type BoundPredicate =
  | { op: 'and' | 'or'; left: BoundPredicate; right: BoundPredicate }
  | { op: 'compare'; comparison: Comparison; field: BoundField; range: LiteralRange }
  | { op: 'is-null' | 'not-null'; field: BoundField }
  | { op: 'true' }

interface BoundField {
  id: number
  type: PrimitiveType
}

const TRUE: BoundPredicate = { op: 'true' }

/** Columns are named as in the scan's relation (`duckNames`), without regard to case; members of structs by dots. */
export function bindPredicate(predicate: Predicate, schema: Schema): BoundPredicate {
  switch (predicate.op) {
    case 'true':
      return TRUE
    case 'and':
    case 'or':
      return {
        op: predicate.op,
        left: bindPredicate(predicate.left, schema),
        right: bindPredicate(predicate.right, schema),
      }
    case 'in': {
      const field = fieldOf(schema, predicate.column)
      if (field === null) return TRUE
      const each = predicate.values.map((value) => compare('=', field, value))
      // An empty list matches nothing, which is not worth a case of its own.
      return each.length === 0 ? TRUE : each.reduce((left, right) => ({ op: 'or', left, right }))
    }
    case 'is-null':
    case 'not-null': {
      const field = fieldOf(schema, predicate.column)
      return field === null ? TRUE : { op: predicate.op, field }
    }
    default: {
      const field = fieldOf(schema, predicate.column)
      return field === null ? TRUE : compare(predicate.op, field, predicate.value)
    }
  }
}

function compare(
  comparison: Comparison,
  field: BoundField,
  literal: string | number | bigint | boolean,
): BoundPredicate {
  const range = literalRange(field.type, literal)
  return range === null ? TRUE : { op: 'compare', comparison, field, range }
}

function fieldOf(schema: Schema, name: string): BoundField | null {
  const names = duckNames(schema)
  const at = names.findIndex((known) => known.toLowerCase() === name.toLowerCase())
  const top = schema.fields[at]
  if (top !== undefined) return isPrimitive(top.type) ? { id: top.id, type: top.type } : null
  const nested = findByName(schema, name)
  if (nested === undefined || nested.repeated || !isPrimitive(nested.type)) return null
  return { id: nested.id, type: nested.type }
}

/** What is known of the values of one column in a set of rows. Every member left out means "unknown". */
interface Known {
  lower?: Present
  upper?: Present
  /** False: surely no null. */
  hasNull?: boolean
  /** False: surely no NaN (always so for types that have none). */
  hasNan?: boolean
  /** True: surely nothing but nulls. */
  allNull?: boolean
}

type Lookup = (field: BoundField) => Known

function mightMatch(predicate: BoundPredicate, leafMatches: (leaf: BoundPredicate) => boolean): boolean {
  switch (predicate.op) {
    case 'true':
      return true
    case 'and':
      return mightMatch(predicate.left, leafMatches) && mightMatch(predicate.right, leafMatches)
    case 'or':
      return mightMatch(predicate.left, leafMatches) || mightMatch(predicate.right, leafMatches)
    default:
      return leafMatches(predicate)
  }
}

/** Could a column of which so much is known hold a value for the leaf? */
function leafMight(leaf: BoundPredicate, lookup: Lookup): boolean {
  switch (leaf.op) {
    case 'is-null':
      return lookup(leaf.field).hasNull !== false
    case 'not-null':
      return lookup(leaf.field).allNull !== true
    case 'compare':
      return valuesMight(leaf.field.type, lookup(leaf.field), leaf.comparison, leaf.range)
    default:
      return true
  }
}

function isFloat(type: PrimitiveType): boolean {
  return type === 'float' || type === 'double'
}

/** -0.0 counts as 0.0, as in SQL. */
function order(type: PrimitiveType, a: Present, b: Present): number {
  return isFloat(type) ? compareValues(type, (a as number) + 0, (b as number) + 0) : compareValues(type, a, b)
}

function valuesMight(type: PrimitiveType, known: Known, comparison: Comparison, { low, high }: LiteralRange): boolean {
  if (known.allNull === true) return false
  let { lower, upper } = known
  // Some writers order UUIDs by signed halves: bounds that contradict each other say nothing.
  if (lower !== undefined && upper !== undefined && order(type, lower, upper) > 0) lower = upper = undefined
  const nan = isFloat(type) && known.hasNan !== false
  const below = (): boolean => upper !== undefined && order(type, upper, low) < 0
  const above = (): boolean => lower !== undefined && order(type, lower, high) > 0
  switch (comparison) {
    case '=':
      return !below() && !above()
    case '<':
      return lower === undefined || order(type, lower, high) < 0
    case '<=':
      return !above()
    case '>':
      return nan || upper === undefined || order(type, upper, low) > 0
    case '>=':
      return nan || !below()
    case '!=':
      return true
  }
}

/** By the column counts and bounds of a file. */
export function fileMight(predicate: BoundPredicate, file: DataFile): boolean {
  return mightMatch(predicate, (leaf) => leafMight(leaf, (field) => knownOfFile(field, file)))
}

function knownOfFile({ id, type }: BoundField, file: DataFile): Known {
  const known: Known = {}
  const nulls = file.nullValueCounts?.get(id)
  const values = file.valueCounts?.get(id)
  if (nulls !== undefined) {
    known.hasNull = nulls > 0
    if (values !== undefined) known.allNull = nulls === values && values > 0
  }
  const nans = file.nanValueCounts?.get(id)
  if (nans !== undefined) known.hasNan = nans > 0
  const lower = file.lowerBounds?.get(id)
  const upper = file.upperBounds?.get(id)
  setBounds(known, type, lower, upper)
  return known
}

/** Bounds that are no values of the type (it was another one when they were written) say nothing. */
function setBounds(
  known: Known,
  type: PrimitiveType,
  lower: Uint8Array | undefined,
  upper: Uint8Array | undefined,
): void {
  try {
    if (lower !== undefined) known.lower = valueFromBytes(type, lower)
    if (upper !== undefined) known.upper = valueFromBytes(type, upper)
  } catch (error) {
    if (!isFault(error)) throw error
    delete known.lower
    delete known.upper
  }
}

/** By the partition tuple of a file. */
export function partitionMight(
  predicate: BoundPredicate,
  columns: readonly PartitionColumn[],
  partition: readonly Value[],
): boolean {
  return columnsMight(predicate, columns, (at) => knownOfValue(partition[at] ?? null))
}

function knownOfValue(value: Value): Known {
  if (value === null) return { hasNull: true, allNull: true, hasNan: false }
  if (Number.isNaN(value)) return { hasNull: false, hasNan: true, allNull: false }
  return { lower: value, upper: value, hasNull: false, hasNan: false, allNull: false }
}

/** By the partition summaries of a manifest. */
export function summariesMight(
  predicate: BoundPredicate,
  columns: readonly PartitionColumn[],
  summaries: readonly FieldSummary[] | undefined,
): boolean {
  if (summaries === undefined || summaries.length !== columns.length) return true
  return columnsMight(predicate, columns, (at) => knownOfSummary(summaries[at]!, columns[at]!.type))
}

function knownOfSummary(summary: FieldSummary, type: PrimitiveType): Known {
  const known: Known = { hasNull: summary.containsNull }
  if (summary.containsNan !== undefined) known.hasNan = summary.containsNan
  setBounds(known, type, summary.lowerBound, summary.upperBound)
  // Absent bounds mean only nulls or NaNs (spec, "Manifest Lists"); without NaNs, only nulls.
  const unbounded = summary.lowerBound === undefined && summary.upperBound === undefined
  known.allNull = unbounded && summary.containsNull && (summary.containsNan === false || !isFloat(type))
  return known
}

/** Every leaf is projected on every partition column made from its column; one certain "no" decides. */
function columnsMight(
  predicate: BoundPredicate,
  columns: readonly PartitionColumn[],
  knownAt: (at: number) => Known,
): boolean {
  return mightMatch(predicate, (leaf) => {
    if (leaf.op !== 'compare' && leaf.op !== 'is-null' && leaf.op !== 'not-null') return true
    return columns.every((column, at) => column.sourceId !== leaf.field.id || columnMight(leaf, column, knownAt(at)))
  })
}

function columnMight(
  leaf: Extract<BoundPredicate, { field: BoundField }>,
  column: PartitionColumn,
  known: Known,
): boolean {
  const { kind } = parseTransform(column.transform)
  // Null for every value, or nobody knows for which.
  if (kind === 'void' || kind === 'unknown') return true
  // All other transforms give null for null and for nothing else.
  if (leaf.op !== 'compare') return leafMight(leaf, () => known)
  if (known.allNull === true) return false
  // The column had another type in the schema that is read with.
  if (leaf.field.type !== column.sourceType) return true
  const { low, high } = leaf.range
  // A range of two values: what holds for neither end alone must not decide.
  const ends =
    low === high
      ? [low]
      : leaf.comparison === '=' || leaf.comparison === '!='
        ? []
        : [endOf(leaf.comparison, leaf.range)]
  return ends.every((end) =>
    projectComparison(column.transform, column.sourceType, leaf.comparison, end).every((bound) =>
      valuesMight(column.type, known, bound.op, { low: bound.value, high: bound.value }),
    ),
  )
}

/** The end of the range that lets more rows match. */
function endOf(comparison: Comparison, { low, high }: LiteralRange): Present {
  return comparison === '<' || comparison === '<=' ? high : low
}
