import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { DatabaseSync } from '../../base/sqlite.ts'
import { rowChangeText, tableChangeText } from '../../change/table-change.ts'
import type { Log } from '../../log/log.ts'
import { openMemoryLog } from '../../log/memory.ts'
import { MemoryFile } from './memory.ts'
import { numberRecords } from './numbering.ts'
import { Repetitions } from './repetitions.ts'

const HOUR_MS = 3_600_000

async function withFile(work: (at: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-memory-'))
  try {
    await work(path.join(dir, 'streams.db'))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const request = (key: string, letters: [number, string, string, string][] = []) => ({
  key,
  digest: 'ab'.repeat(32),
  atMs: 0,
  count: 2,
  letters,
})

/** What a stream does: appends, then tells. */
async function take(log: Log, memory: Repetitions, what: { producer: [string, number, number] } | { key: string }) {
  if ('producer' in what) {
    const known = memory.producer(what.producer[0])
    const offset = await log.append([rowChangeText({ input: 0, op: 'none', producer: what.producer }, '{}')])
    memory.sawProducer(offset, what.producer, known)
    return
  }
  const row = rowChangeText({ to: 'a.b', input: 0, op: 'upsert' }, '{}')
  const told = request(what.key)
  const offset = await log.append([row, row, tableChangeText({ input: 0, op: 'none', row: {}, request: told })])
  memory.sawRequest(offset + 2, told)
}

test('whatever was written down, forgotten by the log, or lost with the process, what was taken is known', async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('producer' as const), id: fc.nat(3), epoch: fc.nat(2) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('request' as const), key: fc.nat(20) }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('keep' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  )
  await withFile(async (at) => {
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const stream = `s${run++}`
        const log = openMemoryLog({ name: `stream-${stream}` })
        let file = new MemoryFile(at)
        let memory = await Repetitions.open(file, stream, log)
        const producers = new Map<string, { epoch: number; sequence: number }>()
        const requests = new Map<string, number>()
        for (const [index, now] of steps.entries()) {
          switch (now.kind) {
            case 'producer': {
              const id = `p${now.id}`
              const known = producers.get(id)
              if (known !== undefined && now.epoch < known.epoch) break
              const sequence = known?.epoch === now.epoch ? known.sequence + 1 : 0
              await take(log, memory, { producer: [id, now.epoch, sequence] })
              producers.set(id, { epoch: now.epoch, sequence })
              break
            }
            case 'request': {
              const key = `k${now.key}`
              if (requests.has(key)) break
              requests.set(key, log.end)
              await take(log, memory, { key })
              break
            }
            case 'keep': {
              const end = log.start + Math.floor((log.end - log.start) * now.share)
              await memory.keep(end, index * 1000)
              await log.seal(log.start, Number.MAX_SAFE_INTEGER)
              await log.trim(end)
              break
            }
            case 'flush':
              await memory.flush()
              break
            case 'restart':
              // As a kill leaves it: what was not written is gone.
              file.close()
              file = new MemoryFile(at)
              memory = await Repetitions.open(file, stream, log)
              break
          }
          for (const [id, { epoch, sequence }] of producers) {
            const state = memory.producer(id)
            assert.deepEqual([state?.epoch, state?.sequence], [epoch, sequence])
          }
          for (const [key, first] of requests) assert.equal(memory.request(key)?.first, first)
        }
        file.close()
        await log.close()
      }),
      { numRuns: 40 },
    )
  })
})

test('a file that cannot be written delays nothing that is durable, and forgets nothing', async () => {
  await withFile(async (at) => {
    const log = openMemoryLog({ name: 'stream-s' })
    const file = new MemoryFile(at)
    const memory = await Repetitions.open(file, 's', log)
    // Another program holds the file's only place to write.
    const other = new DatabaseSync(at)
    file.exec('PRAGMA busy_timeout = 0')
    other.exec('BEGIN IMMEDIATE')
    await take(log, memory, { producer: ['p', 0, 0] })
    await take(log, memory, { key: 'k' })
    await assert.rejects(
      memory.keep(log.end, 0),
      (error) => isFault(error, 'unavailable') || /locked/.test(String(error)),
    )
    assert.equal(memory.producer('p')?.sequence, 0)
    assert.equal(memory.request('k')?.first, 1)
    memory.requireRoom(1)
    other.exec('ROLLBACK')
    other.close()
    await memory.keep(log.end, 0)
    file.close()
    const again = new MemoryFile(at)
    await log.seal(0, Number.MAX_SAFE_INTEGER)
    await log.trim(log.end)
    const after = await Repetitions.open(again, 's', log)
    assert.deepEqual([after.producer('p')?.sequence, after.request('k')?.first], [0, 1])
    again.close()
  })
})

test('a request is known for a day of running, whatever the clock says meanwhile', async () => {
  await withFile(async (at) => {
    const log = openMemoryLog({ name: 'stream-s' })
    const file = new MemoryFile(at)
    const memory = await Repetitions.open(file, 's', log)
    let nowMs = 1_000
    const advance = (ms: number) => {
      nowMs += ms
      return nowMs
    }
    await take(log, memory, { key: 'k' })
    await memory.keep(log.end, nowMs)
    // The clock is set a year ahead and back.
    for (const stepMs of [365 * 24 * HOUR_MS, -365 * 24 * HOUR_MS]) await memory.keep(log.end, advance(stepMs))
    for (let hours = 0; hours < 22; hours++) await memory.keep(log.end, advance(HOUR_MS))
    assert.ok(memory.request('k') !== null, 'after 22 hours and the steps')
    for (let hours = 0; hours < 3; hours++) await memory.keep(log.end, advance(HOUR_MS))
    assert.equal(memory.request('k'), null, 'after more than a day')
    file.close()
  })
})

test('a producer that was taken over is never forgotten within a week, however many others come', async () => {
  await withFile(async (at) => {
    const log = openMemoryLog({ name: 'stream-s' })
    const file = new MemoryFile(at)
    const memory = await Repetitions.open(file, 's', log)
    await take(log, memory, { producer: ['p', 3, 0] })
    for (let hours = 0; hours < 6 * 24; hours++) await memory.keep(log.end, hours * HOUR_MS)
    assert.equal(memory.producer('p')?.epoch, 3)
    assert.throws(
      () => memory.requireRoom(limits.streamProducersKept),
      (error) => isFault(error, 'limit'),
    )
    const { told } = numberRecords([{ id: 'p', epoch: 2, sequence: 0 }], (name) => memory.producer(name))
    assert.equal(told[0]?.kind === 'refused' && told[0].code, 'ProducerFenced')
    file.close()
  })
})

test('the answer to a repeated request names its dead letters and what was left out', async () => {
  await withFile(async (at) => {
    const log = openMemoryLog({ name: 'stream-s' })
    const file = new MemoryFile(at)
    const memory = await Repetitions.open(file, 's', log)
    const told = { ...request('one k', [[0, 'letter', 'InvalidJson', 'bad']]), count: 4, dropped: [2] }
    memory.sawRequest(7, told)
    await memory.flush()
    const { first, letters, dropped, count } = memory.request('one k') ?? {}
    assert.deepEqual({ first, letters, dropped, count }, { first: 5, letters: told.letters, dropped: [2], count: 4 })
    assert.equal(memory.request('two k'), null, 'another owner has keys of its own')
    await memory.forgetAll(8)
    const again = await Repetitions.open(file, 's', log)
    assert.equal(again.request('one k'), null)
    file.close()
  })
})

test('a file that somebody holds locked is a fault that passes, when opened and when written', async () => {
  await withFile(async (at) => {
    const file = new MemoryFile(at)
    const log = openMemoryLog({ name: 's' })
    const memory = await Repetitions.open(file, 's', log)
    const other = new DatabaseSync(at)
    other.exec('BEGIN IMMEDIATE')
    const locked = (error: unknown) => isFault(error, 'unavailable') && /locked/.test(error.message)
    await Promise.all([
      assert.rejects(memory.keep(0, 0), locked),
      assert.rejects(Repetitions.open(file, 'another', log), locked),
      assert.rejects(
        file.note('s', () => ({ paused: true })),
        locked,
      ),
    ])
    other.exec('ROLLBACK')
    await memory.keep(0, 0)
    await Repetitions.open(file, 'another', log)
    other.close()
    file.close()
  })
})

test('while somebody holds the file, others have their turn, and what was asked for is done when it is free', async () => {
  await withFile(async (at) => {
    const file = new MemoryFile(at)
    const log = openMemoryLog({ name: 's' })
    const memory = await Repetitions.open(file, 's', log)
    memory.sawProducer(0, ['p', 0, 0], null)
    memory.sawReplayed(['a', 'b'])
    const other = new DatabaseSync(at)
    other.exec('BEGIN IMMEDIATE')
    const under = Promise.all([memory.flush(), memory.settle(['a']), file.note('s', () => ({ paused: true }))])
    // Were anybody to wait for the lock without letting go, this would never come in time.
    setTimeout(() => other.exec('ROLLBACK'), 100)
    await under
    assert.equal(file.notes('s').paused, true)
    await memory.keep(1, 0)
    other.close()
    file.close()
    const again = new MemoryFile(at)
    const reopened = await Repetitions.open(again, 's', log)
    assert.equal(reopened.producer('p')?.sequence, 0)
    assert.deepEqual(
      ['a', 'b'].map((letter) => reopened.replayed(letter)),
      [false, true],
    )
    again.close()
  })
})
