/** Context files of CDK applications as configuration: what they become, and every problem with its path. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { cdkStreams, isCdkContext } from './cdk-context.ts'
import { parseConfig } from './config.ts'
import { loadConfig } from './config-file.ts'

const file = new URL('../../examples/streams/cdk.context.json', import.meta.url)
const prefix =
  'error/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/!{firehose:error-output-type}'

let example: { data_firehose_configuration: Record<string, unknown> }
let folder: string
before(async () => {
  example = JSON.parse(await readFile(file, 'utf8')) as typeof example
  folder = await mkdtemp(join(tmpdir(), 'tidewater-cdk-'))
})
after(() => rm(folder, { recursive: true, force: true }))

describe('the context of a CDK application', () => {
  it('becomes the settings of a stream', () => {
    const { streams, notes } = cdkStreams(example, 'cdk.context.json')
    assert.deepEqual(streams, {
      'Firehose-To-Iceberg-Demo': {
        table: 'demo_iceberg_db.demo_iceberg',
        unknownFields: 'drop',
        buffer: { seconds: 60, mebibytes: 128 },
        transform: { numberOfRetries: 3, buffer: { mebibytes: 3, seconds: 300 } },
        errorOutputPrefix: prefix,
      },
    })
    assert.deepEqual(
      notes.map((note) => note.split(' ')[0]),
      ['firehose_data_tranform_lambda', 'data_firehose_configuration.output_prefix'],
    )
  })

  it('may have unique keys, several streams, keys of the CDK itself, and stand in cdk.json', () => {
    const table = { database_name: 'db', table_name: 't', unique_keys: ['user_id', 'timestamp'] }
    const stream = (name: string, keys: object) => ({
      stream_name: name,
      destination_iceberg_table_configuration: { ...table, ...keys },
    })
    const context = {
      '@aws-cdk/core:newStyleStackSynthesis': true,
      'availability-zones:account=1:region=us-east-1': ['a'],
      data_firehose_configuration: [stream('one', {}), stream('two', { table_name: 'u', unique_keys: null })],
    }
    for (const document of [context, { app: 'python3 app.py', context }]) {
      assert.ok(isCdkContext(document))
      assert.deepEqual(cdkStreams(document, 'f').streams, {
        one: { table: 'db.t', unknownFields: 'drop', uniqueKeys: ['user_id', 'timestamp'], buffer: {} },
        two: { table: 'db.u', unknownFields: 'drop', buffer: {} },
      })
    }
    assert.equal(isCdkContext({ table: 'a.b' }), false)
    assert.equal(isCdkContext(null), false)
  })

  it('has each of its problems told with its path', () => {
    const data_firehose_configuration = [
      {
        stream_name: 'a b',
        buffering_hints: { interval_in_seconds: 901, size_in_mbs: '128', more: 1 },
        transform_records_with_aws_lambda: { number_of_retries: 1.5 },
        destination_iceberg_table_configuration: { database_name: 'db', unique_keys: ['a', 7] },
      },
      { stream_name: 'x', destination_iceberg_table_configuration: { database_name: '../x', table_name: 't' } },
      { stream_name: 'y', destination_iceberg_table_configuration: { database_name: 'd', table_name: 't' } },
      { stream_name: 'y', destination_iceberg_table_configuration: { database_name: 'd', table_name: 't' } },
    ]
    assert.throws(
      () => parseConfig({ cdkContext: { data_firehose_configuration }, http: { port: -1 } }, 'the file'),
      ({ message }: Error) => {
        const lines = message.split('\n').map((line) => line.trim().split(':')[0])
        const at = 'cdkContext.data_firehose_configuration'
        assert.deepEqual(lines.slice(1).sort(), [
          `${at}.0.buffering_hints`,
          `${at}.0.buffering_hints.interval_in_seconds`,
          `${at}.0.buffering_hints.size_in_mbs`,
          `${at}.0.destination_iceberg_table_configuration.table_name`,
          `${at}.0.destination_iceberg_table_configuration.unique_keys.1`,
          `${at}.0.stream_name`,
          `${at}.0.transform_records_with_aws_lambda.number_of_retries`,
          `${at}.1.destination_iceberg_table_configuration.database_name`,
          `${at}.3.stream_name`,
          'http.port',
        ])
        return true
      },
    )
    assert.throws(() => parseConfig({ cdkContext: {} }, 'f'), /cdkContext.data_firehose_configuration: expected/)
  })
})

describe('a configuration', () => {
  it('may be a context file by itself', async () => {
    const path = join(folder, 'cdk.context.json')
    await writeFile(path, await readFile(file))
    const { config, notes } = await loadConfig('cdk.context.json', folder)
    assert.equal(config.streams['Firehose-To-Iceberg-Demo']?.table, 'demo_iceberg_db.demo_iceberg')
    assert.equal(config.streams['Firehose-To-Iceberg-Demo']?.transform?.module, undefined)
    assert.equal(notes.length, 2)
    assert.match(notes[0]!, /^firehose_data_tranform_lambda is not needed/)
    await writeFile(path, '{"data_firehose_configuration": {"stream_name": "x"}}')
    await assert.rejects(loadConfig('cdk.context.json', folder), ({ message }: Error) =>
      /\n {2}data_firehose_configuration\.destination_iceberg_table_configuration: /.test(message),
    )
  })

  it('may name one, and say more of its streams, and of others', async () => {
    const path = join(folder, 'tidewater.config.yaml')
    const text = `cdkContext: ./cdk.context.json
streams:
  Firehose-To-Iceberg-Demo: { transform: { module: ./f.ts }, unknownFields: evolve }
  other: { table: a.b }
`
    await writeFile(join(folder, 'cdk.context.json'), await readFile(file))
    await writeFile(path, text)
    const { config } = await loadConfig(path, folder)
    const stream = config.streams['Firehose-To-Iceberg-Demo']
    assert.equal(stream?.transform?.module, './f.ts')
    assert.equal(stream?.transform?.numberOfRetries, 3)
    assert.equal(stream?.unknownFields, 'evolve')
    assert.equal(stream?.table, 'demo_iceberg_db.demo_iceberg')
    assert.equal(config.streams['other']?.table, 'a.b')
    await writeFile(path, 'cdkContext: ./gone.json')
    await assert.rejects(loadConfig(path, folder), { kind: 'not-found' })
  })
})
