import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { textOf, utf8 } from '../../test/contract/store.ts'
import { FakeS3, type Seen, type Trouble } from '../../test/support/fake-s3.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import { isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { LocalCache } from './local-cache.ts'
import { openS3Store, type S3StoreOptions } from './s3.ts'
import type { RequestOutcome, SentRequest } from './s3-requests.ts'
import type { BucketStore } from './store.ts'

/** Pauses take no time, but are counted. */
function impatient(): Clock & { pausesMs: number[] } {
  let nowMs = 1_000_000
  const pausesMs: number[] = []
  return {
    pausesMs,
    nowMs: () => nowMs,
    sleep: async (ms) => {
      pausesMs.push(ms)
      nowMs += ms
    },
  }
}

interface Scene {
  fake: FakeS3
  store: BucketStore
  clock: Clock & { pausesMs: number[] }
  folder: string
  outcomes(operation: string): RequestOutcome[]
}

async function scene(work: (scene: Scene) => Promise<void>, options: Partial<S3StoreOptions> = {}): Promise<void> {
  const fake = await FakeS3.start()
  const folder = await mkdtemp(join(tmpdir(), 'tidewater-s3-faults-'))
  const sent: SentRequest[] = []
  const clock = impatient()
  const store = openS3Store({
    connection: fake.connection,
    bucket: 'b',
    clock,
    cache: new LocalCache({ folder: join(folder, 'cache') }),
    onRequest: (request) => sent.push(request),
    ...options,
  })
  const outcomes = (operation: string) =>
    sent.filter((request) => request.operation === operation).map(({ outcome }) => outcome)
  try {
    await work({ fake, store, clock, folder, outcomes })
  } finally {
    await fake.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** The trouble, `times` times, of requests that are `of`. */
function first(times: number, trouble: Trouble, of: (request: Seen) => boolean = () => true) {
  let left = times
  return (request: Seen) => (of(request) && left-- > 0 ? trouble : null)
}

test('a put whose reply was lost is known as ours when its retry is refused', async () => {
  await scene(async ({ fake, store, outcomes }) => {
    fake.trouble = first(1, { kind: 'lost reply' }, ({ method }) => method === 'PUT')
    assert.equal(await store.putIfAbsent('k', utf8('ours')), true)
    assert.deepEqual(outcomes('PutObject'), ['broken', 'condition'])
    assert.deepEqual(outcomes('HeadObject'), ['ok'])
  })
})

test('a put whose request was lost while another created the same bytes is not taken for ours', async () => {
  await scene(async ({ fake, store }) => {
    const other = openS3Store({ connection: fake.connection, bucket: 'b' })
    let lost = false
    fake.trouble = ({ method }) => {
      if (method !== 'PUT' || lost) return null
      lost = true
      return { kind: 'lost request' }
    }
    const mine = store.putIfAbsent('k', utf8('the same'))
    // The clock's pauses take no time: the other must be there before the retry is.
    fake.objects.set('/b/k', { bytes: Buffer.from('the same'), metadata: { 'x-amz-meta-tidewater-write': 'another' } })
    assert.equal(await mine, false)
    assert.equal(await other.putIfAbsent('k', utf8('x')), false)
  })
})

test('a put that is refused at once asks nothing more', async () => {
  await scene(async ({ fake, store, outcomes }) => {
    fake.objects.set('/b/k', { bytes: Buffer.from('ours'), metadata: {} })
    assert.equal(await store.putIfAbsent('k', utf8('ours')), false)
    assert.deepEqual(outcomes('HeadObject'), [])
  })
})

test('a body that breaks off, or is shorter than was asked for, is read again', async () => {
  await scene(async ({ fake, store, outcomes }) => {
    await store.put('k', utf8('0123456789'))
    fake.trouble = first(2, { kind: 'truncated', bytes: 4 })
    assert.equal(textOf(await store.get('k')), '0123456789')
    assert.deepEqual(outcomes('GetObject'), ['broken', 'broken', 'ok'])
    fake.trouble = first(1, { kind: 'short range', bytes: 3 })
    assert.equal(textOf(await store.get('k', { range: { start: 1, end: 9 } })), '12345678')
    assert.deepEqual(outcomes('GetObject').slice(3), ['broken', 'ok'])
  })
})

test('an object that turns out larger than it was thought is told of by the same request, and others are read on', async () => {
  await scene(async ({ fake, store, outcomes }) => {
    const bytes = Buffer.alloc(2 * 1024 ** 2, 7)
    fake.objects.set('/b/large', { bytes, metadata: { 'x-amz-meta-by': 'Grace' } })
    fake.objects.set('/b/small', { bytes: Buffer.from('small'), metadata: {} })
    for (let at = 0; at < 3; at++) {
      const large = await store.headWithBytes('large', { bytesMax: 10 })
      assert.deepEqual([large?.bytes, large?.info.sizeBytes], [null, bytes.length])
      assert.deepEqual(large?.info.userMetadata, { by: 'Grace' })
      const small = await store.headWithBytes('small', { bytesMax: 10 })
      assert.equal(textOf(small!.bytes!), 'small')
    }
    assert.deepEqual(outcomes('GetObject'), Array(6).fill('ok'))
    assert.deepEqual(outcomes('HeadObject'), [])
    // What was not wanted is not kept waiting for.
    for (let tries = 0; fake.inFlight > 0 && tries < 500; tries++) await systemClock.sleep(10)
    assert.equal(fake.inFlight, 0)
  })
})

test('an object that may be told of and not read is told of, without its bytes', async () => {
  await scene(async ({ fake, store, outcomes }) => {
    await store.put('k', utf8('archived'))
    fake.trouble = ({ method }) =>
      method === 'GET' ? { kind: 'error', status: 403, code: 'InvalidObjectState' } : null
    const seen = await store.headWithBytes('k', { bytesMax: 100 })
    assert.deepEqual(seen, { info: await store.head('k'), bytes: null })
    assert.deepEqual(outcomes('GetObject'), ['refused'])
    fake.trouble = () => ({ kind: 'error', status: 403, code: 'AccessDenied' })
    await assert.rejects(store.headWithBytes('k', { bytesMax: 100 }), (error) => isFault(error, 'unavailable'))
  })
})

test('a whole body that breaks off is asked for again with what is said of it, and a missing bucket is a fault', async () => {
  await scene(async ({ fake, store, outcomes }) => {
    await store.put('k', utf8('0123456789'))
    fake.trouble = first(2, { kind: 'truncated', bytes: 4 })
    assert.equal(textOf((await store.headWithBytes('k', { bytesMax: 10 }))!.bytes!), '0123456789')
    assert.deepEqual(outcomes('GetObject'), ['broken', 'broken', 'ok'])
    fake.trouble = () => ({ kind: 'error', status: 404, code: 'NoSuchBucket' })
    await assert.rejects(store.headWithBytes('k', { bytesMax: 10 }), (error) => isFault(error, 'unavailable'))
  })
})

test('a body that always breaks off is a fault that says so, after a bounded number of tries', async () => {
  await scene(async ({ fake, store, outcomes, clock }) => {
    await store.put('k', utf8('0123456789'))
    fake.trouble = () => ({ kind: 'truncated', bytes: 4 })
    await assert.rejects(store.get('k'), (error) => isFault(error, 'unavailable') && error.retry === 'safe')
    assert.equal(outcomes('GetObject').length, limits.s3AttemptsMax)
    assert.ok(clock.pausesMs.every((ms) => ms <= limits.s3BackoffMaxMs))
  })
})

test('a server that says nothing is given up when its time is up', async () => {
  await scene(
    async ({ fake, store, outcomes }) => {
      fake.trouble = () => ({ kind: 'silence' })
      await assert.rejects(
        store.head('k'),
        (error) => isFault(error, 'unavailable') && /no whole answer/.test(error.message),
      )
      assert.deepEqual(outcomes('HeadObject'), ['timeout', 'timeout'])
    },
    { attemptsMax: 2, requestMs: 100 },
  )
})

test('a look that is refused for its checksum is taken without, and a refused one says why', async () => {
  await scene(async ({ fake, store, outcomes }) => {
    await store.put('k', utf8('x'))
    fake.trouble = ({ headers }) =>
      headers['x-amz-checksum-mode'] === undefined ? null : { kind: 'error', status: 403, code: 'AccessDenied' }
    assert.equal((await store.head('k'))?.sizeBytes, 1)
    assert.deepEqual(outcomes('HeadObject'), ['refused', 'ok'])
    assert.equal(await store.head('none'), null)
    fake.trouble = () => ({ kind: 'error', status: 403, code: 'AccessDenied' })
    await assert.rejects(
      store.head('k'),
      (error) => isFault(error, 'unavailable') && /AccessDenied/.test(error.message),
    )
  })
})

test('errors of the server are tried again, refusals are not', async () => {
  await scene(async ({ fake, store, outcomes }) => {
    await store.put('k', utf8('x'))
    fake.trouble = first(3, { kind: 'error', status: 500, code: 'InternalError' })
    assert.equal(textOf(await store.get('k')), 'x')
    fake.trouble = () => ({ kind: 'error', status: 403, code: 'AccessDenied' })
    await assert.rejects(
      store.get('k'),
      (error) => isFault(error, 'unavailable') && /give the key the right/.test(error.message),
    )
    assert.deepEqual(outcomes('GetObject'), ['broken', 'broken', 'broken', 'ok', 'refused'])
    fake.trouble = () => ({ kind: 'error', status: 501, code: 'NotImplemented' })
    await assert.rejects(store.putIfAbsent('n', utf8('x')), (error) => isFault(error, 'unsupported'))
  })
})

for (const [code, status] of [
  ['SlowDown', 503],
  ['RequestLimitExceeded', 400],
  ['TooManyRequests', 429],
] as const) {
  test(`a bucket that says ${code} is asked more slowly, and then at full speed again`, async () => {
    await scene(async ({ fake, store, clock, outcomes }) => {
      await store.put('k', utf8('x'))
      fake.trouble = first(4, { kind: 'error', status, code, retryAfterSeconds: 3 })
      assert.equal(textOf(await store.get('k')), 'x')
      assert.deepEqual(outcomes('GetObject'), ['throttled', 'throttled', 'throttled', 'throttled', 'ok'])
      assert.ok(clock.pausesMs.length >= 4 && clock.pausesMs.every((ms) => ms >= 3_000), `${clock.pausesMs}`)
      fake.trouble = () => ({ kind: 'error', status, code, retryAfterSeconds: 3 })
      await assert.rejects(
        store.get('k'),
        (error) => isFault(error, 'unavailable') && error.facts['retryAfterMs'] === 3_000,
      )
    })
  })
}

for (const [name, trouble] of [
  ['that only throttles', { kind: 'error', status: 503, code: 'SlowDown' }],
  ['that throttles and names a long time', { kind: 'error', status: 503, code: 'SlowDown', retryAfterSeconds: 60 }],
  ['that has only errors of its own', { kind: 'error', status: 500, code: 'InternalError' }],
  ['that answers nothing', { kind: 'lost request' }],
] as const) {
  test(`who asks again later is not held up by a bucket ${name}, and has it back by a probe`, async () => {
    const patienceMs = limits.askPatienceMs
    await scene(
      async ({ fake, store, clock }) => {
        fake.objects.set('/b/k', { bytes: Buffer.from('bytes'), metadata: {} })
        fake.trouble = () => trouble
        const unavailable = (error: unknown) => isFault(error, 'unavailable')
        const begunMs = clock.nowMs()
        await assert.rejects(store.head('k'), unavailable)
        const heldMs = clock.nowMs() - begunMs
        assert.ok(heldMs <= 2 * patienceMs, `held up for ${heldMs} ms`)
        const asked = fake.seen.length
        for (let i = 0; i < 10; i++) {
          const nowMs = clock.nowMs()
          await assert.rejects(store.get('k', { range: { start: 0, end: 1 } }), unavailable)
          assert.ok(clock.nowMs() - nowMs <= patienceMs)
        }
        assert.ok(fake.seen.length <= asked + limits.s3AttemptsMax, 'the others are refused without being asked for')
        fake.trouble = () => null
        await clock.sleep(limits.s3ThrottleMaxMs)
        assert.equal((await store.head('k'))?.sizeBytes, 5)
        assert.equal(textOf(await store.get('k')), 'bytes')
      },
      { patienceMs, random: () => 0.9 },
    )
  })
}

test('all who use a throttled bucket slow down together', async () => {
  const fake = await FakeS3.start()
  // Two stores on one bucket, as a warehouse and a source may be.
  const open = () =>
    openS3Store({ connection: fake.connection, bucket: 'shared', clock: systemClock, random: () => 0.5 })
  const [one, two] = [open(), open()]
  try {
    await one.put('k', utf8('x'))
    let throttled = 0
    fake.trouble = () => (throttled++ < 6 ? { kind: 'error', status: 503, code: 'SlowDown' } : null)
    await one.get('k')
    fake.trouble = () => null
    fake.inFlightMost = 0
    const few = limits.s3RequestsAtOnce / 2
    await Promise.all(Array.from({ length: 50 }, () => two.get('k')))
    assert.ok(fake.inFlightMost < few, `${fake.inFlightMost} at once`)
    for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 100 }, () => one.get('k')))
    const { promise, resolve } = Promise.withResolvers<void>()
    fake.hold = promise
    const reads = Array.from({ length: 100 }, () => two.get('k'))
    // Without the bucket's recovery so many never come together, and the test does not end.
    while (fake.inFlight <= few) await systemClock.sleep(10)
    resolve()
    await Promise.all(reads)
  } finally {
    await fake.close()
  }
})

test('an upload in parts whose last reply was lost is known as ours', async () => {
  await scene(async ({ fake, store, folder, outcomes }) => {
    const local = join(folder, 'large')
    const bytes = Buffer.alloc(limits.s3PutBytesMax + 10, 'a')
    await writeFile(local, bytes)
    fake.trouble = first(1, { kind: 'lost reply' }, ({ method, query }) => method === 'POST' && query.has('uploadId'))
    const info = await store.putFile('large', local)
    assert.equal(info.sizeBytes, bytes.length)
    assert.ok(fake.objects.get('/b/large')?.bytes.equals(bytes))
    assert.deepEqual(outcomes('CompleteMultipartUpload'), ['broken', 'missing'])
    assert.deepEqual(outcomes('AbortMultipartUpload'), [])
  })
})

test('an upload in parts that fails is aborted, and the local file stays', async () => {
  await scene(async ({ fake, store, folder, outcomes }) => {
    const local = join(folder, 'large')
    await writeFile(local, Buffer.alloc(limits.s3PutBytesMax * 3, 'a'))
    fake.trouble = ({ query }) =>
      query.get('partNumber') === '2' ? { kind: 'error', status: 403, code: 'AccessDenied' } : null
    await assert.rejects(store.putFile('large', local), (error) => isFault(error, 'unavailable'))
    assert.deepEqual(outcomes('AbortMultipartUpload'), ['ok'])
    assert.equal(fake.uploads.size, 0)
    assert.equal((await readFile(local)).length, limits.s3PutBytesMax * 3)
  })
})

test('a local copy is whole or not there, whatever breaks while it is fetched', async () => {
  await scene(async ({ fake, store, folder }) => {
    const bytes = Buffer.alloc(limits.s3ReadBytes * 3 + 7, 'abc')
    fake.objects.set('/b/k', { bytes, metadata: {} })
    fake.trouble = first(3, { kind: 'truncated', bytes: 10 }, ({ method }) => method === 'GET')
    assert.ok((await readFile(await store.localFile('k'))).equals(bytes))
    fake.objects.set('/b/k2', { bytes, metadata: {} })
    fake.trouble = ({ path, method }) =>
      path === '/b/k2' && method === 'GET' && Math.random() < 0.5
        ? { kind: 'error', status: 403, code: 'AccessDenied' }
        : null
    let failed = 0
    for (let tries = 0; tries < 3; tries++) await store.localFile('k2').catch(() => failed++)
    fake.trouble = () => null
    assert.ok((await readFile(await store.localFile('k2'))).equals(bytes))
    const names = await readdir(join(folder, 'cache'), { recursive: true })
    assert.equal(names.filter((name) => name.endsWith('.part')).length, 0)
  })
})

test('an object that changes while its local copy is fetched is superseded, never mixed', async () => {
  await scene(async ({ fake, store }) => {
    const size = limits.s3ReadBytes * 2
    fake.objects.set('/b/k', { bytes: Buffer.alloc(size, 'a'), metadata: {} })
    let reads = 0
    fake.trouble = ({ method }) => {
      if (method === 'GET' && ++reads === 2) {
        fake.objects.set('/b/k', { bytes: Buffer.alloc(size, 'b'), metadata: {} })
        return { kind: 'error', status: 412, code: 'PreconditionFailed' }
      }
      return null
    }
    await assert.rejects(store.localFile('k'), (error) => isFault(error, 'superseded'))
    const copy = await readFile(await store.localFile('k'))
    assert.ok(copy.every((byte) => byte === 98))
  })
})
