/**
 * JSONPath (RFC 9535) compiled once. A definite path names at most one place and is walked directly; the others are
 * left to the library.
 */
import { query } from 'jsonpath-rfc9535'
import parse from 'jsonpath-rfc9535/parser'
import { Fault, messageOf } from './fault.ts'
import type { Json } from './json.ts'

export interface JsonPath {
  /** True when the path can name one place at most: names and indexes only. */
  readonly definite: boolean
  /** The values found, in document order. */
  select(document: Json): Json[]
}

/** @param where what the path belongs to, for the message. @throws Fault `invalid` */
export function compilePath(text: string, where: string): JsonPath {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(text)
  } catch (error) {
    throw new Fault(
      'invalid',
      `${where}: expected a JSONPath such as $.image.image_width, got "${text.toWellFormed()}": ${problemOf(error, text)}`,
      {},
      error,
    )
  }
  const steps = singularSteps(parsed)
  if (steps === null) return { definite: false, select: (document) => query(document as never, text) as Json[] }
  return {
    definite: true,
    select: (document) => {
      let at: Json | undefined = document
      for (const step of steps) {
        at = member(at, step)
        if (at === undefined) return []
      }
      return [at]
    },
  }
}

/** The parser's own message lists what it would take as ranges of characters, halves of surrogate pairs among them. */
function problemOf(error: unknown, text: string): string {
  const offset = (error as { location?: { start?: { offset?: unknown } } }).location?.start?.offset
  if (typeof offset !== 'number') return messageOf(error)
  const found = text.codePointAt(offset)
  if (found === undefined) return 'it ends too early'
  const at = [...text.slice(0, offset)].length + 1
  return `"${String.fromCodePoint(found).toWellFormed()}" is not expected as character ${at}`
}

function member(value: Json | undefined, step: string | number): Json | undefined {
  if (value === null || typeof value !== 'object') return undefined
  if (Array.isArray(value)) return typeof step === 'number' ? value.at(step) : undefined
  return typeof step === 'string' && Object.hasOwn(value, step) ? value[step] : undefined
}

interface Node {
  type: string
  value?: unknown
  selectors?: Node[]
}

/** The names and indexes of a path that has nothing else, or null. */
function singularSteps(parsed: unknown): (string | number)[] | null {
  const steps: (string | number)[] = []
  for (const segment of (parsed as { segments: { type: string; node: Node }[] }).segments) {
    const [selector, more] = segment.node.selectors ?? [segment.node]
    if (segment.type !== 'ChildSegment' || selector === undefined || more !== undefined) return null
    if (
      selector.type !== 'MemberNameShorthand' &&
      selector.type !== 'NameSelector' &&
      selector.type !== 'IndexSelector'
    )
      return null
    steps.push(selector.value as string | number)
  }
  return steps
}
