/**
 * Expressions that take a name out of a record. Pure.
 *
 *     orders                     the text itself
 *     "orders"                   the same
 *     $.meta.type                JSONPath (RFC 9535) that finds one value
 *     .meta.type                 a path as `jq` writes it: .a."b c"[0]
 *     .type // "other"           the text where the path finds nothing
 *     .type | ascii_downcase     lower (or ascii_upcase: upper) case
 *     events_{.type}_{$.region}  a text with expressions in it
 */
import { Fault } from '../../../base/fault.ts'
import type { Json } from '../../../base/json.ts'
import { compilePath } from '../../../base/json-path.ts'

export interface Expression {
  /** The text when it is the same for every record. */
  constant: string | null
  /** Text or a whole number as text; null when the record has none there, or several. */
  read(document: Json): string | null
}

/** @throws Fault `invalid` */
export function compileExpression(text: string): Expression {
  if (isPath(text)) return compilePiece(text)
  const parts = text.split(/\{([^{}]*)\}/)
  if (parts.some((part, at) => at % 2 === 0 && /[{}]/.test(part)))
    throw new Fault('invalid', `expected each { with its }, got "${text}"`)
  if (parts.length === 1) return { constant: text, read: () => text }
  const pieces = parts.map((part, at) =>
    at % 2 === 0 ? { constant: part, read: () => part } : compilePiece(part.trim()),
  )
  return {
    constant: null,
    read: (document) => {
      let whole = ''
      for (const piece of pieces) {
        const value = piece.read(document)
        if (value === null) return null
        whole += value
      }
      return whole
    },
  }
}

function isPath(text: string): boolean {
  return /^[$."]/.test(text)
}

/** One path with what may follow it, or a quoted text. */
function compilePiece(text: string): Expression {
  if (text.startsWith('"')) {
    const constant = quoted(text)
    if (constant === null) throw new Fault('invalid', `expected a text in double quotes, got ${text}`)
    return { constant, read: () => constant }
  }
  if (text.startsWith('$')) {
    const path = compilePath(text, 'expression')
    return {
      constant: null,
      read: (document) => {
        const found = path.select(document)
        return found.length === 1 ? scalarText(found[0]) : null
      },
    }
  }
  return compileJqPath(text)
}

const STEP = /\.([A-Za-z_][A-Za-z0-9_]*)|\.("(?:[^"\\]|\\.)*")|\.?\[(\d{1,9})\]|\.?\[("(?:[^"\\]|\\.)*")\]/y
const REST = /^\s*(?:\/\/\s*("(?:[^"\\]|\\.)*"))?\s*(?:\|\s*(ascii_downcase|ascii_upcase))?\s*$/

function compileJqPath(text: string): Expression {
  const steps: (string | number)[] = []
  let at = 0
  for (;;) {
    STEP.lastIndex = at
    const found = STEP.exec(text)
    if (found === null) break
    const [all, plain, afterDot, index, inBrackets] = found
    const name = plain ?? quoted(afterDot ?? inBrackets ?? '')
    if (index === undefined && name === null) break
    steps.push(index === undefined ? name! : Number(index))
    at += all.length
  }
  const rest = REST.exec(text.slice(at))
  const instead = rest?.[1] === undefined ? null : quoted(rest[1])
  if (steps.length === 0 || rest === null || (rest[1] !== undefined && instead === null)) {
    throw new Fault(
      'invalid',
      `expected a text, a JSONPath such as $.meta.type, or a path such as .meta.type (with // "other", | ascii_downcase), got "${text}"`,
    )
  }
  const [, , letters] = rest
  return {
    constant: null,
    read: (document) => {
      const value = scalarText(walk(document, steps)) ?? instead
      if (value === null || letters === undefined) return value
      return letters === 'ascii_downcase'
        ? value.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
        : value.replace(/[a-z]/g, (letter) => letter.toUpperCase())
    },
  }
}

function walk(document: Json, steps: readonly (string | number)[]): Json | undefined {
  let at: Json | undefined = document
  for (const step of steps) {
    if (typeof at !== 'object' || at === null) return undefined
    if (Array.isArray(at)) at = typeof step === 'number' ? at[step] : undefined
    else at = typeof step === 'string' && Object.hasOwn(at, step) ? at[step] : undefined
  }
  return at
}

function quoted(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}

function scalarText(value: Json | undefined): string | null {
  if (typeof value === 'string') return value === '' ? null : value
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return String(value)
  return null
}
