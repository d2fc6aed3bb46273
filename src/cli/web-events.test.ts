import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cliOk } from '../../test/support/cli.ts'
import { Disorder, EVENTS, type EventName, NEXT, WebEvents } from './web-events.ts'

const AT = Date.UTC(2026, 10, 21)
const many = (events: WebEvents, count: number) => Array.from({ length: count }, (_, at) => events.next(AT + at * 1000))

test('visitors go through the shop in an order that makes sense, and all events happen', () => {
  const last = new Map<string, EventName>()
  const counts = new Map<string, number>()
  for (const { session_id, event, user_id } of many(new WebEvents('1', 1), 5_000)) {
    const [session, name] = [String(session_id), event as EventName]
    const before = last.get(session)
    if (before === undefined) assert.equal(name, 'visit')
    else
      assert.ok(
        NEXT[before].some(([next]) => next === name),
        `${name} after ${before}`,
      )
    last.set(session, name)
    counts.set(name, (counts.get(name) ?? 0) + 1)
    assert.match(String(user_id), /^u\d{4}$/)
  }
  assert.deepEqual([...counts.keys()].sort(), [...EVENTS].sort())
  assert.ok((counts.get('purchase') ?? 0) < (counts.get('cart') ?? 0))
})

test('the same seed gives the same events, another one others', () => {
  assert.deepEqual(many(new WebEvents('a'), 200), many(new WebEvents('a'), 200))
  assert.notDeepEqual(many(new WebEvents('a'), 200), many(new WebEvents('b'), 200))
})

test('skew makes some visitors come more often than the others', () => {
  const topShare = (skew: number) => {
    const visits = new Map<string, number>()
    for (const { user_id } of many(new WebEvents('1', skew), 3_000))
      visits.set(String(user_id), (visits.get(String(user_id)) ?? 0) + 1)
    return Math.max(...visits.values()) / 3_000
  }
  assert.ok(topShare(1.5) > 4 * topShare(0))
})

test('what is late comes behind others, and nothing is lost or doubled', () => {
  const order = new Disorder<number>()
  let made = 0
  let turn = 0
  const given = Array.from({ length: 300 }, () =>
    order.next(
      () => made++,
      () => (turn++ % 4 === 0 ? 3 : 0),
    ),
  )
  assert.equal(new Set(given).size, 300)
  assert.ok(given.some((value, at) => value < (given[at - 1] ?? 0)))
  assert.ok(given.every((value, at) => Math.abs(value - at) <= 40))
})

test('a dry run prints what would be sent, in either shape', async () => {
  const run = async (...args: string[]) => {
    const text = await cliOk([
      'generate',
      '--stream-name',
      'web',
      '--dry-run',
      '--rate',
      '0',
      '--max-count',
      '20',
      ...args,
    ])
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { Data?: object; records?: { data: string }[] })
  }
  const [one, several] = await Promise.all([
    run('--bad', '1'),
    run('--api-method', 'records', '--batch', '3', '--disorder', '0.5'),
  ])
  assert.equal(one.length, 20)
  assert.ok(one.every(({ Data }) => Data !== undefined))
  assert.ok(several.every(({ records }) => records?.length === 3 && records.every(({ data }) => data.endsWith('\n'))))
})
