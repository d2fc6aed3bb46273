/**
 * What a power failure may leave of the state of versions: its database as it was, and its write-ahead log up to any byte, since
 * what was written of it without a sync may be there or not. That acknowledged batches are synced is SQLite's (`synchronous = FULL`,
 * `app/databases.durable.test.ts`); that a part of a batch is never seen, and what is whole is not lost, is shown here.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Random } from '../../../test/simulate/random.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import { openVersionStore } from './version-store.ts'

const BATCHES = 30
const CUTS = 120

test('a write-ahead log that is cut anywhere leaves whole batches, and all that were whole in it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tidewater-versions-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const random = new Random(7)
  const [path, copy] = [join(folder, 'objects.db'), join(folder, 'copy.db')]
  const store = openVersionStore({ path })
  t.after(() => store.close())
  const walBytes = () => statSync(`${path}-wal`).size
  // What the store was made with is in the log too: nothing is looked at before.
  const made = walBytes()
  const whole = [{ bytes: made, applied: store.applied, counts: store.counts() }]
  for (let number = 0; number < BATCHES; number++) {
    const events = Array.from({ length: 1 + random.below(20) }, (_, at) => ({
      offset: store.applied + at,
      event: event(`k${random.below(40)}`, number * 20 + at),
    }))
    store.applyBatch(events)
    whole.push({ bytes: walBytes(), applied: store.applied, counts: store.counts() })
  }
  const end = walBytes()
  const seen = new Set<number>()
  for (let cut = 0; cut < CUTS; cut++) {
    const bytes = cut === 0 ? end : made + random.below(end - made)
    copyFileSync(path, copy)
    copyFileSync(`${path}-wal`, `${copy}-wal`)
    truncateSync(`${copy}-wal`, bytes)
    const left = openVersionStore({ path: copy })
    const expected = whole.findLast((batch) => batch.bytes <= bytes)
    try {
      assert.deepEqual(
        { applied: left.applied, counts: left.counts() },
        { applied: expected?.applied, counts: expected?.counts },
        `${bytes} bytes`,
      )
      seen.add(left.applied)
    } finally {
      left.close()
      for (const suffix of ['', '-wal', '-shm']) rmSync(`${copy}${suffix}`, { force: true })
    }
  }
  assert.ok(seen.size > BATCHES / 2, 'the cuts fell into many batches')
})

function event(key: string, second: number): ObjectEvent {
  const time = new Date(1_714_557_600_000 + second * 1000).toISOString()
  return { v: 1, kind: 'create', source: 'aws:s3', name: 'create', bucket: 'b', key, versionId: 'null', time }
}
