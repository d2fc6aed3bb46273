import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { canonicalLines } from '../../../test/support/canonical.ts'
import { isFault } from '../../base/fault.ts'
import { Duck, type DuckSession } from '../../duck/duck.ts'
import { openFileStore } from '../../store/file.ts'
import type { FileIO } from '../file/file.ts'
import { storeIo } from '../file/store-io.ts'
import { parseMetadata } from '../spec/metadata-json.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'
import { planScan } from './plan.ts'
import { scanRelation } from './relation.ts'
import { snapshotAsOf, snapshotByRef } from './snapshot-at.ts'

const FOLDER = join(import.meta.dirname, '../../../test/golden/tables')

interface Expected {
  metadata: string
  refs: Record<string, string>
  snapshots: { 'snapshot-id': string; data?: string[]; rows: number }[]
  current: { data?: string[]; rows: number }
}

/** Tables that hold what is not read here. */
const REFUSED = new Map([
  ['v2_equality_changelog', /00002\.parquet holds equality deletes/],
  ['v2_orc', /\.orc is in orc format/],
  ['v3_timestamp_ns', /"z" is of type timestamptz_ns/],
])

let duck: Duck
let session: DuckSession
let io: FileIO

before(async () => {
  duck = await Duck.open({ memoryMiB: 512, threads: 2 })
  session = await duck.connect()
  io = storeIo(await openFileStore({ root: FOLDER }), {
    root: 'file:///tmp/tidewater-fixtures',
    scratchDir: '/nowhere',
  })
})
after(() => {
  session.close()
  duck.close()
})

function load(table: string): { expected: Expected; metadata: TableMetadata } {
  const expected = JSON.parse(readFileSync(join(FOLDER, 'expected', `${table}.json`), 'utf8')) as Expected
  return { expected, metadata: parseMetadata(readFileSync(join(FOLDER, expected.metadata), 'utf8')) }
}

async function linesOf(metadata: TableMetadata, snapshotId?: bigint): Promise<string[]> {
  const plan = await planScan(io, metadata, snapshotId === undefined ? {} : { snapshotId })
  const relation = await scanRelation(session, io, plan)
  return canonicalLines(await session.rows(relation.sql), plan.schema)
}

for (const file of readdirSync(join(FOLDER, 'expected'))) {
  const table = file.replace('.json', '')
  const { expected, metadata } = load(table)
  const refusal = REFUSED.get(table)
  if (refusal !== undefined) {
    test(`${table} is refused, naming the file or column`, async () => {
      await assert.rejects(linesOf(metadata), (error) => isFault(error, 'unsupported') && refusal.test(error.message))
    })
    continue
  }
  test(`${table} gives the rows that other engines agree on, now and at every snapshot`, async () => {
    assert.deepEqual(await linesOf(metadata), expected.current.data)
    for (const snapshot of expected.snapshots) {
      const lines = await linesOf(metadata, BigInt(snapshot['snapshot-id']))
      assert.deepEqual(lines, snapshot.data, `snapshot ${snapshot['snapshot-id']}`)
    }
  })
}

test('branches, tags and times name the snapshots that the metadata says', () => {
  const { expected, metadata } = load('v2_refs')
  for (const [ref, id] of Object.entries(expected.refs)) {
    assert.equal(String(snapshotByRef(metadata, ref)['snapshot-id']), id)
  }
  for (const entry of metadata['snapshot-log']) {
    assert.equal(snapshotAsOf(metadata, entry['timestamp-ms'])['snapshot-id'], entry['snapshot-id'])
  }
  const first = metadata['snapshot-log'][0]!['timestamp-ms']
  assert.throws(
    () => snapshotAsOf(metadata, first - 1),
    (error) => isFault(error, 'not-found') && error.message.includes(new Date(first).toISOString()),
  )
  for (const name of ['nope', 'constructor', '__proto__'])
    assert.throws(() => snapshotByRef(metadata, name), /no branch or tag "\w+"; it has .*main/)
})
