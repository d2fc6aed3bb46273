/** Which object is asked about again, when, and what becomes of its letters; stores, logs and time are of this test. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Clock } from '../../base/clock.ts'
import { limits } from '../../base/limits.ts'
import { DatabaseSync } from '../../base/sqlite.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import { readTableChange } from '../../change/table-change.ts'
import type { ExtractFault } from '../../extract/extract.ts'
import type { Log } from '../../log/log.ts'
import { openMemoryLog } from '../../log/memory.ts'
import { DeadLetters } from '../deadletter/deadletter.ts'
import type { Answer, AskFault } from './ask.ts'
import { defaultMapping } from './mapping.ts'
import { type AskedAgain, ObjectsService } from './objects.ts'
import { openVersionStore } from './version-store.ts'

class HandClock implements Clock {
  #nowMs = Date.UTC(2026, 0, 1)
  #sleeping: { untilMs: number; wake: () => void }[] = []

  nowMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((wake, reject) => {
      this.#sleeping.push({ untilMs: this.#nowMs + ms, wake })
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }

  /** Lets time pass in steps as long as the least pause. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= limits.askAgainMs) {
      this.#nowMs += Math.min(left, limits.askAgainMs)
      const due = this.#sleeping.filter(({ untilMs }) => untilMs <= this.#nowMs)
      this.#sleeping = this.#sleeping.filter(({ untilMs }) => untilMs > this.#nowMs)
      for (const { wake } of due) wake()
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

const SILENT: AskFault = { code: 'unavailable', message: 'no answer' }
const REFUSED: AskFault = { code: 'unavailable', message: 'AccessDenied', isRefused: true }
const READ: ExtractFault = { extractor: 'read', kind: 'unavailable', message: 'no answer' }

const REFUSING = { why: 'refused', reason: 'read: AccessDenied' } as const
const SILENTLY = { why: 'unanswered', reason: 'read: no answer' } as const

/** A service whose store is this object. */
class Bench {
  readonly clock = new HandClock()
  /** Why an object is not told of, and not read. */
  fault: (key: string) => AskFault | null = () => null
  readFault: (key: string) => ExtractFault | null = () => null
  /** What is answered instead. */
  answer: (() => Answer) | null = null
  /** Answers wait for it. */
  hold: Promise<void> = Promise.resolve()
  /** Reads wait for it. */
  holdRead: (key: string) => Promise<void> | undefined = () => undefined
  asked: string[] = []
  inFlight = 0
  inFlightMost = 0
  readonly events: AskedAgain[] = []
  readonly #dir: string
  readonly #logs = new Map<string, Log>()
  service!: ObjectsService
  close: () => Promise<void> = async () => undefined

  private constructor(dir: string) {
    this.#dir = dir
    for (const name of ['objects', 'journal', 'inventory', 'content', 'letters'])
      this.#logs.set(name, openMemoryLog({ name }))
  }

  static async with(work: (bench: Bench) => Promise<void>): Promise<void> {
    const dir = await mkdtemp(join(tmpdir(), 'tidewater-again-'))
    const bench = new Bench(dir)
    try {
      bench.open()
      await work(bench)
    } finally {
      await bench.close()
      await rm(dir, { recursive: true, force: true })
    }
  }

  get path(): string {
    return join(this.#dir, 'objects.db')
  }

  log(name: string): Log {
    return this.#logs.get(name)!
  }

  open(): void {
    const versions = openVersionStore({ path: this.path })
    const { clock } = this
    const service = new ObjectsService({
      objects: this.log('objects'),
      journal: this.log('journal'),
      inventory: this.log('inventory'),
      content: this.log('content'),
      versions,
      deadLetters: new DeadLetters(this.log('letters'), clock),
      clock,
      mapping: defaultMapping,
      extract: async ({ key }) => {
        const fault = this.readFault(key)
        await this.holdRead(key)
        return { metadata: fault === null ? { of: key } : {}, faults: fault === null ? [] : [fault], bytesRead: 1 }
      },
      stores: { asks: () => true, names: () => true, ask: ({ bucket, key }) => this.#ask(bucket, key) },
      onAskedAgain: (event) => void this.events.push(event),
    })
    this.service = service
    this.close = async () => {
      const stopped = service.stop()
      await clock.pass(limits.askAgainMs)
      await stopped
      versions.close()
    }
  }

  /** Ends the service and opens it again, on the same logs and the same file. */
  async restart(): Promise<void> {
    await this.close()
    this.open()
    this.start()
  }

  start(): void {
    this.service.start((fault) => assert.fail(fault.message))
  }

  async #ask(bucket: string, key: string): Promise<Answer> {
    this.asked.push(`${bucket}/${key}`)
    this.inFlight++
    this.inFlightMost = Math.max(this.inFlightMost, this.inFlight)
    await this.hold
    this.inFlight--
    if (this.answer !== null) return this.answer()
    const fault = this.fault(key)
    return fault === null ? { kind: 'facts', facts: { tags: { of: key } } } : { kind: 'failed', fault }
  }

  async put(...keys: string[]): Promise<void> {
    await this.tell(...keys.map((key) => eventOf({ key })))
  }

  async tell(...events: ObjectEvent[]): Promise<void> {
    await this.service.accept(events)
    await this.service.drain()
  }

  /** Letters by subject and code, as the last entry of each says. */
  async letters(): Promise<string[]> {
    const last = new Map<string, string>()
    for (const row of await this.#rows('letters'))
      last.set(String(row['id']), `${row['subject']} ${row['code']} ${row['status']}`)
    return [...last.values()].sort()
  }

  async tagsOf(key: string): Promise<unknown> {
    return (await this.#rows('inventory')).filter((row) => row['key'] === key).at(-1)?.['object_tags']
  }

  async metadataOf(key: string): Promise<unknown> {
    const row = (await this.#rows('content')).filter((each) => each['key'] === key).at(-1)
    return JSON.parse(String(row?.['metadata']))
  }

  async #rows(name: string) {
    const log = this.log(name)
    return (await log.read(log.start, 100_000)).map(({ text }) => readTableChange(text).row)
  }
}

function eventOf(event: Partial<ObjectEvent> & { key: string }): ObjectEvent {
  const common = { v: 1, kind: 'create', source: 'aws:s3', name: 'ObjectCreated:Put', bucket: 'photos' } as const
  return { ...common, versionId: 'null', time: '2026-01-01T00:00:00.000Z', etag: 'a', sizeBytes: 1, ...event }
}

test('what a store did not answer is asked by one probe at a time until it answers, then by more and more at once', async () => {
  await Bench.with(async (bench) => {
    const keys = Array.from({ length: 60 }, (_, n) => `${String(n).padStart(2, '0')}.gif`)
    bench.fault = () => SILENT
    bench.readFault = () => READ
    await bench.put(...keys)
    assert.equal((await bench.letters()).filter((letter) => letter.endsWith('open')).length, 120)
    assert.equal(await bench.tagsOf('00.gif'), null)
    bench.asked = []
    bench.inFlightMost = 0
    bench.start()
    // 1 + 1 + 2 + 4 + 8 + 16 s, then 20 s each.
    await bench.clock.pass(120_000)
    assert.ok(bench.asked.length >= 8 && bench.asked.length <= 12, `asked ${bench.asked.length} times`)
    assert.equal(bench.inFlightMost, 1)
    assert.equal(new Set(bench.asked).size, bench.asked.length, 'each probe is of another object')

    bench.fault = () => null
    bench.readFault = () => null
    bench.asked = []
    await bench.clock.pass(limits.askAgainPauseMaxMs + 2 * limits.askAgainMs)
    assert.deepEqual(bench.asked.map((name) => name.slice('photos/'.length)).sort(), keys)
    assert.equal(bench.inFlightMost, limits.askAgainAtOnce)
    await bench.service.drain()
    assert.ok((await bench.letters()).every((letter) => letter.endsWith('settled')))
    for (const key of keys) {
      assert.deepEqual(await bench.tagsOf(key), { of: key })
      assert.deepEqual(await bench.metadataOf(key), { of: key })
    }
    const told = bench.events.filter(({ kind }) => kind !== 'asked')
    assert.deepEqual(
      told.map((event) => ({ ...event, elapsedMs: undefined })),
      [
        { kind: 'began', bucket: 'photos', waiting: 60, ...SILENTLY, elapsedMs: undefined },
        { kind: 'ended', bucket: 'photos', answered: 60, gone: 0, failed: 0, settled: 0, elapsedMs: undefined },
      ],
    )
    assert.deepEqual(bench.service.waiting(), [])
  })
})

test('a bucket that does not answer keeps none of another from being asked again', async () => {
  await Bench.with(async (bench) => {
    bench.fault = () => SILENT
    await bench.tell(
      ...['a', 'b', 'c'].flatMap((key) => [eventOf({ key }), eventOf({ key: `${key}2`, bucket: 'other' })]),
    )
    bench.fault = (key) => (key.endsWith('2') ? null : SILENT)
    bench.start()
    await bench.clock.pass(3 * limits.askAgainMs)
    assert.deepEqual(
      (await bench.letters()).map((letter) => letter.replace(' undescribed', '')),
      ['other/a2@null settled', 'other/b2@null settled', 'other/c2@null settled']
        .concat(['photos/a@null open', 'photos/b@null open', 'photos/c@null open'])
        .sort(),
    )
    assert.deepEqual(bench.service.waiting(), [{ bucket: 'photos', waiting: 3 }])
  })
})

test('what is wrong with an object itself is not asked again, by whatever failed beside it', async () => {
  await Bench.with(async (bench) => {
    const corrupt: ExtractFault = { extractor: 'image', kind: 'truncated', message: 'too short' }
    bench.readFault = (key) => (key === 'both' ? READ : corrupt)
    bench.fault = (key) => (key === 'named wrongly' ? { code: 'invalid', message: 'no such name' } : null)
    await bench.put('broken', 'both', 'named wrongly')
    bench.readFault = () => corrupt
    bench.asked = []
    bench.start()
    await bench.clock.pass(20 * limits.askAgainMs)
    assert.deepEqual(bench.asked, [], 'the bytes were read again, and nothing was asked')
    assert.deepEqual(await bench.letters(), [
      'photos/both@null truncated open',
      'photos/both@null unavailable settled',
      'photos/broken@null truncated open',
      'photos/named wrongly@null truncated open',
      'photos/named wrongly@null undescribed open',
    ])
    assert.deepEqual(bench.service.waiting(), [])
  })
})

test('objects that are refused hold up no others, wait longer each time, and come all when rights are given', async () => {
  await Bench.with(async (bench) => {
    const denied = Array.from({ length: 20 }, (_, n) => `denied/${n}`)
    bench.fault = (key) => (key.startsWith('denied') ? REFUSED : SILENT)
    await bench.put(...denied, 'blip')
    bench.fault = (key) => (key.startsWith('denied') ? REFUSED : null)
    bench.asked = []
    bench.start()
    await bench.clock.pass(2 * limits.askAgainMs)
    assert.deepEqual(bench.asked, ['photos/blip'])
    bench.asked = []
    await bench.clock.pass(3600_000)
    const perObject = bench.asked.length / denied.length
    // After 1, 2, 4 and 8 minutes, then every 15.
    assert.ok(perObject >= 6 && perObject <= 8, `each was asked about ${perObject} times in an hour`)

    bench.fault = () => null
    bench.asked = []
    await bench.clock.pass(limits.askAgainRefusedMaxMs + 2 * limits.askAgainMs)
    assert.equal(bench.asked.length, denied.length)
    assert.ok((await bench.letters()).every((letter) => letter.endsWith('settled')))
  })
})

test('a service that is ended and begun again goes on with what waits', async () => {
  await Bench.with(async (bench) => {
    bench.fault = () => SILENT
    bench.readFault = () => READ
    await bench.put('a', 'b', 'c')
    bench.start()
    await bench.clock.pass(10 * limits.askAgainMs)
    bench.fault = () => null
    await bench.restart()
    bench.readFault = () => null
    await bench.clock.pass(10 * limits.askAgainMs)
    assert.ok((await bench.letters()).every((letter) => letter.endsWith('settled')))
    for (const key of ['a', 'b', 'c']) assert.deepEqual(await bench.tagsOf(key), { of: key })
  })
})

test('a kill between the answer, its letter and the list of what waits makes the same once more', async () => {
  for (const dies of ['letters', 'content', 'objects']) {
    await Bench.with(async (bench) => {
      bench.fault = () => SILENT
      bench.readFault = () => READ
      await bench.put('a')
      bench.fault = () => null
      bench.readFault = () => null
      const log = bench.log(dies)
      const append = log.append.bind(log)
      let killed = 0
      log.append = async (texts) => {
        // Once before anything is written, once after.
        if (killed++ === 0) throw new Error('killed')
        const end = await append(texts)
        if (killed === 2) throw new Error('killed')
        return end
      }
      bench.service.start(() => undefined)
      await bench.clock.pass(10 * limits.askAgainMs)
      assert.ok(killed >= 2)
      assert.deepEqual(await bench.letters(), [
        'photos/a@null unavailable settled',
        'photos/a@null undescribed settled',
      ])
      assert.deepEqual(await bench.tagsOf('a'), { of: 'a' })
      assert.deepEqual(await bench.metadataOf('a'), { of: 'a' })
      assert.deepEqual(bench.service.waiting(), [])
    })
  }
})

test('an object that is replaced while it is asked about has the letters and the rows of what took its place', async () => {
  await Bench.with(async (bench) => {
    bench.fault = () => SILENT
    bench.readFault = () => READ
    await bench.put('over', 'gone')
    const { promise, resolve } = Promise.withResolvers<void>()
    bench.hold = promise
    bench.fault = () => null
    bench.start()
    await bench.clock.pass(3 * limits.askAgainMs)
    bench.hold = Promise.resolve()
    const later = '2026-01-01T00:00:01.000Z'
    await bench.tell(
      eventOf({ key: 'over', time: later, etag: 'b' }),
      eventOf({ key: 'gone', kind: 'delete', name: 'ObjectRemoved:Delete', time: later }),
    )
    bench.readFault = () => null
    resolve()
    await bench.clock.pass(30 * limits.askAgainMs)
    assert.ok((await bench.letters()).every((letter) => letter.endsWith('settled')))
    assert.deepEqual(await bench.metadataOf('over'), { of: 'over' })
    const content = await bench.log('content').read(0, 100)
    const ofGone = content.map(({ text }) => readTableChange(text)).filter(({ row }) => row['key'] === 'gone')
    assert.equal(ofGone.at(-1)?.op, 'delete')
  })
})

test('a row that is made anew comes behind the one of before, though others of its window are still being read', async () => {
  await Bench.with(async (bench) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    bench.readFault = (key) => (key === 'a' ? READ : null)
    bench.holdRead = (key) => (key === 'slow' ? promise : undefined)
    bench.start()
    await bench.service.accept([eventOf({ key: 'a' }), eventOf({ key: 'slow' })])
    await bench.clock.pass(2 * limits.askAgainMs)
    const waiting = bench.service.waiting()
    bench.readFault = () => null
    await bench.clock.pass(30 * limits.askAgainMs)
    resolve()
    await bench.clock.pass(30 * limits.askAgainMs)
    assert.deepEqual(waiting, [{ bucket: 'photos', waiting: 1 }])
    assert.deepEqual(await bench.metadataOf('a'), { of: 'a' })
    assert.deepEqual(await bench.letters(), ['photos/a@null unavailable settled'])
  })
})

test('what is known in part is told once, and its letter stays until the rest is known', async () => {
  await Bench.with(async (bench) => {
    bench.fault = () => SILENT
    await bench.put('a')
    const partly: Answer = { kind: 'facts', facts: { contentType: 'image/gif' }, fault: REFUSED }
    bench.answer = () => partly
    bench.start()
    await bench.clock.pass(3600_000)
    assert.deepEqual(await bench.letters(), ['photos/a@null undescribed open'])
    const journal = (await bench.log('journal').read(0, 100)).map(
      ({ text }) => readTableChange(text).row['record_type'],
    )
    assert.deepEqual(journal, ['CREATE', 'UPDATE_METADATA'])
    // Something else is told of it: its tags stay unknown.
    await bench.tell(
      eventOf({
        key: 'a',
        kind: 'update',
        name: 'LifecycleTransition',
        storageClass: 'GLACIER',
        time: '2026-01-01T00:01:00.000Z',
      }),
    )
    assert.deepEqual(await bench.letters(), ['photos/a@null undescribed open'])
    bench.answer = null
    bench.fault = () => null
    await bench.clock.pass(limits.askAgainRefusedMaxMs + 2 * limits.askAgainMs)
    assert.deepEqual(await bench.letters(), ['photos/a@null undescribed settled'])
    assert.deepEqual(await bench.tagsOf('a'), { of: 'a' })
  })
})

test('what was unread in a file of before is asked again, if its letters may pass', async () => {
  await Bench.with(async (bench) => {
    bench.fault = () => SILENT
    bench.readFault = (key) => (key === 'broken' ? { extractor: 'image', kind: 'truncated', message: 'short' } : null)
    await bench.put('a')
    bench.fault = () => null
    await bench.put('broken')
    await bench.close()
    const database = new DatabaseSync(bench.path)
    database.exec('DROP INDEX unread_due; ALTER TABLE unread DROP COLUMN due_ms')
    database.exec(`UPDATE unread SET unread = json_remove(unread, '$.letters[0].passing')`)
    database.close()
    bench.open()
    bench.start()
    await bench.clock.pass(3 * limits.askAgainMs)
    assert.deepEqual(await bench.letters(), ['photos/a@null undescribed settled', 'photos/broken@null truncated open'])
    assert.deepEqual(bench.service.waiting(), [])
  })
})

test('what became of the objects that waited is counted: answered, gone, settled by newer events, and those that cannot be read', async () => {
  await Bench.with(async (bench) => {
    bench.fault = (key) => (key === 'gone' ? REFUSED : null)
    bench.readFault = (key) => (key === 'gone' ? null : { ...READ, message: 'AccessDenied', isRefused: true })
    await bench.put('well', 'broken', 'gone', 'over')
    bench.fault = () => null
    bench.answer = () => ({ kind: 'gone' })
    bench.readFault = (key) => (key === 'well' ? null : { extractor: 'image', kind: 'truncated', message: 'short' })
    bench.start()
    await bench.clock.pass(2 * limits.askAgainMs)
    await bench.tell(
      eventOf({ key: 'over', kind: 'delete', name: 'ObjectRemoved:Delete', time: '2026-01-01T00:00:01.000Z' }),
    )
    await bench.clock.pass(limits.askAgainRefusedMs + 5 * limits.askAgainMs)
    const told = bench.events.filter((event) => event.kind !== 'asked')
    assert.deepEqual(
      told.map((event) => ({ ...event, elapsedMs: undefined })),
      [
        { kind: 'began', bucket: 'photos', waiting: 4, ...REFUSING, elapsedMs: undefined },
        { kind: 'ended', bucket: 'photos', answered: 1, gone: 1, failed: 1, settled: 1, elapsedMs: undefined },
      ],
    )
  })
})
