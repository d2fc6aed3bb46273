/**
 * Filters on a column as filters on its partition (Iceberg spec, "Scan Planning"): the inclusive projection. Every row
 * that matches the filter is in a partition that matches the projection; never the other way round.
 */
import type { Value } from './manifest.ts'
import type { PrimitiveType, Transform } from './table-metadata.ts'
import { applyTransform, canTransform, parseTransform } from './transform.ts'
import { parsePrimitive } from './type.ts'
import { compareValues, type Present } from './value-order.ts'

export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>='

/** What a partition value must satisfy. A null partition value satisfies none of them. */
export interface PartitionBound {
  op: Comparison
  value: Present
}

/**
 * What the partition values of files with matching rows must satisfy, all of it; empty: the filter says nothing about
 * partitions. `value` is in memory form, of the column's type. Rows with null match no comparison, so a file whose
 * partition value is null may be left out whenever the result is not empty.
 */
export function projectComparison(
  transform: Transform,
  source: PrimitiveType,
  op: Comparison,
  value: Present,
): PartitionBound[] {
  const parsed = parseTransform(transform)
  if (!canTransform(transform, source)) return []
  const projected = (): Present | null => applyTransform(transform, source, value) as Present | null
  switch (parsed.kind) {
    case 'identity':
      return typeof value === 'number' && isFloat(source) ? projectFloat(op, value) : [{ op, value }]
    case 'bucket':
      return op === '=' ? bound('=', projected()) : []
    case 'truncate':
      return projectTruncated(source, parsed.width, op, value, projected())
    case 'year':
    case 'month':
    case 'day':
    case 'hour':
      return projectTime(op, projected())
    case 'void':
    case 'unknown':
      return []
  }
}

function bound(op: Comparison, value: Value): PartitionBound[] {
  return value === null ? [] : [{ op, value }]
}

function isFloat(source: PrimitiveType): boolean {
  const { kind } = parsePrimitive(source)
  return kind === 'float' || kind === 'double'
}

/** Identity of a float. Bounds tell -0.0 from 0.0 and order NaN last; for a filter the zeros are equal. */
function projectFloat(op: Comparison, value: number): PartitionBound[] {
  if (Number.isNaN(value)) return []
  if (value !== 0) return [{ op, value }]
  switch (op) {
    case '=':
      return [
        { op: '>=', value: -0 },
        { op: '<=', value: 0 },
      ]
    case '!=':
      return []
    case '<':
    case '>=':
      return [{ op, value: -0 }]
    case '<=':
    case '>':
      return [{ op, value: 0 }]
  }
}

/** For a transform that keeps order: strict comparisons become inclusive, since one partition holds many values. */
function projectOrdered(op: Comparison, projected: Value): PartitionBound[] {
  switch (op) {
    case '=':
      return bound('=', projected)
    case '<':
    case '<=':
      return bound('<=', projected)
    case '>':
    case '>=':
      return bound('>=', projected)
    case '!=':
      return []
  }
}

/**
 * Truncating an int or long near its least value wraps round to a large one (see `applyTransform`) unless the width is a
 * power of two. Small values may then be in a large partition: upper bounds would skip it, and so would a lower bound that
 * has wrapped itself.
 */
function projectTruncated(
  source: PrimitiveType,
  width: number,
  op: Comparison,
  value: Present,
  projected: Value,
): PartitionBound[] {
  const { kind } = parsePrimitive(source)
  const mayWrap = (kind === 'int' || kind === 'long') && (width & (width - 1)) !== 0
  const isUpper = op === '<' || op === '<='
  const wrapped = mayWrap && projected !== null && compareValues(source, projected, value) > 0
  if (mayWrap && (isUpper || (wrapped && op !== '='))) return []
  return projectOrdered(op, projected)
}

/**
 * Old writers rounded times before 1970 towards zero, so that a partition of theirs may be one too high: upper bounds
 * below zero are widened by one, as Java's library does.
 */
function projectTime(op: Comparison, projected: Value): PartitionBound[] {
  if (typeof projected !== 'number' || projected >= 0) return projectOrdered(op, projected)
  switch (op) {
    case '=':
      return [
        { op: '>=', value: projected },
        { op: '<=', value: projected + 1 },
      ]
    case '<':
    case '<=':
      return bound('<=', projected + 1)
    default:
      return projectOrdered(op, projected)
  }
}
