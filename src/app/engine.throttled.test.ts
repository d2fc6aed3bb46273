/** Two buckets of one store, of which one is told to slow down: it is asked less, the other as before, and nothing is lost of either. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { EngineBench, eventOf, TABLES } from '../../test/support/engine-bench.ts'
import { FakeS3 } from '../../test/support/fake-s3.ts'
import { gifOf } from '../../test/support/photo-scenario.ts'
import { md5Hex } from '../base/hash.ts'
import { limits } from '../base/limits.ts'

const SLOW = 20
const FAST = 100

it('a bucket that is throttled is asked less and loses nothing, while the other is asked to its end', async () => {
  const fake = await FakeS3.start()
  const { endpoint = '' } = fake.connection
  const connection = {
    's3.endpoint': endpoint,
    's3.access-key-id': 'test',
    's3.secret-access-key': 'test',
    's3.path-style-access': 'true',
    'client.region': 'us-east-1',
  }
  const bench = await EngineBench.open({ s3: { default: connection }, objects: { buckets: { '*': {} } } })
  try {
    const time = '2024-05-01T10:00:00.000Z'
    const put = (bucket: string, n: number) => {
      const bytes = Buffer.from(gifOf(n + 1))
      const key = `${n}.gif`
      fake.objects.set(`/${bucket}/${key}`, { bytes, metadata: {} })
      return eventOf({ kind: 'create', bucket, key, time, etag: md5Hex(bytes), sizeBytes: bytes.length })
    }
    const events = [
      ...Array.from({ length: SLOW }, (_, n) => put('slow', n)),
      ...Array.from({ length: FAST }, (_, n) => put('fast', n)),
    ]
    assert.ok(SLOW < limits.describesAtOnce && events.length <= limits.extractWindow)
    let refused = 0
    const asked = (bucket: string) =>
      fake.seen.filter(({ method, path }) => method === 'HEAD' && path.startsWith(`/${bucket}/`)).length
    // If the other waited for this one, this one would be refused to the end of its tries.
    fake.trouble = ({ path }) => {
      if (!path.startsWith('/slow/') || asked('fast') === FAST) return null
      refused++
      return { kind: 'error', status: 503, code: 'SlowDown' }
    }
    await bench.tell(...events)
    assert.ok(refused > 0)
    assert.ok(refused < asked('fast'), `the throttled bucket was asked ${refused} times meanwhile`)
    assert.equal(asked('fast'), FAST, 'about each once')
    const rows = await bench.sql(`SELECT "bucket", count(*)::INT AS objects, count(image_width)::INT AS measured
      FROM ${TABLES.content} GROUP BY "bucket" ORDER BY "bucket"`)
    assert.deepEqual(rows, [
      { bucket: 'fast', objects: FAST, measured: FAST },
      { bucket: 'slow', objects: SLOW, measured: SLOW },
    ])
    assert.deepEqual(await bench.sql("SELECT reason FROM tidewater.dead_letters WHERE status = 'open'"), [])
  } finally {
    await bench.close()
    await fake.close()
  }
})
