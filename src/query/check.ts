/**
 * The rules that a parsed statement must keep before any of it runs.
 */
import { Fault } from '../base/fault.ts'
import type { Walked } from './ast.ts'
import { FUNCTIONS, TABLE_FUNCTIONS } from './functions.ts'
import { GUARDED } from './guards.ts'

/** @throws Fault `unsupported` for a function that queries may not call */
export function checkFunctions(walked: Walked): void {
  for (const name of walked.tableFunctions) {
    if (!TABLE_FUNCTIONS.has(name)) {
      const allowed = [...TABLE_FUNCTIONS].join(', ')
      throw new Fault(
        'unsupported',
        `the table function ${name} is not run here: SQL reads tables of the catalog only. Allowed are ${allowed}`,
        { function: name },
      )
    }
  }
  for (const name of walked.functions) {
    if (!FUNCTIONS.has(name)) {
      throw new Fault('unsupported', `there is no function ${name} here; docs/sql.md lists the functions`, {
        function: name,
      })
    }
  }
  for (const { schema, name } of walked.qualifiedFunctions) {
    if (schema !== 'main' && (schema.includes('.') || GUARDED.has(name))) {
      throw new Fault('unsupported', `write ${name}(…) without "${schema}" before it`, { function: name })
    }
  }
}
