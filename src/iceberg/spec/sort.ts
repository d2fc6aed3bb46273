/**
 * Sort orders (Iceberg spec, "Sorting"). Order 0 is the absence of one.
 */
import { Fault } from '../../base/fault.ts'
import { sourceProblems } from './partition.ts'
import type { Schema, SortOrder } from './table-metadata.ts'
import { formatTransform, parseTransform } from './transform.ts'

/** Every rule that the order breaks against the schema, as sentences; empty when it is sound. */
export function orderProblems(order: SortOrder, schema: Schema): string[] {
  const problems = order.fields.flatMap((field, at) => sourceProblems(field, schema, `sort field ${at + 1}`))
  if (order['order-id'] === 0 && order.fields.length > 0)
    problems.push('the sort order 0 stands for none, so it has no fields')
  return problems
}

/** @throws Fault `invalid` with every problem at once */
export function checkOrder(order: SortOrder, schema: Schema): void {
  const problems = orderProblems(order, schema)
  if (problems.length > 0) {
    throw new Fault('invalid', `expected a sound sort order, got ${problems.length} problem(s): ${problems.join('; ')}`)
  }
}

/** Are the orders the same but for their ids? */
export function sameOrder(a: SortOrder, b: SortOrder): boolean {
  const terms = (order: SortOrder): string =>
    JSON.stringify(
      order.fields.map((field) => [
        field['source-ids'] ?? [field['source-id']],
        formatTransform(parseTransform(field.transform)),
        field.direction,
        field['null-order'],
      ]),
    )
  return terms(a) === terms(b)
}
