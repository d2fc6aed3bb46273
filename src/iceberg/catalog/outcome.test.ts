import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simpleTable } from '../../../test/contract/catalog.ts'
import { newTableMetadata } from '../spec/create.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'
import { outcomeOf } from './outcome.ts'

const folder = 'file:///w/t/metadata'

function withLog(...names: string[]): TableMetadata {
  const metadata = newTableMetadata({ ...simpleTable, location: 'file:///w/t', uuid: 'u', nowMs: 1 })
  const location = (name: string) => (name.includes('/') ? name : `${folder}/${name}`)
  return { ...metadata, 'metadata-log': names.map((name) => ({ 'metadata-file': location(name), 'timestamp-ms': 1 })) }
}

test('the log of metadata files tells whether a file took its place after its base', () => {
  for (const [now, log, expected] of [
    ['ours', ['base'], 'committed'],
    ['later', ['base', 'ours'], 'committed'],
    ['latest', ['ours', 'later'], 'committed'],
    ['base', ['older'], 'undone'],
    ['base', [], 'undone'],
    ['theirs', ['base'], 'lost'],
    ['latest', ['base', 'theirs', 'later'], 'lost'],
    ['latest', ['later'], 'unknown'],
    ['latest', [], 'unknown'],
  ] as const) {
    const outcome = outcomeOf(`${folder}/base`, `${folder}/ours`, {
      location: `${folder}/${now}`,
      metadata: withLog(...log),
    })
    assert.equal(outcome, expected, `${now} after ${log.join(', ')}`)
  }
})

test('Java’s spelling of a location is the same location', () => {
  const now = {
    location: 'file:/w/t/metadata/later',
    metadata: withLog('file:/w/t/metadata/base', 'file:/w/t/metadata/ours'),
  }
  assert.equal(outcomeOf(`${folder}/base`, `${folder}/ours`, now), 'committed')
})
