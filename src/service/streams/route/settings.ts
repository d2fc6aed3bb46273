/** The settings of a stream's routing: which table a record goes to, without code. */
import { z } from 'zod'
import { messageOf } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import { isDatabaseName, isTableName } from '../transform/target.ts'
import { compileCondition } from './condition.ts'
import { compileExpression } from './expression.ts'

type Check = { value: string; issues: { push(issue: { code: 'custom'; message: string; input: string }): unknown } }

/** A text that `compile` takes. Its problem is told with the path of the setting. */
function compiled(compile: (text: string) => unknown) {
  return z
    .string()
    .min(1)
    .max(limits.routeExpressionMax)
    .check(({ value, issues }: Check) => {
      try {
        compile(value)
      } catch (error) {
        issues.push({ code: 'custom', message: messageOf(error), input: value })
      }
    })
}

function name(what: string, isName: (text: string) => boolean) {
  return compiled((text) => {
    const { constant } = compileExpression(text)
    if (constant !== null && !isName(constant))
      throw new Error(`expected as ${what} letters, digits, "_" and "-", got "${constant}"`)
  }).optional()
}

const target = {
  /** Expressions, see docs/streams-records.md. Absent: those of the stream's own table. */
  database: name('database', isDatabaseName),
  table: name('table', isTableName),
  /** `insert`, `update` or `delete`, or an expression that gives one. What the sender says beside the record counts. */
  operation: compiled(compileExpression).optional(),
}

const rule = z.strictObject({
  /** A logical expression as in a JSONPath filter, `$` being the record: `$.type == 'order'`. Absent: every record. */
  when: compiled(compileCondition).optional(),
  ...target,
  /** The record is left out. */
  drop: z.boolean().default(false),
})

export const routeSettings = z.strictObject({
  /** The first whose condition holds counts. */
  rules: z.array(rule).max(limits.routeRulesMax).default([]),
  /** The rule for records of which none holds, in short. */
  ...target,
  /** What becomes of a record for which there is no rule: the stream's own table, a dead letter, or nothing. */
  otherwise: z.enum(['table', 'dead-letter', 'drop']).default('table'),
  /** Tables that records may go to beside the stream's own, e.g. `shop.orders`, `shop.*`. Absent: all. */
  destinations: z
    .array(
      z.string().regex(/^[A-Za-z0-9_*.-]{1,400}$/, 'expected a table such as shop.orders, with * for a part of a name'),
    )
    .max(limits.streamTablesMax)
    .optional(),
  /** Tables that records may go to in all. */
  destinationsMax: z.int().min(1).max(limits.streamTablesMax).default(32),
})

export type RouteSettings = z.output<typeof routeSettings>
export type RouteRule = z.output<typeof rule>
