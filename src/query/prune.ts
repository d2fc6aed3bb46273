/**
 * Filters of WHERE clauses as predicates of tables, so that files without a matching row are not opened. DuckDB filters the
 * rows all the same: leaving a filter out costs time, a wrong one would lose rows. So only what is certainly right passes:
 *
 * - conjuncts of the WHERE of the SELECT whose FROM names the table, joins of ordinary kinds only, no sampling;
 * - comparisons of a bare column with a constant of its own type. On the outer side of a join these are safe, because
 *   they never hold for the nulls that the join adds; IS NULL does, and passes only where there is no outer join.
 */
import type { Json } from '../base/json.ts'
import type { Predicate } from '../iceberg/scan/scan.ts'
import type { NestedField, Schema } from '../iceberg/spec/table-metadata.ts'
import { list, type Node, object, text } from './ast.ts'

type Scalar = string | number | bigint | boolean
type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>='

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  COMPARE_EQUAL: '=',
  COMPARE_NOTEQUAL: '!=',
  COMPARE_LESSTHAN: '<',
  COMPARE_LESSTHANOREQUALTO: '<=',
  COMPARE_GREATERTHAN: '>',
  COMPARE_GREATERTHANOREQUALTO: '>=',
}
const FLIPPED: Readonly<Record<Comparison, Comparison>> = {
  '=': '=',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
}
const ORDINARY_JOINS = ['REGULAR', 'CROSS', 'NATURAL']
const INNER_JOINS = ['INNER', 'SEMI']
const IN_VALUES_MAX = 1_000

/** A table in a FROM clause, with the names that its columns may be qualified by. */
interface Place {
  node: Node
  schema: Schema
  alias: string
}

interface Scope {
  places: Place[]
  /** Lower-case names that the SELECT list gives; a WHERE may mean these. */
  outputs: ReadonlySet<string>
  /** True when no join can add nulls. */
  inner: boolean
}

/** For each table of the tree that has any: the predicate that its files are chosen by. */
export function filtersOf(tree: Node, schemaOf: (table: Node) => Schema | null): Map<Node, Predicate> {
  const filters = new Map<Node, Predicate>()
  const visit = (value: Json | undefined): void => {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      value.forEach(visit)
      return
    }
    if (value['type'] === 'SELECT_NODE') ofSelect(value, schemaOf, filters)
    for (const member of Object.values(value)) visit(member)
  }
  visit(tree)
  return filters
}

function ofSelect(select: Node, schemaOf: (table: Node) => Schema | null, filters: Map<Node, Predicate>): void {
  const where = select['where_clause']
  if (where === null || where === undefined) return
  const scope: Scope = { places: [], outputs: outputs(select), inner: true }
  if (!collect(object(select['from_table']), schemaOf, scope)) return
  for (const conjunct of conjuncts(object(where))) {
    const found = predicateOf(conjunct, scope)
    if (found === null) continue
    const known = filters.get(found.place.node)
    const { predicate } = found
    filters.set(found.place.node, known === undefined ? predicate : { op: 'and', left: known, right: predicate })
  }
}

function outputs(select: Node): Set<string> {
  return new Set(list(select['select_list']).map((item) => text(object(item)['alias']).toLowerCase()))
}

/** False when the FROM holds something in which filtering before differs from filtering after. */
function collect(from: Node, schemaOf: (table: Node) => Schema | null, scope: Scope): boolean {
  if (from['sample'] !== null && from['sample'] !== undefined) return false
  switch (from['type']) {
    case 'JOIN': {
      if (!ORDINARY_JOINS.includes(text(from['ref_type']))) return false
      if (!INNER_JOINS.includes(text(from['join_type']))) scope.inner = false
      return collect(object(from['left']), schemaOf, scope) && collect(object(from['right']), schemaOf, scope)
    }
    case 'BASE_TABLE': {
      const schema = schemaOf(from)
      const alias = (text(from['alias']) || text(from['table_name'])).toLowerCase()
      const renamed = list(from['column_name_alias']).length > 0
      if (schema !== null && !renamed) scope.places.push({ node: from, schema, alias })
      return true
    }
    case 'PIVOT':
      return false
    default:
      return true
  }
}

function conjuncts(expression: Node): Node[] {
  if (expression['type'] !== 'CONJUNCTION_AND') return [expression]
  return list(expression['children']).flatMap((child) => conjuncts(object(child)))
}

interface Found {
  place: Place
  predicate: Predicate
}

function predicateOf(expression: Node, scope: Scope): Found | null {
  switch (expression['class']) {
    case 'COMPARISON':
      return comparison(expression, scope)
    case 'BETWEEN':
      return between(expression, scope)
    case 'CONJUNCTION':
      return disjunction(expression, scope)
    case 'OPERATOR':
      return operator(expression, scope)
    case 'FUNCTION':
      return prefix(expression, scope)
    default:
      return null
  }
}

function comparison(expression: Node, scope: Scope): Found | null {
  const op = COMPARISONS[text(expression['type'])]
  if (op === undefined) return null
  const [left, right] = [object(expression['left']), object(expression['right'])]
  const direct = columnOf(left, scope)
  const column = direct ?? columnOf(right, scope)
  if (column === null) return null
  const value = constantFor(column.field, direct === null ? left : right)
  if (value === null) return null
  return {
    place: column.place,
    predicate: { op: direct === null ? FLIPPED[op] : op, column: column.field.name, value },
  }
}

function between(expression: Node, scope: Scope): Found | null {
  const column = columnOf(object(expression['input']), scope)
  if (column === null) return null
  const lower = constantFor(column.field, object(expression['lower']))
  const upper = constantFor(column.field, object(expression['upper']))
  if (lower === null || upper === null) return null
  const name = column.field.name
  return {
    place: column.place,
    predicate: {
      op: 'and',
      left: { op: '>=', column: name, value: lower },
      right: { op: '<=', column: name, value: upper },
    },
  }
}

/** Alternatives on one table: each must be a predicate. Inside, a conjunction may be weakened to the parts that are. */
function disjunction(expression: Node, scope: Scope): Found | null {
  const isAnd = expression['type'] === 'CONJUNCTION_AND'
  const found = list(expression['children']).map((child) => predicateOf(object(child), scope))
  const usable = found.filter((each) => each !== null)
  const first = usable[0]
  if (first === undefined || (!isAnd && usable.length < found.length)) return null
  const same = usable.filter((each) => each.place === first.place)
  if (!isAnd && same.length < usable.length) return null
  const op = isAnd ? 'and' : 'or'
  const predicate = same.map((each) => each.predicate).reduce((left, right) => ({ op, left, right }))
  return { place: first.place, predicate }
}

function operator(expression: Node, scope: Scope): Found | null {
  const [input, ...rest] = list(expression['children']).map(object)
  const column = columnOf(input ?? {}, scope)
  if (column === null) return null
  const name = column.field.name
  switch (expression['type']) {
    case 'OPERATOR_IS_NOT_NULL':
      return { place: column.place, predicate: { op: 'not-null', column: name } }
    case 'OPERATOR_IS_NULL':
      return scope.inner ? { place: column.place, predicate: { op: 'is-null', column: name } } : null
    case 'COMPARE_IN': {
      const values = rest.map((item) => constantFor(column.field, item)).filter((value) => value !== null)
      if (values.length < rest.length || values.length === 0 || values.length > IN_VALUES_MAX) return null
      return { place: column.place, predicate: { op: 'in', column: name, values } }
    }
    default:
      return null
  }
}

/** `key LIKE 'photos/%'`, `starts_with(key, 'photos/')`, `key ^@ 'photos/'`: a range of texts. */
function prefix(expression: Node, scope: Scope): Found | null {
  const [input, pattern, extra] = list(expression['children']).map(object)
  const column = columnOf(input ?? {}, scope)
  if (column === null || column.field.type !== 'string' || extra !== undefined) return null
  const value = constantFor(column.field, pattern ?? {})
  if (typeof value !== 'string') return null
  const start = prefixOf(text(expression['function_name']), value)
  if (start === null || start === '') return null
  const name = column.field.name
  const from: Predicate = { op: '>=', column: name, value: start }
  const end = textAfter(start)
  const predicate: Predicate =
    end === null ? from : { op: 'and', left: from, right: { op: '<', column: name, value: end } }
  return { place: column.place, predicate }
}

function prefixOf(functionName: string, pattern: string): string | null {
  switch (functionName) {
    case '~~':
    case 'like':
      return pattern.slice(0, (/[%_\\]/.exec(pattern) ?? { index: pattern.length }).index)
    case 'starts_with':
    case 'prefix':
    case '^@':
      return pattern
    default:
      return null
  }
}

/** The least text above every text that begins with `start`, in order of code points; null when the last is the highest. */
function textAfter(start: string): string | null {
  const points = [...start]
  const last = points.pop()!.codePointAt(0)!
  if (last >= 0x10ffff) return null
  // The surrogates' range holds no characters.
  const next = last === 0xd7ff ? 0xe000 : last + 1
  return points.join('') + String.fromCodePoint(next)
}

interface Column {
  place: Place
  field: NestedField
}

/** The table column that the expression is, if it can be no other. */
function columnOf(expression: Node, scope: Scope): Column | null {
  if (expression['class'] !== 'COLUMN_REF') return null
  const parts = list(expression['column_names']).map((part) => text(part).toLowerCase())
  const name = parts.at(-1)!
  const qualifier = parts.length === 2 ? parts[0] : undefined
  if (parts.length > 2 || (qualifier === undefined && scope.outputs.has(name))) return null
  const holders = scope.places.filter((place) => qualifier === undefined || place.alias === qualifier)
  const found = holders.flatMap((place) =>
    place.schema.fields.filter((field) => field.name.toLowerCase() === name).map((field): Column => ({ place, field })),
  )
  if (qualifier !== undefined) {
    // `a.b` is member b of column a where a column has that name.
    const struct = scope.places.some((place) =>
      place.schema.fields.some((each) => each.name.toLowerCase() === qualifier),
    )
    if (struct) return null
  }
  return found.length === 1 ? found[0]! : null
}

/** The constant as a value of the column's type, when DuckDB compares the two without changing the column's. */
function constantFor(field: NestedField, expression: Node): Scalar | null {
  const type = typeof field.type === 'string' ? field.type : ''
  if (expression['class'] === 'CAST') {
    const target = text(object(expression['cast_type'])['id'])
    const child = object(expression['child'])
    if (expression['try_cast'] !== false || child['class'] !== 'CONSTANT') return null
    const inner = object(child['value'])['value']
    if (typeof inner !== 'string') return null
    if (target === 'BOOLEAN') return type === 'boolean' && /^[tf]$/.test(inner) ? inner === 't' : null
    if (target === 'DATE') return type === 'date' ? dateText(inner) : null
    if (target === 'TIMESTAMP') return type === 'timestamp' ? timestampText(inner, '') : null
    if (target === 'TIMESTAMP WITH TIME ZONE') return type === 'timestamptz' ? timestampText(inner, 'Z') : null
    return null
  }
  if (expression['class'] !== 'CONSTANT') return null
  const constant = object(expression['value'])
  if (constant['is_null'] !== false) return null
  const kind = text(object(constant['type'])['id'])
  const value = constant['value']
  switch (type) {
    case 'int':
    case 'long':
      return ['INTEGER', 'BIGINT'].includes(kind) && (typeof value === 'number' || typeof value === 'bigint')
        ? value
        : null
    case 'string':
      return kind === 'VARCHAR' && typeof value === 'string' ? value : null
    case 'boolean':
      return kind === 'BOOLEAN' && typeof value === 'boolean' ? value : null
    case 'date':
      return kind === 'VARCHAR' && typeof value === 'string' ? dateText(value) : null
    case 'timestamp':
      return kind === 'VARCHAR' && typeof value === 'string' ? timestampText(value, '') : null
    case 'timestamptz':
      return kind === 'VARCHAR' && typeof value === 'string' ? timestampText(value, 'Z') : null
    default:
      return null
  }
}

function dateText(value: string): string | null {
  return /^\d{4}-\d\d-\d\d$/.test(value) ? value : null
}

/** `2024-02-29 01:02:03.5` → ISO text; text with a zone, or in any other form, is left to DuckDB. */
function timestampText(value: string, zone: '' | 'Z'): string | null {
  const match = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?)?$/.exec(value)
  if (match === null) return null
  const fraction = match[3] === undefined ? '' : `.${match[3].padEnd(6, '0')}`
  return `${match[1]}T${match[2] ?? '00:00:00'}${fraction}${zone}`
}
