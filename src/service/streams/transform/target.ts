/** Where a record is to go, as functions and expressions say it, checked. Pure. */
import { OPERATIONS, type Operation } from '../request.ts'
import type { Target } from './protocol.ts'

/**
 * Names of tables that records may ask for: they become names of folders, and every engine must be able to say them. A database
 * may have several levels, joined by dots.
 */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/

export function isTableName(name: string): boolean {
  return NAME.test(name)
}

export function isDatabaseName(name: string): boolean {
  return name.split('.').every(isTableName)
}

/** `destination` with the parts that `target` names. */
export function destinationOf(destination: string, { database, table }: Target): string {
  const at = destination.lastIndexOf('.')
  return `${database ?? destination.slice(0, at)}.${table ?? destination.slice(at + 1)}`
}

type Said =
  | { ok: true; to: Target | null }
  | { ok: false; code: 'InvalidDestination' | 'InvalidOperation'; message: string }

/** Absent, null and empty members mean: as it is. */
export function readTarget(said: { database?: unknown; table?: unknown; operation?: unknown }): Said {
  const to: Target = {}
  for (const [member, isName] of [
    ['database', isDatabaseName],
    ['table', isTableName],
  ] as const) {
    const name = said[member]
    if (isAbsent(name)) continue
    if (typeof name !== 'string' || !isName(name)) {
      const message = `expected as ${member} letters, digits, "_" and "-", at most 128, got ${show(name)}`
      return { ok: false, code: 'InvalidDestination', message }
    }
    to[member] = name
  }
  const { operation } = said
  if (!isAbsent(operation)) {
    if (!OPERATIONS.includes(operation as Operation)) {
      const message = `expected the operation ${OPERATIONS.join(', ')}, got ${show(operation)}`
      return { ok: false, code: 'InvalidOperation', message }
    }
    to.operation = operation as Operation
  }
  return { ok: true, to: Object.keys(to).length === 0 ? null : to }
}

function isAbsent(value: unknown): value is null | undefined | '' {
  return value === null || value === undefined || value === ''
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : typeof value
  return text.length > 80 ? `${text.slice(0, 80)} …` : text
}
