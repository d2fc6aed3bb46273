/** docs/extractors.md says of each built-in extractor what its schema says. `UPDATE_DOCS=1` writes the tables anew. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { must } from '../base/assert.ts'
import type { JsonSchema } from './extract.ts'
import { builtinExtractors, defaultExtractors } from './registry.ts'
import { factBlock, withFacts } from './testing/fact-table.ts'

const file = new URL('../../docs/extractors.md', import.meta.url)

const blocks = new Map(
  builtinExtractors.map((extractor) => {
    const { name, version, schema } = extractor
    const isDefault = defaultExtractors.includes(extractor)
    return [name, factBlock(name, version, isDefault, must(schema, `the schema of ${name}`))]
  }),
)

test('the page has a section and a table for each built-in extractor, in their order', () => {
  const page = readFileSync(file, 'utf8')
  const names = builtinExtractors.map(({ name }) => name)
  assert.deepEqual(
    [...page.matchAll(/<!-- facts of (\S+) -->/g)].map(([, name]) => name),
    names,
  )
  for (const name of names) assert.match(page, new RegExp(`^## .*\`${name}\``, 'm'))
})

test('the tables of the page are those of the schemas (UPDATE_DOCS=1 npm test -- fact-docs writes them)', () => {
  const page = readFileSync(file, 'utf8')
  const current = withFacts(page, blocks)
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(file, current)
  else assert.equal(page, current)
})

test('every fact of every schema is described', () => {
  const undescribed = (schema: JsonSchema, path: string): string[] => {
    const members = Object.entries((schema['properties'] ?? {}) as { readonly [name: string]: JsonSchema })
    return members.flatMap(([name, member]) => {
      const at = `${path}.${name}`
      const isTop = path.split('.').length === 1
      const items = (member['items'] ?? {}) as JsonSchema
      return [
        ...(member['description'] === undefined && !isTop ? [at] : []),
        ...undescribed(member, at),
        ...undescribed(items, `${at}[]`),
      ]
    })
  }
  for (const { name, schema } of builtinExtractors) assert.deepEqual(undescribed(schema!, name), [])
})
