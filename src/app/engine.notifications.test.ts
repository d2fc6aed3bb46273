/** Notifications as stores send them, and the rows that they make. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { EngineBench, TABLES } from '../../test/support/engine-bench.ts'

const KEYS = ['a+b c%2F.jpg', 'ü/x y', '100% & more?.txt', '日本/富士山.jpg', 'it\'s "quoted".txt', 'new\nline']

function s3(key: string, more: object = {}, object: object = {}): object {
  return {
    eventVersion: '2.3',
    eventSource: 'aws:s3',
    eventName: 'ObjectCreated:Put',
    eventTime: '2024-05-01T10:00:00.123Z',
    s3: {
      bucket: { name: 'records' },
      object: { key, size: 3, eTag: '"d41d8cd9"', sequencer: '0066320E1F2AB3C4D5', ...object },
    },
    ...more,
  }
}

function eventBridge(key: string, more: object = {}, detail: object = {}): object {
  return {
    'detail-type': 'Object Created',
    source: 'aws.s3',
    time: '2024-05-01T10:00:00Z',
    detail: {
      bucket: { name: 'bridge' },
      object: { key, size: 3, etag: 'd41d8cd9', sequencer: '0066320E1F2AB3C4D5' },
      reason: 'PutObject',
      ...detail,
    },
    ...more,
  }
}

/** As S3 encodes keys: like a query, but with slashes left alone. */
function encoded(key: string): string {
  return encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+')
}

describe('notifications', () => {
  let bench: EngineBench
  before(async () => {
    bench = await EngineBench.open()
  })
  after(() => bench.close())

  const keysIn = async (table: string, bucket: string) =>
    (await bench.sql(`SELECT key FROM ${table} WHERE bucket = '${bucket}'`)).map((row) => String(row['key'])).sort()

  it('bring keys with any characters, decoded once where the sender encodes and never where it does not', async () => {
    await bench.ingest(...KEYS.map((key) => ({ Records: [s3(encoded(key))] })), ...KEYS.map((key) => eventBridge(key)))
    for (const table of Object.values(TABLES)) {
      for (const bucket of ['records', 'bridge']) assert.deepEqual(await keysIn(table, bucket), [...KEYS].sort(), table)
    }
  })

  it('name the null version in three ways: as text, as nothing, and not at all', async () => {
    const versions = [{ versionId: 'null' }, { versionId: null }, {}]
    await bench.ingest(
      ...versions.map((version, at) => ({
        Records: [s3('null-version', {}, { ...version, eTag: `e${at}`, sequencer: `0066320E1F2AB3C4E${at}` })],
      })),
    )
    const rows = await bench.sql(`SELECT version_id, e_tag FROM ${TABLES.inventory} WHERE key = 'null-version'`)
    assert.deepEqual(rows, [{ version_id: 'null', e_tag: 'e2' }])
  })

  it('of tests, of nothing and with unknown members are taken; what says nothing about an object is counted', async () => {
    const { ignored, problems } = await bench.ingest(
      { Service: 'Amazon S3', Event: 's3:TestEvent', Time: '2024-05-01T10:00:00Z', Bucket: 'records' },
      { Records: [] },
      { Records: null },
      { Records: [s3('future', { eventVersion: '2.9', unknown: { member: [1] } }, { unknown: 'x' })], more: true },
      eventBridge('future', { 'replay-name': 'x' }, { unknown: 1 }),
    )
    assert.deepEqual({ ignored, problems }, { ignored: 3, problems: 0 })
    assert.ok((await keysIn(TABLES.content, 'records')).includes('future'))
    assert.ok((await keysIn(TABLES.content, 'bridge')).includes('future'))
  })

  it('that are not understood go to dead letters with their bytes, and the others of their document are taken', async () => {
    const bad = s3('bad', { eventTime: 'yesterday' })
    const { problems } = await bench.ingest(
      { Records: [s3('good-before'), bad, s3('good-after')] },
      '{"Records":[{"s3"',
    )
    assert.equal(problems, 2)
    const keys = await keysIn(TABLES.inventory, 'records')
    assert.ok(keys.includes('good-before') && keys.includes('good-after') && !keys.includes('bad'))
    const letters = await bench.sql(
      "SELECT code, subject, decode(payload) AS payload FROM tidewater.dead_letters WHERE stage = 'source' ORDER BY subject",
    )
    assert.deepEqual(
      letters.map((letter) => [letter['subject'], letter['payload']]),
      [
        ['notifications:1', JSON.stringify(bad)],
        ['notifications:2', '{"Records":[{"s3"'],
      ],
    )
  })

  it('of tags, restores and classes change those, and neither the content row nor the order of the versions', async () => {
    const at = (second: number) => ({ eventTime: `2024-05-01T10:00:0${second}.000Z` })
    await bench.ingest(
      { Records: [s3('class', at(1), { versionId: 'v1', eTag: 'one', sequencer: '0066320E210000000A' })] },
      { Records: [s3('class', at(2), { versionId: 'v2', eTag: 'two', sequencer: '0066320E220000000A' })] },
    )
    const content = await bench.sql(`SELECT * FROM ${TABLES.content} WHERE key = 'class' ORDER BY "versionId"`)
    const transition = { lifecycleEventData: { transitionEventData: { destinationStorageClass: 'GLACIER' } } }
    const noOrder = { versionId: 'v1', sequencer: undefined, eTag: 'one' }
    await bench.ingest(
      { Records: [s3('class', { ...at(3), eventName: 'LifecycleTransition', ...transition }, noOrder)] },
      { Records: [s3('class', { ...at(4), eventName: 'ObjectTagging:Put' }, { ...noOrder, tags: { team: 'blue' } })] },
      { Records: [s3('class', { ...at(5), eventName: 'ObjectAcl:Put' }, noOrder)] },
    )
    assert.deepEqual(
      await bench.sql(`SELECT * FROM ${TABLES.content} WHERE key = 'class' ORDER BY "versionId"`),
      content,
    )
    const rows = await bench.sql(
      "SELECT version_id, storage_class, object_tags, is_current FROM s3_metadata_coalesced WHERE key = 'class' ORDER BY version_id",
    )
    assert.deepEqual(rows, [
      { version_id: 'v1', storage_class: 'GLACIER', object_tags: { team: 'blue' }, is_current: false },
      { version_id: 'v2', storage_class: null, object_tags: {}, is_current: true },
    ])
  })

  it('of expiry by a lifecycle rule remove, those that say that nothing was deleted do not', async () => {
    const gone = { sequencer: '0066320E3F0000000A', eTag: undefined, size: undefined }
    const at = { eventTime: '2024-05-01T10:01:00.000Z' }
    const bridged = { 'detail-type': 'Object Deleted', time: '2024-05-01T10:01:00Z' }
    const expired = {
      object: { key: 'expiring', sequencer: '0066320E3F0000000A' },
      reason: 'Lifecycle Expiration',
      'deletion-type': 'Permanently Deleted',
    }
    const { ignored } = await bench.ingest(
      { Records: [s3('expiring'), s3('kept')] },
      eventBridge('expiring'),
      { Records: [s3('expiring', { ...at, eventName: 'LifecycleExpiration:Delete' }, gone)] },
      eventBridge('expiring', bridged, expired),
      {
        Records: [
          s3('kept', { ...at, eventSource: 'minio:s3', eventVersion: '2.0', eventName: 's3:ObjectRemoved:NoOP' }, gone),
        ],
      },
    )
    assert.equal(ignored, 1)
    assert.ok(!(await keysIn(TABLES.content, 'records')).includes('expiring'))
    assert.ok(!(await keysIn(TABLES.content, 'bridge')).includes('expiring'))
    assert.ok((await keysIn(TABLES.content, 'records')).includes('kept'))
  })
})
