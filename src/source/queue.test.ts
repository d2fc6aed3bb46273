import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { hastyClock } from '../../test/support/fake-kafka.ts'
import { FakeQueue } from '../../test/support/fake-queue.ts'
import type { Clock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type QueueMessage, QueueReader, type QueueReaderOptions, type QueueTaker } from './queue.ts'

class Taker implements QueueTaker {
  /** Bodies in the order in which they became durable. */
  readonly taken: string[] = []
  /** Called before messages are taken; may throw, or hold them. */
  before: (messages: readonly QueueMessage[]) => Promise<void> | void = () => undefined
  isFull: string | null = null

  async full(): Promise<string | null> {
    await turn()
    return this.isFull
  }

  async take(messages: readonly QueueMessage[]): Promise<void> {
    await turn()
    await this.before(messages)
    this.taken.push(...messages.map(({ body }) => body))
  }
}

interface Rig {
  clock: Clock
  queue: FakeQueue
  taker: Taker
  notices: string[]
  reader: QueueReader
  run: (work: () => Promise<void>) => Promise<void>
}

function rig(options: Partial<QueueReaderOptions> = {}): Rig {
  const clock = hastyClock()
  const queue = new FakeQueue(clock)
  const taker = new Taker()
  const notices: string[] = []
  const notice = (text: string) => notices.push(text)
  const parts = { open: async () => queue, taker, clock, receivers: 1, hiddenSeconds: 30, notice, ...options }
  const reader = new QueueReader(parts)
  const run = async (work: () => Promise<void>) => {
    const stop = new AbortController()
    const running = reader.run(stop.signal)
    try {
      await work()
    } finally {
      stop.abort()
      await running
    }
  }
  return { clock, queue, taker, notices, reader, run }
}

async function until(what: () => boolean): Promise<void> {
  for (let turns = 0; !what(); turns++) {
    assert.ok(turns < 20_000, `never came about: ${what}`)
    await turn()
  }
}

test('a message is deleted when it is taken, and not before', async () => {
  const { queue, taker, reader, run } = rig()
  for (let n = 0; n < 25; n++) queue.send(`b${n}`)
  taker.before = () => assert.equal(queue.removed.length % 10, 0, 'only whole receipts that were taken before are gone')
  await run(async () => {
    await until(() => queue.kept.size === 0)
    assert.deepEqual(
      taker.taken,
      Array.from({ length: 25 }, (_, n) => `b${n}`),
    )
    const { received, deleted, held, trouble } = reader.status()
    assert.deepEqual({ received, deleted, held, trouble }, { received: 25, deleted: 25, held: 0, trouble: null })
  })
  assert.ok(queue.closed)
})

test('what cannot be taken is held out of sight, handed over again, and never deleted before it is taken', async () => {
  const { queue, taker, reader, run, notices } = rig()
  const id = queue.send('one')
  let failures = 0
  taker.before = () => {
    assert.ok(queue.kept.has(id))
    // Pauses of these failures together are far longer than the message is out of sight by one receipt.
    if (failures++ < 8) throw new Fault('unavailable', 'the disk is full')
  }
  await run(async () => {
    await until(() => taker.taken.length === 1)
    await until(() => queue.kept.size === 0)
    assert.equal(queue.comings.get(id), 1, 'nobody else could have received it meanwhile')
    assert.equal(reader.status().trouble, null)
    assert.equal(reader.status().lastError?.message, 'the disk is full')
  })
  assert.deepEqual(notices, ['the disk is full', 'receiving again'])
})

test('a message that is worked on for long stays out of the sight of other receivers', async () => {
  const { clock, queue, taker, run } = rig({ receivers: 3 })
  const id = queue.send('slow')
  taker.before = () => clock.sleep(600_000)
  await run(() => until(() => queue.kept.size === 0))
  assert.equal(queue.comings.get(id), 1)
  assert.deepEqual(taker.taken, ['slow'])
})

test('deletes that fail by halves or as a whole are tried again, and a message that stays comes again', async () => {
  const { queue, taker, reader, run, notices } = rig({ hiddenSeconds: 3_600 })
  for (let n = 0; n < 10; n++) queue.send(`b${n}`)
  let calls = 0
  queue.before = (call) => {
    if (call === 'remove' && ++calls === 1) throw new Fault('unavailable', 'the connection was reset')
  }
  queue.refuses = ({ receipt }) => receipt === 'm4#1' || (receipt === 'm7#1' && calls < 3)
  await run(() => until(() => queue.kept.size === 0))
  assert.deepEqual(taker.taken.slice(10), ['b3'], 'the one that could not be deleted came again, and only it')
  const { deleted, undeleted } = reader.status()
  assert.deepEqual({ deleted, undeleted }, { deleted: 10, undeleted: 1 })
  assert.match(notices.join('\n'), /1 messages were taken and could not be deleted .*come again/)
})

test('while the taker has no room nothing is received', async () => {
  const { queue, taker, reader, run, notices } = rig({ receivers: 4 })
  taker.isFull = '9 events wait'
  queue.send('one')
  let receipts = 0
  queue.before = (call) => {
    if (call === 'receive') receipts++
  }
  await run(async () => {
    for (let turns = 0; turns < 200; turns++) await turn()
    assert.equal(receipts, 0)
    assert.equal(reader.status().trouble, 'nothing is received for the moment: 9 events wait')
    taker.isFull = null
    await until(() => queue.kept.size === 0)
    assert.equal(reader.status().trouble, null)
  })
  assert.deepEqual(notices, ['nothing is received for the moment: 9 events wait', 'receiving again'])
})

test('a queue that is gone, denied or throttled is told of once and tried again, with longer pauses', async () => {
  const inner = hastyClock()
  const pausesMs: number[] = []
  const clock: Clock = {
    ...inner,
    sleep: (ms, signal) => {
      pausesMs.push(ms)
      return inner.sleep(ms, signal)
    },
  }
  const { queue, taker, run, notices } = rig({ clock })
  let failures = 0
  queue.before = (call) => {
    if (call !== 'receive' || failures >= 20) return
    failures++
    throw new Fault(failures < 10 ? 'not-found' : 'unavailable', failures < 10 ? 'the queue is not there' : 'denied')
  }
  queue.send('one')
  await run(() => until(() => taker.taken.length === 1))
  assert.deepEqual(notices, ['the queue is not there', 'denied', 'receiving again'])
  const between = pausesMs.filter((ms) => ms !== limits.queueLookMs).slice(0, 20)
  for (const [at, ms] of between.entries()) {
    const fullMs = Math.min(limits.stageBackoffMs * 2 ** at, limits.queueBackoffMaxMs)
    assert.ok(ms >= fullMs / 2 && ms <= fullMs, `pause ${at}: ${ms} of ${fullMs}`)
  }
})

test('a queue that cannot be opened is opened again', async () => {
  const queue = new FakeQueue(hastyClock())
  let tries = 0
  const open = async () => {
    if (++tries < 3) throw new Fault('invalid', 'the environment has no variable KEY')
    return queue
  }
  const { taker, run, notices } = rig({ open })
  queue.send('one')
  await run(() => until(() => taker.taken.length === 1))
  assert.deepEqual(notices, ['the environment has no variable KEY', 'receiving again'])
})

test('when the reader is stopped, what is taken is deleted and what is not is given back at once', async () => {
  const { clock, queue, taker, reader } = rig({ hiddenSeconds: 3_600 })
  const good = queue.send('good')
  const stop = new AbortController()
  let bad = ''
  taker.before = (messages) => {
    if (messages.some(({ id }) => id === good)) {
      bad = queue.send('bad')
      return
    }
    stop.abort()
    throw new Fault('unavailable', 'no')
  }
  await reader.run(stop.signal)
  assert.deepEqual(queue.removed, [good])
  assert.ok((queue.kept.get(bad)?.visibleAtMs ?? Number.POSITIVE_INFINITY) <= clock.nowMs())
  assert.ok(queue.closed)
})
