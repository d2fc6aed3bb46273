import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../base/fault.ts'
import { type MemoryBucket, openMemoryBucket } from '../store/memory-bucket.ts'
import type { Look } from './look.ts'
import { type BucketUse, lookAtBucket } from './look-at-bucket.ts'

const objects: BucketUse = { use: 'objects', prefix: '', withTags: true, isCompared: false }
const tables: BucketUse = { use: 'tables', prefix: '', withTags: false, isCompared: false }

const says = (code: string) => new Fault('unavailable', `the store refuses (${code})`, { code })
const denied = says('AccessDenied')
const down = new Fault('unavailable', 'connect ECONNREFUSED')

type Call = 'list' | 'versioning' | 'get' | 'head' | 'tags'
type Errors = Partial<Record<Call, Error>>

/** A bucket with an object of a byte, or of none, which says no to some calls; and the calls that it got. */
async function bucketThat(errors: Errors, bytes = 1, versioning: 'enabled' | 'suspended' | 'never' = 'never') {
  const inner = openMemoryBucket({ name: 's3://photos', versioning })
  await inner.put('in/a.jpg', Buffer.alloc(bytes))
  const calls: string[] = []
  const store = new Proxy(inner, {
    get(target, name: keyof MemoryBucket) {
      const value = Reflect.get(target, name) as unknown
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        calls.push(name)
        const error = errors[name as Call]
        if (error === undefined) return (value as (...args: unknown[]) => unknown).apply(target, args)
        return name === 'list' ? failing(error) : Promise.reject(error)
      }
    },
  })
  return { store, calls }
}

// biome-ignore lint/correctness/useYield: what fails gives nothing
async function* failing(error: Error): AsyncGenerator<never> {
  throw error
}

const kinds = (looks: readonly Look[]) => looks.map((look) => ('cause' in look ? look.cause : look.level))

test('a bucket that is as it should be is one line, which says whether it keeps versions', async () => {
  for (const [versioning, says] of [
    ['never', /may be read$/],
    ['enabled', /keeps versions$/],
    ['suspended', /makes no more$/],
  ] as const) {
    const { store, calls } = await bucketThat({}, 1, versioning)
    const [look, ...more] = await lookAtBucket(store, objects)
    assert.deepEqual([look?.level, more], ['ok', []])
    assert.match(look?.message ?? '', says)
    assert.deepEqual(calls.sort(), ['get', 'list', 'tags', 'versioning'])
  }
})

test('an object without bytes is looked at, and a bucket without objects says so', async () => {
  const empty = await bucketThat({}, 0)
  assert.deepEqual(kinds(await lookAtBucket(empty.store, { ...objects, withTags: false })), ['ok'])
  assert.deepEqual(empty.calls.sort(), ['head', 'list', 'versioning'])
  const none = await bucketThat({})
  const [look] = await lookAtBucket(none.store, { ...objects, prefix: 'out/' })
  assert.match(look?.message ?? '', /no object yet/)
  assert.deepEqual(none.calls.sort(), ['list', 'versioning'])
})

test('what is refused is a problem that names the right to give; what may pass is told apart', async () => {
  const gone = new Fault('not-found', 'gone')
  const unsupported = new Fault('unsupported', 'the store does not have this')
  const cases: [Errors, Partial<BucketUse>, string[], RegExp?][] = [
    [{ list: denied }, {}, ['settings'], /s3:ListBucket/],
    [
      { list: says('InvalidAccessKeyId'), versioning: says('InvalidAccessKeyId') },
      {},
      ['settings'],
      /InvalidAccessKey/,
    ],
    [{ list: says('NoSuchBucket') }, {}, ['settings'], /NoSuchBucket/],
    [{ list: down, versioning: down }, {}, ['outage'], /ECONNREFUSED; is its address right/],
    [{ get: denied }, {}, ['settings'], /s3:GetObject and s3:GetObjectVersion/],
    [{ get: down }, {}, ['outage']],
    [{ get: gone, tags: gone }, {}, ['ok']],
    [{ get: says('InvalidObjectState') }, {}, ['ok']],
    [{ tags: denied }, {}, ['settings'], /s3:GetObjectTagging.*describe/],
    [{ tags: denied }, { withTags: false }, ['ok']],
    [{ tags: unsupported }, {}, ['ok', 'note']],
    [{ get: denied, tags: denied }, {}, ['settings', 'settings']],
    [{ versioning: denied }, {}, ['ok', 'note']],
    [{ versioning: denied }, { isCompared: true }, ['settings'], /s3:GetBucketVersioning/],
    [{ versioning: unsupported }, {}, ['ok', 'note']],
    [{ versioning: down }, {}, ['outage']],
  ]
  for (const [errors, use, expected, message = /./] of cases) {
    const { store } = await bucketThat(errors)
    const looks = await lookAtBucket(store, { ...objects, ...use })
    const what = JSON.stringify([Object.keys(errors), use, looks])
    assert.deepEqual(kinds(looks), expected, what)
    assert.match(looks[0]?.message ?? '', message, what)
  }
})

test('a warehouse needs no versions, and one that keeps them is told what that costs', async () => {
  assert.deepEqual(kinds(await lookAtBucket((await bucketThat({ versioning: denied })).store, tables)), ['ok'])
  const looks = await lookAtBucket((await bucketThat({}, 1, 'enabled')).store, tables)
  assert.deepEqual(kinds(looks), ['ok', 'note'])
  assert.match(looks[1]?.message ?? '', /lifecycle rule/)
})
