import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { eventOf } from '../../test/support/engine-bench.ts'
import { withMethods } from '../../test/support/store-methods.ts'
import { Fault, isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { ObjectEvent } from '../change/object-event.ts'
import { openMemoryBucket } from '../store/memory-bucket.ts'
import type { BucketStore } from '../store/store.ts'
import { askAbout, locate, readerOf, remoteReader } from './remote-bucket.ts'

const bytes = (text: string) => Buffer.from(text)

function creation(more: Partial<ObjectEvent>): ObjectEvent {
  return eventOf({ kind: 'create', key: 'k', time: '2024-05-01T10:00:00.000Z', ...more })
}

describe('finding the object of an event', () => {
  it('tells one that was overwritten from one that is gone', async () => {
    const store = openMemoryBucket()
    const { etag } = await store.put('k', bytes('one'))
    assert.equal((await locate(store, creation({ etag }))).kind, 'found')
    assert.equal((await locate(store, creation({}))).kind, 'found')
    await store.put('k', bytes('two'))
    assert.equal((await locate(store, creation({ etag }))).kind, 'superseded')
    await store.delete(['k'])
    assert.equal((await locate(store, creation({ etag }))).kind, 'missing')
  })

  it('asks for versions by their ids, whatever lies over them', async () => {
    const store = openMemoryBucket({ versioning: 'enabled' })
    const first = await store.put('k', bytes('one'))
    await store.put('k', bytes('two'))
    await store.delete(['k'])
    const found = await locate(store, creation({ versionId: first.versionId!, etag: first.etag }))
    assert.ok(found.kind === 'found' && found.info.etag === first.etag)
    store.deleteVersion('k', first.versionId!)
    assert.equal((await locate(store, creation({ versionId: first.versionId!, etag: first.etag }))).kind, 'missing')
  })

  it('finds the null version below newer versions and below a delete marker', async () => {
    const store = openMemoryBucket()
    const { etag } = await store.put('k', bytes('null'))
    store.setVersioning('enabled')
    await store.put('k', bytes('newer'))
    const below = await locate(store, creation({ etag }))
    assert.ok(below.kind === 'found' && below.versionId === 'null')
    await store.delete(['k'])
    assert.equal((await locate(store, creation({ etag }))).kind, 'found')
    store.setVersioning('suspended')
    await store.put('k', bytes('null again'))
    assert.equal((await locate(store, creation({ etag }))).kind, 'superseded')
  })

  it('takes a store for one without the null version that refuses its name', async () => {
    const store = withMethods(openMemoryBucket(), {
      head: async (_key, options) => {
        if (options?.versionId === 'null') throw new Fault('invalid', 'no such version id')
        return null
      },
    })
    assert.equal((await locate(store, creation({ etag: 'e' }))).kind, 'missing')
  })
})

describe('what a store says of an object', () => {
  it('is all that its event does not carry, with the tags where it has some', async () => {
    const store = openMemoryBucket({ versioning: 'enabled' })
    const extra = {
      contentType: 'image/jpeg',
      userMetadata: { author: 'Grace' },
      encryptionStatus: 'SSE-KMS',
      kmsKeyArn: 'arn:aws:kms:eu-central-1:1:key/k',
      isBucketKeyEnabled: true,
      checksumAlgorithm: 'CRC64NVME',
      isMultipart: false,
      storageClass: 'STANDARD_IA',
    } as const
    const { etag, versionId } = await store.putObject('k', bytes('one'), { ...extra, tags: { a: 'b' } })
    const event = creation({ versionId: versionId!, etag })
    const facts = { ...extra, etag, sizeBytes: 3 }
    assert.deepEqual(await askAbout(store, event, 'all', false), {
      kind: 'facts',
      facts: { ...facts, tags: { a: 'b' } },
    })
    assert.deepEqual(await askAbout(store, event, 'head', false), { kind: 'facts', facts })
  })

  it('costs one request for an object without tags, and a second one for its tags', async () => {
    const inner = openMemoryBucket()
    const requests: string[] = []
    const store = withMethods(inner, {
      head: (key, options) => {
        requests.push('head')
        return inner.head(key, options)
      },
      tags: (key, options) => {
        requests.push('tags')
        return inner.tags(key, options)
      },
    })
    const plain = await inner.put('k', bytes('one'))
    const answer = await askAbout(store, creation({ etag: plain.etag }), 'all', false)
    assert.deepEqual(answer.kind === 'facts' && answer.facts.tags, {})
    assert.deepEqual(requests.splice(0), ['head'])
    inner.setTags('k', { a: 'b' })
    await askAbout(store, creation({ etag: plain.etag }), 'all', false)
    assert.deepEqual(requests, ['head', 'tags'])
  })

  it('comes with the bytes of a small object that is read next, for no more requests', async () => {
    const inner = openMemoryBucket()
    const requests: string[] = []
    const counted =
      <A extends unknown[], R>(name: string, method: (...args: A) => R) =>
      (...args: A) => {
        requests.push(name)
        return method.apply(inner, args)
      }
    const store = withMethods(inner, {
      head: counted('head', inner.head),
      headWithBytes: counted('headWithBytes', inner.headWithBytes),
      tags: counted('tags', inner.tags),
      get: counted('get', inner.get),
    })
    const ask = async (more: Partial<ObjectEvent>) => {
      const answer = await askAbout(store, creation(more), 'all', true)
      assert.ok(answer.kind === 'facts')
      return answer
    }
    const small = await inner.putObject('k', bytes('small'), { userMetadata: { by: 'Grace' } })
    const { etag, sizeBytes } = small
    const { facts, read } = await ask({ etag, sizeBytes })
    assert.deepEqual([facts.userMetadata, facts.tags, facts.etag], [{ by: 'Grace' }, {}, etag])
    assert.ok(read !== undefined && read.etag === etag)
    assert.equal(Buffer.from(await readerOf(read)(1, 4)).toString(), 'mal')
    assert.deepEqual(requests.splice(0), ['headWithBytes'])

    // One that is large, or of which the event does not tell, is looked at alone.
    const large = await inner.put('large', new Uint8Array(limits.extractHeadBytes + 1))
    assert.equal((await ask({ key: 'large', etag: large.etag, sizeBytes: large.sizeBytes })).read, undefined)
    assert.equal((await ask({ etag })).read, undefined)
    assert.deepEqual(requests.splice(0), ['head', 'head'])

    // Nor is one fetched that nobody reads.
    await askAbout(store, creation({ etag, sizeBytes }), 'all', false)
    assert.deepEqual(requests.splice(0), ['head'])
    inner.setTags('k', { a: 'b' })
    assert.deepEqual((await ask({ etag, sizeBytes })).facts.tags, { a: 'b' })
    assert.deepEqual(requests.splice(0), ['headWithBytes', 'tags'])
  })

  it('never comes with the bytes of what took its place', async () => {
    const store = openMemoryBucket()
    const { etag, sizeBytes } = await store.put('k', bytes('one'))
    await store.put('k', new Uint8Array(limits.extractHeadBytes + 1))
    assert.deepEqual(await askAbout(store, creation({ etag, sizeBytes }), 'all', true), { kind: 'gone' })
    store.setVersioning('enabled')
    const second = await store.put('k', bytes('two'))
    await store.put('k', bytes('six'))
    const answer = await askAbout(store, creation({ ...second, versionId: second.versionId! }), 'all', true)
    assert.ok(answer.kind === 'facts' && answer.read !== undefined)
    assert.equal(Buffer.from(answer.read.bytes).toString(), 'two')
  })

  it('is of the null version below others, with its bytes', async () => {
    const store = openMemoryBucket()
    const { etag, sizeBytes } = await store.put('k', bytes('null'))
    store.setVersioning('enabled')
    await store.put('k', bytes('over'))
    await store.delete(['k'])
    const answer = await askAbout(store, creation({ etag, sizeBytes }), 'all', true)
    assert.ok(answer.kind === 'facts' && answer.read !== undefined)
    assert.equal(Buffer.from(answer.read.bytes).toString(), 'null')
  })

  it('is nothing about a newer object in its place', async () => {
    const store = openMemoryBucket()
    const { etag } = await store.put('k', bytes('one'))
    await store.putObject('k', bytes('two'), { tags: { of: 'two' } })
    assert.deepEqual(await askAbout(store, creation({ etag }), 'all', false), { kind: 'gone' })
  })

  it('is a fault where the store fails, with what could be learned where only the tags fail', async () => {
    const inner = openMemoryBucket()
    const { etag } = await inner.putObject('k', bytes('one'), { tags: { a: 'b' } })
    const fail = async () => {
      throw new Fault('unavailable', 'busy')
    }
    const fault = { code: 'unavailable', message: 'busy' }
    assert.deepEqual(await askAbout(withMethods(inner, { head: fail }), creation({ etag }), 'all', false), {
      kind: 'failed',
      fault,
    })
    const answer = await askAbout(withMethods(inner, { tags: fail }), creation({ etag }), 'all', false)
    assert.ok(answer.kind === 'facts' && answer.facts.tags === undefined && answer.facts.etag === etag)
    assert.deepEqual(answer.fault, fault)
  })
})

describe('the bytes of an object', () => {
  const read = (store: BucketStore, more: Partial<ObjectEvent>, etag: string) =>
    remoteReader(store, creation(more), { sizeBytes: 5, etag })(1, 4)

  it('are those of the etag, and of nothing that took its place', async () => {
    const store = openMemoryBucket()
    const { etag } = await store.put('k', bytes('first'))
    assert.equal(Buffer.from(await read(store, {}, etag)).toString(), 'irs')
    await store.put('k', bytes('other'))
    await assert.rejects(read(store, {}, etag), (error) => isFault(error, 'superseded'))
    await store.delete(['k'])
    await assert.rejects(read(store, {}, etag), (error) => isFault(error, 'not-found'))
  })

  it('are read of the null version below others, and of a version by its id', async () => {
    const store = openMemoryBucket()
    const { etag } = await store.put('k', bytes('first'))
    store.setVersioning('enabled')
    const second = await store.put('k', bytes('other'))
    await store.delete(['k'])
    assert.equal(Buffer.from(await read(store, {}, etag)).toString(), 'irs')
    assert.equal(Buffer.from(await read(store, { versionId: second.versionId! }, second.etag)).toString(), 'the')
  })

  it('that are overwritten while they are read in pieces end in a fault, never in a mixture', async () => {
    const store = openMemoryBucket()
    const { etag } = await store.put('k', bytes('first'))
    const reader = remoteReader(store, creation({}), { sizeBytes: 5, etag })
    await reader(0, 1)
    await store.put('k', bytes('other'))
    await assert.rejects(reader(1, 2), (error) => isFault(error, 'superseded'))
  })
})
