/**
 * DuckDB's own syntax tree of a SELECT (`json_serialize_sql`), walked once: which tables, functions and qualified columns
 * it names. Whatever has a shape that is not known here is refused, so a newer DuckDB cannot widen what may be run.
 */
import { Fault } from '../base/fault.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'

export type Node = { [key: string]: Json }

/** A name in a FROM clause that is no common table expression in scope. */
export interface TableRef {
  node: Node
  /** Bytes of UTF-8 before the name; NaN when DuckDB does not say. */
  offset: number
  parts: string[]
}

export interface ColumnRef {
  offset: number
  parts: string[]
}

export interface Walked {
  tables: TableRef[]
  /** Names of scalar, aggregate and window functions, lower case. */
  functions: Set<string>
  /** Functions named with a schema before them; `column.function(…)` is written so too. */
  qualifiedFunctions: { schema: string; name: string }[]
  /** Names of functions in FROM, lower case. */
  tableFunctions: Set<string>
  /** Columns named by three parts or more: these may hold a table's full name. */
  qualifiedColumns: ColumnRef[]
}

const EXPRESSIONS = new Set(
  'COLUMN_REF CONSTANT COMPARISON CONJUNCTION CAST FUNCTION OPERATOR CASE BETWEEN SUBQUERY STAR WINDOW LAMBDA LAMBDA_REF COLLATE POSITIONAL_REFERENCE TYPE'.split(
    ' ',
  ),
)
const TABLES = new Set('BASE_TABLE SUBQUERY JOIN TABLE_FUNCTION EXPRESSION_LIST EMPTY PIVOT SHOW_REF'.split(' '))
const QUERIES = new Set('SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE CTE_NODE'.split(' '))

/** @throws Fault `unsupported` for a construct that is not run, `limit` when nested too deep or naming too many tables */
export function walk(root: Json): Walked {
  const walked: Walked = {
    tables: [],
    functions: new Set(),
    qualifiedFunctions: [],
    tableFunctions: new Set(),
    qualifiedColumns: [],
  }
  visit(root, new Set(), 0, walked)
  return walked
}

type Scope = ReadonlySet<string>

function visit(value: Json | undefined, scope: Scope, depth: number, walked: Walked): void {
  if (typeof value !== 'object' || value === null) return
  if (depth > limits.queryTreeDepthMax) {
    throw new Fault('limit', `the statement is nested deeper than ${limits.queryTreeDepthMax} levels; simplify it`)
  }
  if (Array.isArray(value)) {
    for (const member of value) visit(member, scope, depth + 1, walked)
    return
  }
  if (value['cte_map'] !== undefined) visitQuery(value, scope, depth, walked)
  else if (typeof value['class'] === 'string') visitExpression(value, scope, depth, walked)
  else if (value['sample'] !== undefined && value['alias'] !== undefined) visitTable(value, scope, depth, walked)
  else for (const member of Object.values(value)) visit(member, scope, depth + 1, walked)
}

function visitQuery(node: Node, scope: Scope, depth: number, walked: Walked): void {
  const type = text(node['type'])
  if (!QUERIES.has(type)) throw notRun(type)
  const inner = new Set(scope)
  for (const entry of list(object(node['cte_map'])['map'])) {
    const name = text(object(entry)['key']).toLowerCase()
    visit(object(entry)['value'], inner, depth + 1, walked)
    inner.add(name)
  }
  const recursive = type === 'RECURSIVE_CTE_NODE' ? new Set(inner).add(text(node['cte_name']).toLowerCase()) : inner
  for (const [key, member] of Object.entries(node)) {
    if (key === 'cte_map') continue
    visit(member, key === 'right' ? recursive : inner, depth + 1, walked)
  }
}

function visitExpression(node: Node, scope: Scope, depth: number, walked: Walked): void {
  const kind = text(node['class'])
  if (kind === 'PARAMETER') throw new Fault('unsupported', 'a statement takes no parameters ($1, ?); write the values')
  if (!EXPRESSIONS.has(kind)) throw notRun(kind)
  if (kind === 'CONSTANT') return
  if (kind === 'FUNCTION' || kind === 'WINDOW') {
    const name = text(node['function_name']).toLowerCase()
    walked.functions.add(name)
    const schema = [text(node['catalog']), text(node['schema'])].filter((part) => part !== '').join('.')
    if (schema !== '') walked.qualifiedFunctions.push({ schema, name })
  }
  if (kind === 'COLUMN_REF') {
    const parts = list(node['column_names']).map(text)
    if (parts.length > 2) walked.qualifiedColumns.push({ offset: offsetOf(node), parts })
    return
  }
  for (const member of Object.values(node)) visit(member, scope, depth + 1, walked)
}

function visitTable(node: Node, scope: Scope, depth: number, walked: Walked): void {
  const type = text(node['type'])
  if (!TABLES.has(type)) throw notRun(type)
  if (type === 'BASE_TABLE') {
    visitBaseTable(node, scope, walked)
    return
  }
  if (type === 'SHOW_REF' && node['query'] === null) {
    throw new Fault('unsupported', 'SHOW and DESCRIBE of names are statements of their own, not part of a SELECT')
  }
  if (type === 'TABLE_FUNCTION') {
    const call = object(node['function'])
    if (call['class'] !== 'FUNCTION') throw notRun(text(call['class']))
    walked.tableFunctions.add(text(call['function_name']).toLowerCase())
    for (const [key, member] of Object.entries(call)) if (key !== 'class') visit(member, scope, depth + 1, walked)
  }
  for (const [key, member] of Object.entries(node)) {
    if (type === 'TABLE_FUNCTION' && key === 'function') continue
    visit(member, scope, depth + 1, walked)
  }
}

function visitBaseTable(node: Node, scope: Scope, walked: Walked): void {
  if (node['at_clause'] !== null) {
    throw new Fault('unsupported', 'this form of time travel is not read; write table FOR VERSION AS OF <snapshot id>')
  }
  const [catalog, schema, table] = [node['catalog_name'], node['schema_name'], node['table_name']].map(text)
  const parts = [catalog!, schema!, table!].filter((part) => part !== '')
  // `recurring.x` is DuckDB's name for all rows so far of the recursive expression x.
  const local = parts.length === 1 || (parts.length === 2 && parts[0]!.toLowerCase() === 'recurring')
  if (local && scope.has(table!.toLowerCase())) return
  walked.tables.push({ node, offset: offsetOf(node), parts })
  if (walked.tables.length > limits.queryTablesMax) {
    throw new Fault('limit', `a statement may name ${limits.queryTablesMax} tables`)
  }
}

function offsetOf(node: Node): number {
  const offset = node['query_location']
  return typeof offset === 'number' ? offset : Number.NaN
}

function notRun(what: string): Fault {
  return new Fault('unsupported', `the statement holds a construct that is not run here (${what})`)
}

export function object(value: Json | undefined): Node {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  return value
}

export function list(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : []
}

export function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}
