import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withServer } from '../../test/support/http-bench.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { Metrics } from './metrics.ts'

const events = {
  table: 'demo.events',
  columns: { id: 'LONG NOT NULL' },
  buffer: { seconds: 0 },
}

/** Samples by name and labels. */
function samplesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]))
}

test('records, backlog, lag and commits are counted, and a stream that is gone is forgotten', async () => {
  const metrics = new Metrics()
  await withServer({ streams: { events } }, { metrics }, async ({ send, bench }) => {
    const look = async () => samplesOf(String((await send('GET', '/metrics')).body))
    const post = (name: string, body: string, headers: Record<string, string> = {}) =>
      send('POST', `/v1/streams/${name}/records`, body, { 'content-type': 'application/x-ndjson', ...headers })
    await post('events', '{"id":1}\n{"id":2}\nbad\n')
    await post('events', '{"id":3}', { 'idempotency-key': 'a' })
    await post('events', '{"id":3}', { 'idempotency-key': 'a' })
    await post('events', '{"id":9}', { 'producer-id': 'p', 'producer-sequence': '9' })
    const before = await look()
    const records = (outcome: string) => `tidewater_stream_records_total{stream="events",outcome="${outcome}"}`
    assert.deepEqual(
      ['accepted', 'dead-letter', 'repeated', 'refused', 'dropped'].map((outcome) => before.get(records(outcome))),
      [3, 1, 1, 1, undefined],
    )
    assert.equal(before.get('tidewater_stream_record_bytes_total{stream="events"}'), 43)
    assert.equal(before.get('tidewater_stream_backlog_entries{stream="events"}'), 4, 'one of them remembers a key')
    assert.ok((before.get('tidewater_stream_backlog_bytes{stream="events"}') ?? 0) > 0)
    assert.ok((before.get('tidewater_stream_seconds_since_commit{stream="events"}') ?? -1) >= 0)
    await bench.engine.drain()
    const after = await look()
    assert.equal(after.get('tidewater_stream_backlog_entries{stream="events"}'), 0)
    assert.equal(after.get('tidewater_stream_lag_seconds{stream="events"}'), 0)
    assert.equal(after.get('tidewater_stream_committed_offset{stream="events",table="demo.events"}'), 4)
    const answered =
      'tidewater_http_request_seconds_count{method="POST",route="/v1/streams/:name/records",status="200"}'
    assert.equal(after.get(answered), 3)
    await send('GET', '/none/such/1')
    await send('GET', '/none/such/2')
    await send('PUT', '/v1/streams/more', '{"table":"demo.more","columns":{"id":"LONG"}}')
    await post('more', '{"id":1}')
    assert.ok([...(await look()).keys()].some((name) => name.includes('stream="more"')))
    await send('DELETE', '/v1/streams/more')
    const last = await look()
    assert.ok(![...last.keys()].some((name) => name.includes('stream="more"')))
    assert.equal(last.get('tidewater_http_request_seconds_count{method="GET",route="none",status="404"}'), 2)
  })
})

test('requests to S3 are counted by bucket, operation and outcome, of buckets not too many told apart', async () => {
  const metrics = new Metrics()
  await withServer({ streams: { events } }, { metrics }, async ({ send }) => {
    const request = { operation: 'PutObject', outcome: 'ok', durationMs: 12 } as const
    for (let i = 0; i < 3; i++) metrics.s3({ ...request, bucket: 'lake' })
    metrics.s3({ ...request, bucket: 'lake', outcome: 'throttled' })
    for (let i = 0; i < limits.metricBucketsMax + 5; i++) metrics.s3({ ...request, bucket: `b${i}` })
    const samples = samplesOf(String((await send('GET', '/metrics')).body))
    const count = (bucket: string, outcome: string) =>
      samples.get(`tidewater_s3_requests_total{bucket="${bucket}",operation="PutObject",outcome="${outcome}"}`)
    assert.equal(count('lake', 'ok'), 3)
    assert.equal(count('lake', 'throttled'), 1)
    assert.equal(count('other', 'ok'), 6)
    assert.equal(samples.get('tidewater_s3_request_seconds_count{operation="PutObject"}'), limits.metricBucketsMax + 9)
  })
})

test('commits and stalls are counted by table, of which not too many are told apart', async () => {
  const metrics = new Metrics()
  await withServer({ streams: { events } }, { metrics }, async ({ send }) => {
    const look = async () => samplesOf(String((await send('GET', '/metrics')).body))
    const stall = (table: string) =>
      metrics.feed({ kind: 'stalled', table, fault: new Fault('unavailable', 'no'), retryInMs: 1 })
    stall('demo.events')
    metrics.logStalled()
    metrics.feed({ kind: 'upkeep-failed', table: 'demo.events', fault: new Fault('unavailable', 'no'), retryInMs: 1 })
    const stalled = await look()
    assert.equal(stalled.get('tidewater_commit_stalled{table="demo.events"}'), 1)
    assert.equal(stalled.get('tidewater_commit_stalls_total{table="demo.events"}'), 1)
    assert.equal(stalled.get('tidewater_log_stalls_total'), 1)
    assert.equal(stalled.get('tidewater_upkeep_failures_total{table="demo.events"}'), 1)
    metrics.feed({ kind: 'unchanged', table: 'demo.events', from: 0, end: 1 })
    assert.equal((await look()).get('tidewater_commit_stalled{table="demo.events"}'), 0)
    for (let table = 0; table < limits.metricTablesMax + 5; table++) stall(`demo.t${table}`)
    const many = await look()
    assert.equal(many.get('tidewater_commit_stalls_total{table="other"}'), 6)
  })
})
