/**
 * TBLPROPERTIES: Athena's names become those of the Iceberg documentation, or are checked; others stay as they are.
 * Names that begin with `tidewater.` are facts that Tidewater writes into tables, and nobody else's to set.
 */
import { Fault } from '../base/fault.ts'
import type { DdlCursor } from './ddl-cursor.ts'

/** Where a LOCATION that no store serves is kept. */
export const LOCATION_PROPERTY = 'tidewater.location'
const OWN_PREFIX = 'tidewater.'

export interface Property {
  name: string
  value: string
  /** Where it begins in the text. */
  at: number
}

/** `('a' = 'b', …)`. @throws Fault `invalid` */
export function readProperties(cursor: DdlCursor): Property[] {
  return readList(cursor, () => {
    const { at } = cursor
    const name = readPropertyName(cursor)
    cursor.expectSymbol('=')
    return { name, value: readValue(cursor), at }
  })
}

/** `('a', …)`. @throws Fault `invalid` */
export function readPropertyNames(cursor: DdlCursor): Omit<Property, 'value'>[] {
  return readList(cursor, () => ({ at: cursor.at, name: readPropertyName(cursor) }))
}

function readList<T extends { name: string; at: number }>(cursor: DdlCursor, readItem: () => T): T[] {
  cursor.expectSymbol('(')
  const items: T[] = []
  const names = new Set<string>()
  do {
    const item = readItem()
    if (names.has(item.name)) {
      cursor.placed(item.at, () => {
        throw new Fault('invalid', `expected each property once, got "${item.name}" again`)
      })
    }
    names.add(item.name)
    items.push(item)
  } while (cursor.symbol(','))
  if (!cursor.symbol(')')) throw cursor.wrong('"," or ")"')
  return items
}

function readPropertyName(cursor: DdlCursor): string {
  // Spark takes names without quotes too.
  const name = cursor.peek()?.kind === 'word' ? cursor.name('the name of a property').join('.') : null
  const text = name ?? cursor.string("the name of a property, in quotes: 'format'")
  if (text === '')
    cursor.placed(cursor.at, () => {
      throw new Fault('invalid', 'expected a property with a name, got an empty one')
    })
  return text
}

function readValue(cursor: DdlCursor): string {
  const token = cursor.peek()
  if (token?.kind === 'number' || cursor.peekWord('TRUE', 'FALSE')) {
    const value = token!.text.toLowerCase()
    cursor.take()
    return value
  }
  return cursor.string("the property's value, in quotes")
}

export interface TableProperties {
  properties: Record<string, string>
  notes: string[]
}

/** What the statement's properties mean for the table. @throws Fault `invalid`, `unsupported` with the place */
export function tableProperties(cursor: DdlCursor, given: readonly Property[], creating: boolean): TableProperties {
  const properties: Record<string, string> = {}
  const notes: string[] = []
  for (const { name, value, at } of given) {
    cursor.placed(at, () => {
      const mapped = mapProperty(name, value, creating)
      if (mapped === null) return
      if (Object.hasOwn(properties, mapped.name)) {
        throw new Fault('invalid', `expected each property once, but "${name}" and another set ${mapped.name}`)
      }
      properties[mapped.name] = mapped.value
      if (mapped.note !== undefined) notes.push(mapped.note)
    })
  }
  return { properties, notes }
}

/** The table's own name of a property. @throws Fault `invalid` for one that is nobody's to set */
export function propertyName(name: string): string {
  if (name.toLowerCase().startsWith(OWN_PREFIX)) {
    throw new Fault('invalid', `expected a property that may be set, got "${name}", which Tidewater keeps itself`)
  }
  return Object.hasOwn(RENAMED, name) ? RENAMED[name]! : name
}

const RENAMED: Readonly<Record<string, string>> = {
  format: 'write.format.default',
  write_compression: 'write.parquet.compression-codec',
  compression_level: 'write.parquet.compression-level',
  vacuum_min_snapshots_to_keep: 'history.expire.min-snapshots-to-keep',
  vacuum_max_snapshot_age_seconds: 'history.expire.max-snapshot-age-ms',
  vacuum_max_metadata_files_to_keep: 'write.metadata.previous-versions-max',
}

/** Null: checked, and nothing of it is to be kept. */
function mapProperty(
  given: string,
  value: string,
  creating: boolean,
): { name: string; value: string; note?: string } | null {
  const name = propertyName(given)
  const lower = value.toLowerCase()
  switch (given) {
    case 'table_type':
      if (lower !== 'iceberg') throw wrongValue(given, 'iceberg', value)
      return null
    case 'format-version':
      if (creating && value === '2') return null
      throw new Fault('unsupported', `tables are of format version 2, got ${given} "${value}"; leave it out`)
    case 'format':
    case 'write.format.default':
      if (lower !== 'parquet') throw new Fault('unsupported', `${given}: tables are written as parquet, got "${value}"`)
      return { name, value: lower }
    case 'write_compression':
      return { name, value: lower === 'none' ? 'uncompressed' : lower }
    case 'compression_level':
      return { name, value: whole(given, value, 1, 22) }
    case 'vacuum_max_snapshot_age_seconds':
      return { name, value: `${whole(given, value, 1, 999_999_999)}000` }
    case 'vacuum_min_snapshots_to_keep':
    case 'vacuum_max_metadata_files_to_keep':
    case 'optimize_rewrite_delete_file_threshold':
      return { name, value: whole(given, value, 1, 999_999) }
    case 'optimize_rewrite_data_file_threshold':
      return {
        name,
        value: whole(given, value, 1, 999_999),
        note: `${given} is kept for other engines: Tidewater merges small files by steps of its own`,
      }
    default:
      return { name, value }
  }
}

function whole(name: string, value: string, min: number, max: number): string {
  if (!/^\d{1,9}$/.test(value) || Number(value) < min || Number(value) > max) {
    throw wrongValue(name, `a whole number from ${min} to ${max}`, value)
  }
  return String(Number(value))
}

function wrongValue(name: string, expected: string, got: string): Fault {
  return new Fault('invalid', `${name}: expected ${expected}, got "${got.slice(0, 80)}"`)
}
