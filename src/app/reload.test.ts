import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConfigInput, parseConfig } from './config.ts'
import { changesOf, withContent } from './reload.ts'

const parsed = (input: ConfigInput) => parseConfig(structuredClone(input), 'the file')
const base: ConfigInput = {
  objects: {
    content: { columns: { a: { type: 'STRING', jpath: '$.a' } } },
    sources: { hook: { type: 'webhook', token: 'env:HOOK' } },
  },
  http: { port: 8321 },
}

test('content columns are taken at once, everything else is named by its path', () => {
  const running = parsed(base)
  assert.deepEqual(changesOf(running, parsed(base)), { content: false, restart: [] })
  const columns = { a: { type: 'STRING', jpath: '$.a' }, b: { type: 'LONG', jpath: '$.b' } }
  const next = parsed({ ...base, objects: { ...base.objects, content: { columns } } })
  assert.deepEqual(changesOf(running, next), { content: true, restart: [] })
  const more = parsed({
    objects: {
      content: { includeRawMetadata: false },
      tables: { journal: { properties: { p: 'q' } } },
      sources: { hook: { type: 'webhook', token: 'env:OTHER' }, more: { type: 'webhook' } },
    },
    http: { port: 8322 },
    streams: { web: { table: 'a.b', columns: { id: 'LONG' } } },
  })
  const changes = changesOf(running, more)
  const restart = [...changes.restart].sort()
  assert.equal(changes.content, true)
  assert.deepEqual(restart, [
    'http.port',
    'objects.sources.hook',
    'objects.sources.more',
    'objects.tables.journal',
    'streams.web',
  ])
  assert.deepEqual(changesOf(withContent(running, more), more), { content: false, restart: changes.restart })
})

test('the flat form of the same columns is no change', () => {
  const flat = { custom_metadata_fields: 'a', 'field.a.type': 'STRING', 'field.a.jpath': '$.a' }
  const { content: _content, ...objects } = base.objects ?? {}
  const next = parsed({ ...base, objects: { ...objects, schema: flat } })
  const running = withContent(parsed(base), next)
  assert.deepEqual(changesOf(running, next), { content: false, restart: [] })
})
