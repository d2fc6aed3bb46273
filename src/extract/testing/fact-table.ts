/** The tables of docs/extractors.md: the facts of an extractor as its schema describes them. */
import { must } from '../../base/assert.ts'
import type { JsonSchema } from '../extract.ts'

interface Row {
  path: string
  type: string
  description: string
}

/** A table of all facts, by their paths in the object's metadata. */
export function factTable(schema: JsonSchema): string {
  const rows = rowsOf(schema, '').map(({ path, type, description }) => `| \`${path}\` | ${type} | ${description} |`)
  return ['| fact | type | |', '|---|---|---|', ...rows].join('\n')
}

function rowsOf(schema: JsonSchema, path: string): Row[] {
  const members = (schema['properties'] ?? {}) as { readonly [name: string]: JsonSchema }
  const required = (schema['required'] ?? []) as readonly string[]
  return Object.entries(members).flatMap(([name, member]) => {
    const at = path === '' ? name : `${path}.${name}`
    const isAlways = required.includes(name)
    const inner = innerOf(member, at)
    const description = member['description'] as string | undefined
    if (description === undefined) return inner
    return [{ path: at, type: `${typeText(member)}${isAlways ? '' : ', if any'}`, description }, ...inner]
  })
}

function innerOf(member: JsonSchema, path: string): Row[] {
  const items = member['items'] as JsonSchema | undefined
  return items === undefined ? rowsOf(member, path) : rowsOf(items, `${path}[]`)
}

function typeText(schema: JsonSchema): string {
  const words = schema['enum'] as readonly string[] | undefined
  if (words !== undefined) return words.map((word) => `\`${word}\``).join(' ')
  const types = [schema['type']].flat() as string[]
  const items = schema['items'] as JsonSchema | undefined
  return types
    .map((type) => (type === 'array' ? `list of ${typeText(must(items, 'the items of a list'))}` : type))
    .join(' or ')
}

/** What stands in the page for an extractor, between its marks. */
export function factBlock(name: string, version: number, isDefault: boolean, schema: JsonSchema): string {
  const state = isDefault ? 'on unless turned off' : 'off unless turned on'
  return `<!-- facts of ${name} -->\n\nVersion ${version}; ${state}.\n\n${factTable(schema)}\n\n<!-- end -->`
}

/** The page with each block in its place as it is now. */
export function withFacts(page: string, blocks: ReadonlyMap<string, string>): string {
  return page.replace(
    /<!-- facts of ([a-z0-9-]+) -->.*?<!-- end -->/gs,
    (whole, name: string) => blocks.get(name) ?? whole,
  )
}
