/** Two buckets of one store, of which one is told to slow down: it is asked less, the other as before, and nothing is lost of either. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { EngineBench, eventOf, TABLES } from '../../test/support/engine-bench.ts'
import { FakeS3 } from '../../test/support/fake-s3.ts'
import { gifOf } from '../../test/support/photo-scenario.ts'
import { md5Hex } from '../base/hash.ts'
import { limits } from '../base/limits.ts'

const SLOW = 20
const FAST = 100
const HEAL_MS = 90_000

/** A bench with buckets of a local server, and events of objects that are put there. */
async function withFake(
  work: (
    bench: EngineBench,
    fake: FakeS3,
    put: (bucket: string, n: number) => ReturnType<typeof eventOf>,
  ) => Promise<void>,
): Promise<void> {
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
  const time = '2024-05-01T10:00:00.000Z'
  try {
    await work(bench, fake, (bucket, n) => {
      const bytes = Buffer.from(gifOf(n + 1))
      const key = `${n}.gif`
      fake.objects.set(`/${bucket}/${key}`, { bytes, metadata: {} })
      return eventOf({ kind: 'create', bucket, key, time, etag: md5Hex(bytes), sizeBytes: bytes.length })
    })
  } finally {
    await bench.close()
    await fake.close()
  }
}

const measured = (bench: EngineBench) =>
  bench.sql(`SELECT "bucket", count(*)::INT AS objects, count(image_width)::INT AS measured
    FROM ${TABLES.content} GROUP BY "bucket" ORDER BY "bucket"`)

it('a bucket that is throttled is asked less and loses nothing, while the other is asked to its end', async () => {
  await withFake(async (bench, fake, put) => {
    const events = [
      ...Array.from({ length: SLOW }, (_, n) => put('slow', n)),
      ...Array.from({ length: FAST }, (_, n) => put('fast', n)),
    ]
    assert.ok(SLOW < limits.describesAtOnce && events.length <= limits.extractWindow)
    let refused = 0
    const asked = (bucket: string) =>
      fake.seen.filter(({ method, path }) => method === 'GET' && path.startsWith(`/${bucket}/`)).length
    // If the other waited for this one, this one would be refused to the end of its tries.
    fake.trouble = ({ path }) => {
      if (!path.startsWith('/slow/') || asked('fast') >= FAST) return null
      refused++
      return { kind: 'error', status: 503, code: 'SlowDown' }
    }
    bench.engine.start((fault) => assert.fail(fault.message))
    await bench.tell(...events)
    assert.ok(refused > 0)
    assert.ok(refused < asked('fast'), `the throttled bucket was asked ${refused} times meanwhile`)
    // A machine that is very busy may take a request for lost, and send it again.
    assert.ok(asked('fast') < 2 * FAST, `about each once, ${asked('fast')} times in all`)
    await settled(bench)
    assert.deepEqual(await measured(bench), [
      { bucket: 'fast', objects: FAST, measured: FAST },
      { bucket: 'slow', objects: SLOW, measured: SLOW },
    ])
  })
})

for (const [name, trouble] of [
  ['only throttles', { kind: 'error', status: 503, code: 'SlowDown' }],
  ['answers nothing', { kind: 'lost request' }],
] as const) {
  it(`a bucket that ${name} holds up none of another's events, and its objects come right by themselves`, async () => {
    await withFake(async (bench, fake, put) => {
      fake.trouble = ({ path }) => (path.startsWith('/slow/') ? trouble : null)
      bench.engine.start((fault) => assert.fail(fault.message))
      const rounds = 4
      for (let round = 0; round < rounds; round++) {
        const from = round * SLOW
        await bench.tell(
          ...Array.from({ length: SLOW }, (_, n) => [put('slow', from + n), put('fast', from + n)]).flat(),
        )
      }
      const count = rounds * SLOW
      assert.deepEqual(await measured(bench), [
        { bucket: 'fast', objects: count, measured: count },
        { bucket: 'slow', objects: count, measured: 0 },
      ])
      // Each object tried to the end of its tries, as before a bucket was given up, would be thousands.
      const asked = fake.seen.filter(({ path }) => path.startsWith('/slow/')).length
      assert.ok(asked <= 2 * count, `${asked} requests for ${count} objects`)
      fake.trouble = () => null
      await settled(bench)
      assert.deepEqual(await measured(bench), [
        { bucket: 'fast', objects: count, measured: count },
        { bucket: 'slow', objects: count, measured: count },
      ])
    })
  })
}

/** When no letter is open any more. */
async function settled(bench: EngineBench): Promise<void> {
  for (const until = Date.now() + HEAL_MS; ; await delay(200)) {
    await bench.engine.drain()
    const open = await bench.sql("SELECT subject, reason FROM tidewater.dead_letters WHERE status = 'open'")
    if (open.length === 0) return
    assert.ok(Date.now() < until, JSON.stringify(open.slice(0, 5)))
  }
}
