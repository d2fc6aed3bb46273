/** Names of namespaces and tables: which are legal, and how a catalog's rows keep them. */
import { Fault } from '../../base/fault.ts'
import { formatIdent, type TableIdent } from './catalog.ts'
import type { RowName } from './rows.ts'

/** The width of the name columns in the layout shared with other engines. */
const nameLengthMax = 255

function problemOf(part: string): string | null {
  if (part === '') return 'it is empty'
  if (part === '.' || part === '..') return 'it would lead out of the warehouse'
  // Names become folders of the warehouse.
  if (/[/\0]/.test(part)) return 'it contains "/" or NUL'
  if (!part.isWellFormed()) return 'it is not valid Unicode'
  return null
}

/** Parts → dotted text. @throws Fault `invalid` for no parts, or one that cannot be kept */
export function namespaceText(namespace: readonly string[]): string {
  const text = namespace.join('.')
  if (namespace.length === 0) throw new Fault('invalid', 'expected a namespace of at least one part, got none')
  for (const part of namespace) {
    const problem = problemOf(part) ?? (part.includes('.') ? 'it contains ".", which parts are joined with' : null)
    if (problem)
      throw new Fault('invalid', `namespace "${text}" has a part that cannot be: ${problem}`, { namespace: text })
  }
  if (text.length > nameLengthMax) {
    throw new Fault('invalid', `expected a namespace of at most ${nameLengthMax} characters, got ${text.length}`)
  }
  return text
}

/** Dotted text → parts. */
export function namespaceParts(text: string): string[] {
  return text.split('.')
}

/** @throws Fault `invalid` for a name that cannot be kept */
export function rowName(ident: TableIdent): RowName {
  const namespace = namespaceText(ident.namespace)
  const problem = problemOf(ident.name)
  if (problem) throw new Fault('invalid', `the table name of "${formatIdent(ident)}" cannot be: ${problem}`)
  if (ident.name.length > nameLengthMax) {
    throw new Fault('invalid', `expected a table name of at most ${nameLengthMax} characters, got ${ident.name.length}`)
  }
  return { namespace, name: ident.name }
}

/** Namespaces that have rows, and those above them, which exist because of them; each once, in order. */
export function withAncestors(namespaces: readonly string[]): string[][] {
  const all = new Set<string>()
  for (const namespace of namespaces) {
    const parts = namespaceParts(namespace)
    for (let depth = 1; depth <= parts.length; depth++) all.add(parts.slice(0, depth).join('.'))
  }
  return [...all].sort().map(namespaceParts)
}
