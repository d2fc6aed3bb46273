/**
 * Field summaries of a manifest: per partition column whether there are nulls and NaNs, and the bounds of the rest
 * (Iceberg spec, "Manifest Lists", `field_summary`).
 */
import type { FieldSummary, Value } from '../spec/manifest.ts'
import type { PartitionColumn } from '../spec/partition.ts'
import { truncateLowerBound, truncateUpperBound, valueToBytes } from '../spec/single-value.ts'
import { compareValues, type Present } from '../spec/value-order.ts'

interface Seen {
  containsNull: boolean
  containsNan: boolean
  lower?: Present
  upper?: Present
}

export class PartitionSummary {
  readonly #columns: readonly PartitionColumn[]
  readonly #seen: Seen[]

  constructor(columns: readonly PartitionColumn[]) {
    this.#columns = columns
    this.#seen = columns.map(() => ({ containsNull: false, containsNan: false }))
  }

  add(partition: readonly Value[]): void {
    for (const [at, seen] of this.#seen.entries()) {
      const value = partition[at] ?? null
      const { type } = this.#columns[at]!
      if (value === null) seen.containsNull = true
      else if (Number.isNaN(value)) seen.containsNan = true
      else {
        if (seen.lower === undefined || compareValues(type, value, seen.lower) < 0) seen.lower = value
        if (seen.upper === undefined || compareValues(type, value, seen.upper) > 0) seen.upper = value
      }
    }
  }

  /** One summary per column. Long texts and bytes are cut, the upper bound rounded up or left out. */
  fields(): FieldSummary[] {
    return this.#seen.map(({ containsNull, containsNan, lower, upper }, at) => {
      const { type } = this.#columns[at]!
      const summary: FieldSummary = { containsNull, containsNan }
      if (lower === undefined || upper === undefined) return summary
      const cut = type === 'string' || type === 'binary'
      summary.lowerBound = valueToBytes(type, cut ? truncateLowerBound(type, lower) : lower)
      const rounded = cut ? truncateUpperBound(type, upper) : upper
      if (rounded !== undefined) summary.upperBound = valueToBytes(type, rounded)
      return summary
    })
  }
}
