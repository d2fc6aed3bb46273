/** The example streams that ship with the project: a context file as it is, a function written for a delivery stream, one of ours, routing. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { EngineBench } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'
import type { ConfigInput } from './config.ts'
import { loadConfig } from './config-file.ts'

const folder = fileURLToPath(new URL('../../examples/streams', import.meta.url))

const event = {
  user_id: '897590',
  session_id: 'b3ae-1f',
  event: 'visit',
  referrer: 'example.com',
  user_agent: 'Mozilla/5.0',
  ip: '203.0.113.9',
  hostname: 'shop.example.com',
  os: 'Linux',
  timestamp: '2026-11-21T04:00:00Z',
  uri: '/search?q=1',
}
const without = (...names: string[]) =>
  Object.fromEntries(Object.entries(event).filter(([name]) => !names.includes(name)))

/** The cases that a checking function of web events has always had to tell apart. */
const cases: [string, object, 'row' | 'failed'][] = [
  ['whole', event, 'row'],
  ['no referrer', without('referrer'), 'row'],
  ['bad time', { ...event, timestamp: '21/Nov/2026:04:00' }, 'failed'],
  ['no user', without('user_id'), 'failed'],
  ['number as ip', { ...event, ip: 3405803785 }, 'failed'],
  ['other names', { ...without('user_id', 'session_id'), userId: '897590', sessionId: 'b3ae-1f' }, 'failed'],
]

describe('the example streams', () => {
  let bench: EngineBench
  before(async () => {
    const { config } = await loadConfig(path.join(folder, 'tidewater.config.yaml'), folder)
    bench = await EngineBench.prepare()
    // The functions' paths are from the examples' folder.
    const streams = Object.fromEntries(
      Object.entries(config.streams).map(([name, { transform, ...settings }]) => {
        const module = transform?.module === undefined ? undefined : path.resolve(folder, transform.module)
        return [name, transform === undefined ? settings : { ...settings, transform: { ...transform, module } }]
      }),
    ) as NonNullable<ConfigInput['streams']>
    await bench.restart({ streams })
  })
  after(() => bench.close())

  for (const name of ['Firehose-To-Iceberg-Demo', 'clean']) {
    it(`tell good web events from bad ones, record by record (${name})`, async () => {
      const stream = bench.engine.streams.get(name)
      const records = recordsOf(...cases.map(([, record]) => record), 'no json')
      const { results } = await stream.accept(records)
      assert.deepEqual(
        results.map((result) =>
          result.kind === 'accepted' ? 'row' : result.kind === 'dead-letter' ? 'failed' : result.kind,
        ),
        [...cases.map(([, , outcome]) => outcome), 'failed'],
      )
    })
  }

  it('are rows of their tables, cleaned where a function cleans', async () => {
    await bench.engine.drain()
    const rows = (table: string) => bench.sql(`SELECT uri, referrer FROM ${table} ORDER BY referrer`)
    assert.deepEqual(await rows('demo_iceberg_db.demo_iceberg'), [
      { uri: '/search?q=1', referrer: 'example.com' },
      { uri: '/search?q=1', referrer: null },
    ])
    assert.deepEqual(await rows('web.clean'), [
      { uri: '/search', referrer: 'example.com' },
      { uri: '/search', referrer: null },
    ])
  })

  it('go where their rules say, to tables that are made for them', async () => {
    const { results } = await bench.engine.streams
      .get('routed')
      .accept(
        recordsOf(
          event,
          { ...event, event: 'purchase' },
          { ...event, user_agent: 'health-check', uri: '/' },
          { ...event, event: 'view' },
          { ...without('user_id'), event: 'purchase' },
        ),
      )
    assert.deepEqual(
      results.map((result) => ('code' in result ? result.code : result.kind)),
      ['accepted', 'accepted', 'dropped', 'accepted', 'MissingField'],
    )
    await bench.engine.drain()
    for (const [table, rows] of [
      ['web.searches', 1],
      ['web.orders', 1],
      ['web.events', 1],
    ] as const) {
      assert.deepEqual(await bench.sql(`SELECT count(*)::INTEGER AS n FROM ${table}`), [{ n: rows }], table)
    }
  })
})
