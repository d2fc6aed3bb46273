import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { isFault } from '../../base/fault.ts'
import { DatabaseSync } from '../../base/sqlite.ts'
import type { ObjectEvent, ObjectEventKind } from '../../change/object-event.ts'
import { visible } from './version-state.ts'
import { openVersionStore, type VersionStore } from './version-store.ts'

const folders: string[] = []
const opened: VersionStore[] = []
afterEach(() => {
  for (const store of opened.splice(0)) store.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function newPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidewater-versions-'))
  folders.push(folder)
  return join(folder, 'objects.db')
}

function open(path = newPath()): VersionStore {
  const store = openVersionStore({ path })
  opened.push(store)
  return store
}

function event(kind: ObjectEventKind, key: string, second: number, more: Partial<ObjectEvent> = {}): ObjectEvent {
  const time = new Date(1_714_557_600_000 + second * 1000).toISOString()
  return { v: 1, kind, source: 'aws:s3', name: kind, bucket: 'b', key, versionId: 'null', time, ...more }
}

const batch = (from: number, ...events: ObjectEvent[]) => events.map((event, at) => ({ offset: from + at, event }))
const keys = (events: Iterable<ObjectEvent>) => [...events].map(({ key }) => key)

describe('version store', () => {
  it('tells of each event what it did, and which events decided and changed the version', () => {
    const store = open()
    const results = store.applyBatch(
      batch(
        10,
        event('create', 'k', 1),
        event('create', 'k', 1),
        event('update', 'k', 2),
        event('create', 'k', 0),
        event('delete', 'k', 3),
      ),
    )
    assert.deepEqual(
      results.map(({ effect, previousOffset, changedOffset, tipOffset }) => [
        effect,
        previousOffset,
        changedOffset,
        tipOffset,
      ]),
      [
        ['newest', null, 10, 10],
        ['duplicate', 10, 10, 10],
        ['update', 10, 12, 10],
        ['late', 12, 12, 10],
        ['newest', 12, 14, 14],
      ],
    )
    const [again] = store.applyBatch(batch(15, event('create', 'k', 9)))
    assert.deepEqual([again?.effect, again?.previousOffset], ['newest', 14])
  })

  it('holds states and positions after reopening', () => {
    const path = newPath()
    const store = open(path)
    store.applyBatch(batch(0, event('create', 'k', 1, { etag: 'e' }), event('update', 'k', 2, { tags: { a: 'b' } })))
    store.setEmitted(1)
    const state = store.get('b', 'k', 'null')
    store.close()
    const again = open(path)
    assert.deepEqual(again.get('b', 'k', 'null'), state)
    assert.deepEqual(visible(state!).tags, { a: 'b' })
    assert.deepEqual([again.applied, again.emitted], [2, 1])
    assert.equal(again.get('b', 'k', 'v1'), null)
  })

  it('a batch applied again changes nothing and keeps the offsets it had', () => {
    const store = open()
    const events = batch(0, event('create', 'k', 1), event('update', 'k', 2), event('create', 'k', 0))
    const first = store.applyBatch(events)
    const again = store.applyBatch(events)
    assert.deepEqual(again.at(-1)!.state, first.at(-1)!.state)
    for (const { changedOffset, tipOffset } of again) assert.deepEqual([changedOffset, tipOffset], [1, 0])
    assert.equal(store.applied, 3)
  })

  it('a batch that fails leaves nothing behind', () => {
    const store = open()
    assert.throws(
      () => store.applyBatch(batch(0, event('create', 'k', 1), event('create', 'l', 1, { time: 'noon' }))),
      (error) => isFault(error, 'invalid'),
    )
    assert.equal(store.get('b', 'k', 'null'), null)
    assert.equal(store.applied, 0)
    store.applyBatch(batch(0, event('create', 'k', 1)))
    assert.equal(store.applied, 1)
  })

  it('gives every version of a key, tombstones too', () => {
    const store = open()
    store.applyBatch(
      batch(
        0,
        event('create', 'k', 1, { versionId: 'v2' }),
        event('delete', 'k', 2, { versionId: 'v1' }),
        event('marker', 'k', 3),
        event('create', 'other', 1),
      ),
    )
    const versions = store.versionsOf('b', 'k').map(visible)
    assert.deepEqual(
      versions.map(({ event, present, isDeleteMarker }) => [event.versionId, present, isDeleteMarker]),
      [
        ['null', true, true],
        ['v1', false, false],
        ['v2', true, false],
      ],
    )
    assert.deepEqual(store.counts(), { objects: 2, markers: 1, absent: 1 })
  })

  it('lists what is there in the order of stores: by UTF-16 code unit', () => {
    const store = open()
    const names = ['a', 'a/b', 'a b', 'Z', 'ä', '\ue000', '\uffee', '😀', '日本', 'z'.repeat(900), 'a\u0001']
    store.applyBatch(
      batch(
        0,
        ...names.map((key) => event('create', key, 1)),
        event('marker', 'm', 1),
        event('create', 'gone', 1),
        event('delete', 'gone', 2),
      ),
    )
    store.applyBatch(batch(100, event('create', 'elsewhere', 1, { bucket: 'other' })))
    assert.deepEqual(keys(store.present('b')), [...names].sort())
    assert.deepEqual(keys(store.present('nowhere')), [])
  })

  it('pages through the versions of one key without losing any', () => {
    const store = open()
    const ids = ['v1', 'v2', 'v3', 'v4', 'v5']
    store.applyBatch(
      batch(0, ...ids.map((versionId) => event('create', 'k', 1, { versionId })), event('create', 'l', 1)),
    )
    const seen: string[] = []
    let page = store.listPresent('b', null, 2)
    while (page.length > 0) {
      seen.push(...page.map(({ key, versionId }) => key + versionId))
      page = store.listPresent('b', page.at(-1)!, 2)
    }
    assert.deepEqual(seen, [...ids.map((id) => `k${id}`), 'lnull'])
  })

  it('can be written to during a walk', () => {
    const store = open()
    store.applyBatch(batch(0, event('create', 'a', 1), event('create', 'b', 1)))
    const walk = store.present('b')
    walk.next()
    store.applyBatch(batch(2, event('delete', 'a', 2), event('create', 'c', 1)))
    assert.deepEqual(keys(walk), ['b'])
    assert.deepEqual(keys(store.present('b')), ['b', 'c'])
  })

  it('names the file when it is no database or has another layout', () => {
    const path = newPath()
    writeFileSync(path, 'no database '.repeat(1000))
    assert.throws(
      () => openVersionStore({ path }),
      (error) => isFault(error, 'corrupt') && error.message.includes(path),
    )
    const other = newPath()
    const database = new DatabaseSync(other)
    database.exec('PRAGMA user_version = 99')
    database.close()
    assert.throws(
      () => openVersionStore({ path: other }),
      (error) => isFault(error, 'unsupported'),
    )
  })
})
