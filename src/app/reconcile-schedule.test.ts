/** Buckets that are compared every so often, by a clock that the test moves, while events flow; and what is counted of it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bucketRows, tableRows } from '../../test/support/bucket-tables.ts'
import { type EngineBench, withBuckets } from '../../test/support/engine-bench.ts'
import { HandClock } from '../../test/support/hand-clock.ts'
import { NotifiedBucket } from '../../test/support/notified-bucket.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { Metrics } from '../http/http.ts'
import { readNotificationBytes } from '../source/source.ts'
import type { BucketStore } from '../store/store.ts'
import { parseConfig } from './config.ts'
import { type ReconcileEvent, ReconcileSchedule, reconcileLine } from './reconcile-schedule.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** Two buckets, one of which is compared every hour and the other every six. */
class Setting {
  readonly clock = new HandClock(Date.now())
  readonly buckets = new Map(['often', 'seldom'].map((name) => [name, this.#bucket(name)] as const))
  readonly events: { atMs: number; event: ReconcileEvent }[] = []
  readonly metrics = new Metrics({ nowMs: () => this.clock.nowMs() })
  /** Before each listing; may throw, or take its time. */
  beforeListing: (bucket: string) => Promise<void> | void = () => undefined
  /** Names of buckets, one for each comparison that was begun. */
  readonly begun: string[] = []
  runningMost = 0
  #schedule: ReconcileSchedule | null = null

  readonly config = {
    objects: { buckets: { often: { reconcile: { every: '1h' } }, seldom: { reconcile: { every: '6h' } } } },
  }

  bucket(name: string): NotifiedBucket {
    const found = this.buckets.get(name)
    assert.ok(found !== undefined)
    return found
  }

  open(name: string): BucketStore {
    const { store } = this.bucket(name)
    return new Proxy(store, {
      get: (target, member: keyof BucketStore) => {
        const value = target[member] as unknown
        if (typeof value !== 'function') return value
        const call = (...args: unknown[]) => (value as (...args: unknown[]) => unknown).apply(target, args)
        // Each comparison asks so once, before it lists.
        if (member !== 'versioning') return call
        return async () => {
          this.begun.push(name)
          const running = this.schedule.buckets.filter(({ isRunning }) => isRunning).length
          this.runningMost = Math.max(this.runningMost, running)
          await this.beforeListing(name)
          return call()
        }
      },
    })
  }

  get schedule(): ReconcileSchedule {
    assert.ok(this.#schedule !== null)
    return this.#schedule
  }

  async begin({ engine }: EngineBench): Promise<void> {
    this.#schedule = await ReconcileSchedule.open(
      { ...engine, clock: this.clock },
      {
        onEvent: (event) => {
          this.metrics.reconciled(event)
          this.events.push({ atMs: this.clock.nowMs(), event })
        },
      },
    )
    this.#schedule.start()
    await this.clock.asleep()
  }

  async pass(ms: number): Promise<void> {
    for (const bucket of this.buckets.values()) bucket.passTime(ms)
    await this.clock.pass(ms)
  }

  /** What happened since it was asked last, one word for each, with the minutes since `fromMs`. */
  told(fromMs: number): string[] {
    return this.events
      .splice(0)
      .map(({ atMs, event }) => `${(atMs - fromMs) / MINUTE_MS} ${event.bucket} ${event.kind}`)
  }

  /** Samples of comparisons, without what process and streams have. */
  async samples({ engine }: EngineBench): Promise<Record<string, number>> {
    const { streams } = engine
    const text = await this.metrics.text({
      streams,
      objectSources: () => [],
      waitingObjects: () => [],
      inFlightBytes: () => 0,
      connections: () => 0,
    })
    const lines = text.split('\n').filter((line) => line.startsWith('tidewater_reconcile_'))
    return Object.fromEntries(
      lines.map((line) => [
        line.slice('tidewater_reconcile_'.length, line.lastIndexOf(' ')),
        Number(line.split(' ').at(-1)),
      ]),
    )
  }

  #bucket(name: string): NotifiedBucket {
    return new NotifiedBucket({ name, dialect: 'aws', versioning: 'never', startMs: this.clock.nowMs() - HOUR_MS })
  }
}

async function withSchedule(work: (setting: Setting, bench: EngineBench) => Promise<void>): Promise<void> {
  const setting = new Setting()
  await withBuckets(
    setting.config,
    (name) => setting.open(name),
    async (bench) => {
      const faults: Fault[] = []
      bench.engine.start((fault) => faults.push(fault))
      try {
        await work(setting, bench)
      } finally {
        await setting.schedule.stop()
        await bench.engine.finish()
      }
      assert.deepEqual(faults, [])
    },
  )
}

/** Tells the engine of what the bucket has told since. */
async function tell({ engine }: EngineBench, bucket: NotifiedBucket): Promise<void> {
  for (const document of bucket.documents.splice(0)) {
    const { events } = readNotificationBytes(Buffer.from(document))
    await engine.objects.accept(events)
  }
}

async function requireSame(bench: EngineBench, { name, store }: NotifiedBucket): Promise<void> {
  const [there, tables] = [await bucketRows(store), await tableRows(bench, name)]
  assert.deepEqual([tables.current, tables.content], [there.current, there.content])
}

describe('a bucket that is compared every so often', () => {
  it('is compared at the start and then on its hour, each by its own, while events flow', async () => {
    await withSchedule(async (setting, bench) => {
      const [often, seldom] = [setting.bucket('often'), setting.bucket('seldom')]
      const fromMs = setting.clock.nowMs()
      for (const bucket of [often, seldom]) await bucket.put('lost', 'nobody was told')
      often.documents.length = 0
      seldom.documents.length = 0
      await setting.begin(bench)
      assert.deepEqual(setting.told(fromMs), ['0 often compared', '0 seldom compared'])
      for (let hour = 1; hour <= 6; hour++) {
        await setting.pass(59 * MINUTE_MS)
        assert.deepEqual(setting.told(fromMs), [], 'nothing before its time')
        await often.put(`told-${hour}`, 'a')
        await tell(bench, often)
        for (const bucket of [often, seldom]) await bucket.put(`lost-${hour}`, 'b')
        often.documents.length = 0
        await setting.pass(MINUTE_MS)
        const due = [`${60 * hour} often compared`, ...(hour === 6 ? ['360 seldom compared'] : [])]
        assert.deepEqual(setting.told(fromMs), due)
      }
      assert.equal(setting.runningMost, 1)
      await bench.engine.objects.passed(bench.engine.objects.accepted, new AbortController().signal)
      await Promise.all([...bench.engine.feeds.values()].map((feed) => feed.drain()))
      await requireSame(bench, often)
      await requireSame(bench, seldom)
    })
  })

  it('that takes longer than its time is not compared twice at once, nor beside another, and not made up for', async () => {
    await withSchedule(async (setting, bench) => {
      const held = Promise.withResolvers<void>()
      await setting.begin(bench)
      setting.events.length = 0
      setting.begun.length = 0
      setting.beforeListing = (name) => (name === 'often' ? held.promise : undefined)
      const fromMs = setting.clock.nowMs()
      const passed = setting.pass(HOUR_MS)
      for (let tries = 0; setting.begun.length === 0; tries++) {
        assert.ok(tries < 10_000, 'it is compared on its hour')
        await new Promise((done) => setTimeout(done, 1))
      }
      setting.clock.jump(7 * HOUR_MS)
      await new Promise((done) => setTimeout(done, 50))
      assert.deepEqual(setting.begun, ['often'], 'one at a time, whatever else is due')
      held.resolve()
      await passed
      // Seven hours were missed: it is due at once, once.
      await setting.clock.asleep()
      assert.equal(setting.runningMost, 1)
      const kinds = setting.told(fromMs).map((line) => line.split(' ').slice(1).join(' '))
      assert.deepEqual(kinds.sort(), ['often compared', 'often compared', 'seldom compared'])
      assert.ok(setting.schedule.buckets.every(({ nextMs }) => nextMs > setting.clock.nowMs()))
    })
  })

  it('that cannot be listed is told and tried again, the longer the more often it fails, and the other is compared meanwhile', async () => {
    await withSchedule(async (setting, bench) => {
      const fromMs = setting.clock.nowMs()
      setting.beforeListing = (name) => {
        if (name === 'often') throw new Fault('unavailable', 'the store does not answer')
      }
      await setting.begin(bench)
      await setting.pass(15 * MINUTE_MS)
      const tries = setting.events.filter(({ event }) => event.kind === 'failed')
      const pauses = tries.map(({ event }) => (event.kind === 'failed' ? event.retryInMs : 0))
      const first = limits.reconcileBackoffMs
      assert.deepEqual(pauses.slice(0, 5), [first, 2 * first, 4 * first, 8 * first, 16 * first])
      const expected = pauses.map((_, at) => pauses.slice(0, at).reduce((sum, each) => sum + each, 0))
      assert.deepEqual(
        tries.map(({ atMs }) => atMs - fromMs),
        expected,
      )
      assert.match(reconcileLine(tries[0]!.event), /often .* waits 10000 ms: the store does not answer/)
      assert.deepEqual(
        setting.events.filter(({ event }) => event.bucket === 'seldom').map(({ event }) => event.kind),
        ['compared'],
      )
      assert.deepEqual(
        setting.schedule.buckets.map(({ trouble }) => trouble),
        ['the store does not answer', null],
      )
      // Never later than it would have been due.
      setting.events.length = 0
      await setting.pass(24 * HOUR_MS)
      assert.ok(setting.events.every(({ event }) => event.kind === 'compared' || event.retryInMs <= HOUR_MS))
      setting.beforeListing = () => undefined
      await setting.pass(HOUR_MS)
      assert.equal(setting.schedule.buckets[0]?.trouble, null)
      setting.events.length = 0
      const againMs = setting.schedule.buckets[0]!.lastMs!
      await setting.pass(HOUR_MS)
      assert.equal(setting.events[0]!.atMs, againMs + HOUR_MS, 'it is on its schedule again')
    })
  })

  it('is counted: what it mended by kind, keys, when, and whether the last try failed', async () => {
    await withSchedule(async (setting, bench) => {
      const often = setting.bucket('often')
      for (const key of ['a', 'b', 'c']) await often.put(key, 'first')
      await tell(bench, often)
      await setting.begin(bench)
      const beginMs = setting.clock.nowMs()
      const at = (ms: number) => Math.round(ms / 1000)
      const bucket = '{bucket="often"}'
      let samples = await setting.samples(bench)
      assert.equal(samples[`keys${bucket}`], 3)
      assert.equal(samples[`trouble${bucket}`], 0)
      assert.equal(samples[`last_timestamp_seconds${bucket}`], at(beginMs))
      assert.ok(samples[`seconds${bucket}`]! >= 0)

      await setting.pass(30 * MINUTE_MS)
      await often.put('d', 'new')
      await often.put('a', 'second')
      await often.delete('b')
      often.documents.length = 0
      await setting.pass(30 * MINUTE_MS)
      const drifts = setting.events.at(-1)
      assert.ok(drifts?.event.kind === 'compared')
      samples = await setting.samples(bench)
      const counted = Object.entries(drifts.event.counts.drift).filter(([, count]) => count > 0)
      assert.equal(
        counted.reduce((sum, [, count]) => sum + count, 0),
        3,
        JSON.stringify(counted),
      )
      for (const [kind, count] of counted) {
        const name = `drift_total{bucket="often",kind="${kind}"}`
        assert.equal(samples[name], count, name)
      }
      assert.equal(samples[`keys${bucket}`], 3)
      assert.equal(samples[`last_timestamp_seconds${bucket}`], at(beginMs + HOUR_MS))

      setting.beforeListing = () => Promise.reject(new Fault('unavailable', 'down'))
      await setting.pass(HOUR_MS)
      samples = await setting.samples(bench)
      assert.equal(samples[`trouble${bucket}`], 1)
      assert.equal(samples[`last_timestamp_seconds${bucket}`], at(beginMs + HOUR_MS), 'not since')
      assert.deepEqual(setting.metrics.bucketTroubles, ['bucket often is not compared with its listing: down'])
      setting.beforeListing = () => undefined
      await setting.pass(HOUR_MS)
      samples = await setting.samples(bench)
      assert.equal(samples[`trouble${bucket}`], 0)
      assert.deepEqual(setting.metrics.bucketTroubles, [])
    })
  })

  it('is one that has a name', () => {
    const input = { objects: { buckets: { '*': { reconcile: { every: '1h' } } } } }
    assert.throws(
      () => parseConfig(input, 'the test'),
      /objects\.buckets\.\*\.reconcile: expected a bucket that is named/,
    )
  })
})
