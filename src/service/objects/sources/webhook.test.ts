import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '../../../base/fault.ts'
import { NotificationTaker } from './taker.ts'
import { WebhookSource } from './webhook.ts'

const body = Buffer.from('{"Records":[]}')

/** A webhook with room or without, and a clock whose sleepers wake when they are told to. */
function bench() {
  const room: { full: string | null } = { full: null }
  const notices: string[] = []
  const sleepers: (() => void)[] = []
  const clock = {
    nowMs: () => 1_000,
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        sleepers.push(resolve)
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      }),
  }
  const taker = new NotificationTaker({
    objects: { accept: async () => 0 },
    deadLetters: { add: async () => undefined },
    room: { full: async () => room.full },
  })
  const webhook = new WebhookSource({ name: 'hook', taker, clock, notice: (text) => notices.push(text) })
  const end = new AbortController()
  const run = webhook.run(end.signal)
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve))
  const tick = async () => {
    await settled()
    for (const wake of sleepers.splice(0)) wake()
    await settled()
  }
  const refused = () => assert.rejects(webhook.take(body), (error) => isFault(error, 'unavailable'))
  return { room, notices, sleepers, webhook, end, run, tick, settled, refused }
}

async function refusedOnce(room: { full: string | null }, refused: () => Promise<void>): Promise<void> {
  room.full = 'as before'
  await refused()
  room.full = null
}

test('a webhook that refuses says so once, and once when it takes again, without a request that asks for it', async () => {
  const { room, notices, webhook, end, run, tick, refused } = bench()
  await webhook.take(body)
  await tick()
  assert.deepEqual(notices, [])
  for (const round of [1, 2]) {
    room.full = `${round} events wait`
    for (let n = 0; n < 3; n++) await refused()
    await tick()
    assert.equal(webhook.status().trouble, `${round} events wait`)
    assert.deepEqual(notices.splice(0), [`refuses what it is sent, so that it is sent again: ${round} events wait`])
    room.full = null
    // A bound that is only just met would be told with each request.
    await webhook.take(body)
    await refusedOnce(room, refused)
    assert.deepEqual(notices, [])
    await tick()
    assert.equal(webhook.status().trouble, null)
    assert.deepEqual(notices.splice(0), ['takes what it is sent again'])
  }
  await webhook.take(body)
  assert.deepEqual(notices, [])
  assert.equal(webhook.status().lastError?.message, 'as before; send it again later')
  end.abort()
  await run
})

test('a webhook that has room looks at nothing by itself, and ends when it is told to, full or not', async () => {
  const idle = bench()
  await idle.tick()
  assert.equal(idle.sleepers.length, 0)
  idle.end.abort()
  await idle.run
  const full = bench()
  full.room.full = 'the disk is full'
  await full.refused()
  await full.settled()
  assert.equal(full.sleepers.length, 1)
  full.end.abort()
  await full.run
})
