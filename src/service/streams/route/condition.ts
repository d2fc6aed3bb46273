/**
 * Conditions on a record: the logical expression of a JSONPath filter (RFC 9535, 2.3.5), `$` and `@` being the record.
 *
 * Comparisons of single values, which are what conditions mostly are, are compiled; what has more in it (nested filters,
 * wildcards, functions) is left to the library, which reads its text anew for every record.
 */
import { query } from 'jsonpath-rfc9535'
import parse from 'jsonpath-rfc9535/parser'
import { Fault, messageOf } from '../../../base/fault.ts'
import type { Json } from '../../../base/json.ts'

export type Condition = (document: Json) => boolean

/** The record is the only member of the document that the filter runs over. */
const MEMBER = 'r'

/** @throws Fault `invalid` */
export function compileCondition(text: string): Condition {
  const path = filterPath(text)
  let parsed: unknown
  try {
    parsed = parse(path)
  } catch (error) {
    throw new Fault('invalid', `expected a condition such as $.type == 'order', got "${text}": ${messageOf(error)}`)
  }
  const filter = filterOf(parsed)
  const compiled = compileLogical(filter)
  if (compiled !== null) return compiled
  if (comparesByIndex(filter))
    throw new Fault(
      'invalid',
      `an index in a comparison, beside functions or nested filters, is not supported: "${text}"`,
    )
  return libraryCondition(text)
}

/** The library finds nothing at an index of a compared path (`$.a[0] == 1`), though it finds it elsewhere. */
function comparesByIndex(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false
  const { type, node: selector } = node as { type?: unknown; node?: { type?: unknown } }
  if (type === 'SingularQuerySegment' && selector?.type === 'IndexSelector') return true
  return Object.values(node).some(comparesByIndex)
}

/** The condition as the library has it. */
export function libraryCondition(text: string): Condition {
  const path = filterPath(text)
  return (document) => query({ [MEMBER]: document } as never, path).length > 0
}

/** `$` outside of texts means the record, which is a member of the document. */
function filterPath(text: string): string {
  const rooted = text.replace(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\$/gs, (found) =>
    found === '$' ? `$.${MEMBER}` : found,
  )
  return `$[?(${rooted})]`
}

/** What the library's parser gives, as far as it is looked at. */
interface Node {
  type: string
  value?: unknown
  left?: Node
  right?: Node
  op?: string
  expression?: Node
  segments?: { type: string; node: Node }[]
  selector?: Node
  selectors?: Node[]
}

function filterOf(parsed: unknown): Node | null {
  const [segment, more] = (parsed as { segments: { node: Node }[] }).segments
  const [selector, other] = segment?.node.selectors ?? []
  // A text such as `true)] [?(true` would be more than one filter.
  if (more !== undefined || other !== undefined || selector?.type !== 'FilterSelector')
    throw new Fault('invalid', 'expected one condition')
  return selector.value as Node
}

type Value = Json | undefined
type Operand = (document: Json) => Value

function compileLogical(node: Node | null | undefined): Condition | null {
  switch (node?.type) {
    case 'LogicalOrExpr':
    case 'LogicalAndExpr': {
      const left = compileLogical(node.left)
      const right = compileLogical(node.right)
      if (left === null || right === null) return null
      return node.type === 'LogicalOrExpr'
        ? (document) => left(document) || right(document)
        : (document) => left(document) && right(document)
    }
    case 'LogicalNotExpr': {
      const inner = compileLogical(node.expression)
      return inner === null ? null : (document) => !inner(document)
    }
    case 'TestExpr': {
      const inner = node.expression
      const operand = inner?.type === 'FilterQuery' ? compileOperand(inner.value as Node) : null
      return operand === null ? null : (document) => operand(document) !== undefined
    }
    case 'ComparisonExpr': {
      const left = compileOperand(node.left)
      const right = compileOperand(node.right)
      const compare = COMPARE[node.op ?? '']
      if (left === null || right === null || compare === undefined) return null
      return (document) => compare(left(document), right(document))
    }
    default:
      return null
  }
}

function compileOperand(node: Node | undefined): Operand | null {
  if (node === undefined) return null
  if (node.type === 'Literal') {
    const value = node.value as Json
    return () => value
  }
  if (!/^(?:Abs|Rel|Json)(?:Path)?(?:Singular)?Query$/.test(node.type)) return null
  const steps: (string | number)[] = []
  for (const { type, node: selector } of node.segments ?? []) {
    const step = /^(?:Child|SingularQuery)Segment$/.test(type) ? stepOf(selector) : null
    if (step === null) return null
    steps.push(step)
  }
  // From the root, the first name is that of the record itself.
  if (!node.type.startsWith('Rel') && steps.shift() !== MEMBER) return null
  return (document) => {
    let at: Value = document
    for (const step of steps) {
      if (typeof at !== 'object' || at === null) return undefined
      if (Array.isArray(at)) at = typeof step === 'number' ? at.at(step) : undefined
      else at = typeof step === 'string' && Object.hasOwn(at, step) ? at[step] : undefined
    }
    return at
  }
}

/** A name or an index; null for what may find several values. */
function stepOf({ type, value, selector, selectors }: Node): string | number | null {
  if (type === 'BracketedSelection') return selectors?.length === 1 ? stepOf(selectors[0]!) : null
  const found = type === 'IndexSelector' ? (selector?.value ?? value) : value
  const isStep = type === 'MemberNameShorthand' || type === 'NameSelector' || type === 'IndexSelector'
  return isStep && (typeof found === 'string' || typeof found === 'number') ? found : null
}

const COMPARE: Record<string, (left: Value, right: Value) => boolean> = {
  '==': equal,
  '!=': (left, right) => !equal(left, right),
  '<': less,
  '>': (left, right) => less(right, left),
  '<=': (left, right) => less(left, right) || equal(left, right),
  '>=': (left, right) => less(right, left) || equal(left, right),
}

function equal(left: Value, right: Value): boolean {
  if (typeof left !== 'object' || left === null || typeof right !== 'object' || right === null) return left === right
  if (Array.isArray(left) !== Array.isArray(right)) return false
  const names = Object.keys(left)
  if (names.length !== Object.keys(right).length) return false
  return names.every(
    (name) =>
      Object.hasOwn(right, name) &&
      equal((left as { [name: string]: Json })[name], (right as { [name: string]: Json })[name]),
  )
}

/** Numbers and texts have an order; nothing else has. Texts by code point. */
function less(left: Value, right: Value): boolean {
  if (typeof left === 'number' && typeof right === 'number') return left < right
  if (typeof left !== 'string' || typeof right !== 'string') return false
  return Buffer.compare(Buffer.from(left), Buffer.from(right)) < 0
}
