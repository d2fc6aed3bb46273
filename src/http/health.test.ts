import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withServer } from '../../test/support/http-bench.ts'
import type { ConfigInput } from '../app/config.ts'
import { noDrift } from '../app/reconcile.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { parseKeys } from './access.ts'
import { Metrics } from './metrics.ts'

const TOKEN = 'the-token-of-the-hook'
const config: ConfigInput = { objects: { sources: { hook: { type: 'webhook', token: TOKEN } } } }
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })

test('health tells what each source has received and what does not go well, and metrics count the same', async () => {
  const metrics = new Metrics()
  await withServer(config, { metrics }, async ({ bench, send }) => {
    bench.engine.objectSources.start()
    const path = '/v1/notifications/hook'
    await send('POST', path, 'none', bearer(TOKEN))
    await send('POST', path, '{"Event":"s3:TestEvent"}', bearer(TOKEN))
    const { status, reasons, sources } = (await send('GET', '/health')).body as {
      status: string
      reasons: string[]
      sources: object[]
    }
    assert.deepEqual([status, reasons], ['ok', []])
    assert.deepEqual(sources, [
      {
        source: 'hook',
        type: 'webhook',
        stream: null,
        trouble: null,
        lastError: null,
        waiting: null,
        inFlight: 0,
        received: 2,
        accepted: 0,
        ignored: 1,
        deadLetters: 1,
        oldestSeconds: null,
      },
    ])
    const lines = String((await send('GET', '/metrics')).body).split('\n')
    const labels = '{source="hook",type="webhook"}'
    assert.ok(lines.includes(`tidewater_object_source_received_total${labels} 2`))
    assert.ok(lines.includes(`tidewater_object_source_problems_total${labels} 1`))
    assert.ok(
      lines.includes('tidewater_object_source_ignored_total{source="hook",type="webhook",reason="test-event"} 1'),
    )
    assert.ok(lines.includes(`tidewater_object_source_trouble${labels} 0`))

    metrics.feed({ kind: 'stalled', table: 'a.b', fault: new Fault('unavailable', 'the disk is full'), retryInMs: 1 })
    const worse = (await send('GET', '/health')).body as { status: string; reasons: string[] }
    assert.deepEqual([worse.status, worse.reasons], ['degraded', ['a.b is not committed: the disk is full']])
    assert.equal((await send('GET', '/health/ready')).status, 200, 'requests are taken all the same')
    metrics.feed({ kind: 'unchanged', table: 'a.b', from: 0, end: 1 })
    assert.equal(((await send('GET', '/health')).body as { status: string }).status, 'ok')
  })
})

test('a bucket that answers no request, or cannot be compared, is told by health until it does', async () => {
  const metrics = new Metrics()
  await withServer(config, { metrics }, async ({ send }) => {
    const reasons = async () => ((await send('GET', '/health')).body as { reasons: string[] }).reasons
    const request = { operation: 'HeadObject', bucket: 'photos', durationMs: 1 } as const
    for (let count = 1; count < limits.bucketFailuresTold; count++) metrics.s3({ ...request, outcome: 'refused' })
    assert.deepEqual(await reasons(), [], 'a few may be of single objects')
    metrics.s3({ ...request, outcome: 'throttled' })
    metrics.s3({ ...request, outcome: 'missing' })
    metrics.s3({ ...request, bucket: 'other', outcome: 'ok' })
    metrics.s3({ ...request, outcome: 'timeout' })
    const told = `bucket photos: ${limits.bucketFailuresTold} requests failed one after another (timeout)`
    assert.deepEqual(await reasons(), [told])
    metrics.reconciled({ kind: 'failed', bucket: 'photos', message: 'there is no such bucket', retryInMs: 1 })
    assert.deepEqual(await reasons(), [told, 'bucket photos is not compared with its listing: there is no such bucket'])
    metrics.s3({ ...request, outcome: 'ok' })
    metrics.reconciled({ kind: 'compared', bucket: 'photos', counts: noDrift(), elapsedMs: 1 })
    assert.deepEqual(await reasons(), [])
  })
})

test('where there are keys, health tells details to those that may read, and to others only how it is', async () => {
  const keys = parseKeys('reader secret-of-the-reader read; writer secret-of-the-writer write', 'test')
  await withServer(config, { keys }, async ({ send }) => {
    const members = async (headers: Record<string, string>) =>
      Object.keys((await send('GET', '/health', undefined, headers)).body as object)
    assert.deepEqual(await members({}), ['status', 'streams'])
    assert.deepEqual(await members(bearer('secret-of-the-writer')), ['status', 'streams'])
    assert.deepEqual(await members(bearer('secret-of-the-reader')), [
      'status',
      'streams',
      'reasons',
      'sources',
      'waitingObjects',
    ])
  })
})

test('a server whose sources have no room for more is not ready, and says why', async () => {
  const objectSources = { webhook: () => null, status: () => [], full: async () => '7 events wait to be passed on' }
  await withServer(config, { objectSources }, async ({ send }) => {
    const { status, body } = await send('GET', '/health/ready')
    assert.deepEqual(
      [status, body],
      [503, { status: 'busy', reasons: ['notifications have to wait: 7 events wait to be passed on'] }],
    )
    assert.equal((await send('GET', '/health/live')).status, 200)
    assert.equal((await send('GET', '/health')).status, 200)
  })
})

test('objects that wait for their store are told by health and metrics, and how it went when they were asked again', async () => {
  const metrics = new Metrics()
  const waiting = [{ bucket: 'photos', waiting: 7 }]
  await withServer(config, { metrics, waitingObjects: () => waiting }, async ({ send }) => {
    metrics.askedAgain({ kind: 'began', bucket: 'photos', waiting: 7, why: 'unanswered', reason: 'no answer' })
    metrics.askedAgain({ kind: 'asked', bucket: 'photos', outcomes: ['unanswered'] })
    metrics.askedAgain({ kind: 'asked', bucket: 'photos', outcomes: ['answered', 'refused', 'answered'] })
    const { waitingObjects } = (await send('GET', '/health')).body as { waitingObjects: object[] }
    assert.deepEqual(waitingObjects, waiting)
    const look = async () => String((await send('GET', '/metrics')).body).split('\n')
    const lines = await look()
    assert.ok(lines.includes('tidewater_objects_waiting{bucket="photos"} 7'))
    for (const [outcome, count] of [
      ['answered', 2],
      ['unanswered', 1],
      ['refused', 1],
    ])
      assert.ok(lines.includes(`tidewater_objects_asked_again_total{bucket="photos",outcome="${outcome}"} ${count}`))
    waiting.length = 0
    assert.ok(!(await look()).some((line) => line.startsWith('tidewater_objects_waiting{')))
  })
})
