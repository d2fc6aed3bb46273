/** Streams made from the context file of a CDK application, on the command line. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { cli } from '../../test/support/cli.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'tidewater-cdk-'))
})
after(() => rm(dir, { recursive: true, force: true }))

test('a context file makes the streams that it names, over a table made by SQL', async () => {
  const home = path.join(dir, 'home')
  const context = path.join(dir, 'cdk.context.json')
  await writeFile(context, await readFile(new URL('../../examples/streams/cdk.context.json', import.meta.url)))
  const run = (...args: string[]) => cli([...args, '--home', home], { cwd: dir })
  const table = 'CREATE TABLE demo_iceberg_db.demo_iceberg (`user_id` string, `timestamp` timestamp)'
  const made = await run('sql', '--write', `CREATE DATABASE demo_iceberg_db; ${table}`)
  assert.equal(made.code, 0, made.stderr)
  const created = await run('stream', 'create', 'cdk.context.json')
  assert.equal(created.code, 0, created.stderr)
  assert.match(created.stdout, /Firehose-To-Iceberg-Demo/)
  assert.match(created.stderr, /firehose_data_tranform_lambda is not needed/)
  const record = { user_id: 'u', timestamp: '2026-11-21T04:00:00Z', more: 1 }
  const put = await cli(['stream', 'put', 'Firehose-To-Iceberg-Demo', '-', '--home', home], {
    cwd: dir,
    input: `${JSON.stringify(record)}\n`,
  })
  assert.match(put.stdout, /accepted +1/, put.stderr)
  const other = await run('stream', 'create', 'web', 'cdk.context.json')
  assert.match(other.stderr, /written by stream Firehose-To-Iceberg-Demo/)
  const none = await run('stream', 'create', 'web')
  assert.match(none.stderr, /there is no web/)
})
