/** Compares a listing that is made up as it goes with what is known of as many objects, or only reads it. */
import type { ObjectEvent } from '../../src/change/object-event.ts'
import { compareListing } from '../../src/service/objects/reconcile.ts'
import { openVersionStore, type VersionStore } from '../../src/service/objects/version-store.ts'
import { listKeys } from '../../src/source/source.ts'
import type { BucketStore, ObjectInfo } from '../../src/store/store.ts'
import { serve, timed, type Work } from './worker.ts'

const BUCKET = 'photos'
const PAGE = 1_000
const PUT_MS = 1_714_557_600_000

const keyOf = (n: number) => `photos/2024/${String(n).padStart(9, '0')}.jpg`
const etagOf = (n: number) => n.toString(16).padStart(32, '0')

/** Answers a page at a time, as a store does. */
function lister(count: number): BucketStore {
  const list = async function* (): AsyncGenerator<ObjectInfo> {
    for (let n = 0; n < count; n++) {
      if (n % PAGE === 0) await new Promise((done) => setImmediate(done))
      yield { key: keyOf(n), sizeBytes: n, etag: etagOf(n), lastModifiedMs: PUT_MS, storageClass: 'STANDARD' }
    }
  }
  return { name: 's3://bench', list } as unknown as BucketStore
}

function known(versions: VersionStore, count: number): void {
  for (let start = 0; start < count; start += 10_000) {
    const events = Array.from({ length: Math.min(10_000, count - start) }, (_, at) => {
      const n = start + at
      const event: ObjectEvent = {
        v: 1,
        kind: 'create',
        source: 'aws:s3',
        name: 'ObjectCreated:Put',
        bucket: BUCKET,
        key: keyOf(n),
        versionId: 'null',
        time: new Date(PUT_MS).toISOString(),
        sequencer: `0055AED6DC${n.toString(16).padStart(8, '0')}`.toUpperCase(),
        etag: etagOf(n),
        sizeBytes: n,
        requester: 'AWS:AIDAEXAMPLE',
        sourceIpAddress: '10.0.0.1',
        requestId: 'C3D13FE58DE4C810',
      }
      return { offset: n, event }
    })
    versions.applyBatch(events)
  }
}

function measured(work: Work): Work {
  return async (request) => {
    const { ms, cpuMs, value } = await timed(() => work(request))
    return { ...value, ms, cpuMs }
  }
}

await serve(
  {
    fill: async ({ path, count }) => {
      const versions = openVersionStore({ path: String(path) })
      known(versions, Number(count))
      versions.close()
      return {}
    },
    read: measured(async ({ count }) => {
      let keys = 0
      for await (const { versions } of listKeys(lister(Number(count)), { prefix: '', versions: false }))
        keys += versions.length
      return { keys }
    }),
    compare: measured(async ({ path, count }) => {
      const versions = openVersionStore({ path: String(path) })
      const clock = { nowMs: () => Date.now(), sleep: async () => undefined }
      let keys = 0
      let drifts = 0
      try {
        const pages = compareListing({
          bucket: BUCKET,
          versions,
          clock,
          listing: listKeys(lister(Number(count)), { prefix: '', versions: false }),
          range: { prefix: '' },
          begunMs: Date.now(),
          kind: 'listing',
        })
        for await (const page of pages) {
          keys += page.keys
          drifts += page.drifts.length
        }
      } finally {
        versions.close()
      }
      return { keys, drifts }
    }),
  },
  async () => undefined,
)
