/**
 * The segment log on a file system that fails, tears and forgets: what was acknowledged or shown to a reader stays.
 * `TIDEWATER_SEED=n` runs that history alone; `TIDEWATER_ROUNDS=n` runs so many, from a random seed on.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isFault } from '../../src/base/fault.ts'
import type { Log } from '../../src/log/log.ts'
import { openSegmentLog } from '../../src/log/segments.ts'
import { SimulatedFs } from './log-fs.ts'
import { Random } from './random.ts'

interface History {
  /** Entry texts (with offset) that were acknowledged or read: none may change or go, but by a trim. */
  known: Map<number, string>
  /** Appends ever tried, by the number in their entries: whole or not at all. */
  tried: Map<number, number[]>
  /** Sealed files as first seen. */
  sealed: Map<string, Buffer>
  trimmed: { done: number; asked: number }
  nextNumber: number
}

async function runHistory(seed: number, syncLies: boolean): Promise<void> {
  const random = new Random(seed)
  const failureChance = random.pick([0, 0, 0.03, 0.12])
  const fs = new SimulatedFs({ random, failureChance, syncLies })
  const history: History = {
    known: new Map(),
    tried: new Map(),
    sealed: new Map(),
    trimmed: { done: 0, asked: 0 },
    nextNumber: 1,
  }
  const options = { dir: '/data', name: 'numbers', fs, segmentBytesMax: random.pick([60, 200, 2_000]) }
  for (let life = 0; life < 6; life++) {
    fs.callsLeft = random.chance(0.4) ? Number.POSITIVE_INFINITY : 1 + random.below(120)
    fs.failureChance = failureChance
    try {
      const log = await openSegmentLog(options)
      await check(log, fs, history)
      for (let action = random.below(20); action > 0 && !fs.dead; action--) await act(log, fs, random, history)
      if (random.chance(0.3)) await log.close()
    } catch (error) {
      if (!isFault(error, 'unavailable')) throw error
    }
    fs.restart(random.chance(0.6))
  }
  fs.failureChance = 0
  await check(await openSegmentLog(options), fs, history)
}

async function act(log: Log, fs: SimulatedFs, random: Random, history: History): Promise<void> {
  const choice = random.next()
  if (choice < 0.6) {
    await Promise.all(Array.from({ length: 1 + random.below(4) }, () => append(log, random, history)))
  } else if (choice < 0.75) {
    const from = log.start + random.below(log.end - log.start + 1)
    for (const segment of await log.seal(from, random.below(500))) {
      const content = fs.contentOf(segment.path)
      assert.equal(content?.length, segment.bytes)
      history.sealed.set(segment.path, content!)
    }
  } else if (choice < 0.85) {
    const offset = log.start + random.below(log.end - log.start + 1)
    history.trimmed.asked = Math.max(history.trimmed.asked, offset)
    await log.trim(offset)
    history.trimmed.done = Math.max(history.trimmed.done, log.start)
  } else {
    await check(log, fs, history)
  }
}

async function append(log: Log, random: Random, history: History): Promise<void> {
  const numbers = Array.from({ length: 1 + random.below(4) }, () => history.nextNumber++)
  for (const number of numbers) history.tried.set(number, numbers)
  const pad = 'x'.repeat(random.pick([0, 0, 0, 30]))
  try {
    const first = await log.append(numbers.map((number) => `{"n":${number},"pad":"${pad}"}`))
    for (const [at, number] of numbers.entries()) {
      const text = `{"offset":${first + at},"n":${number},"pad":"${pad}"}`
      assert.ok(!history.known.has(first + at), `offset ${first + at} was given twice`)
      history.known.set(first + at, text)
    }
  } catch (error) {
    if (!isFault(error, 'unavailable')) throw error
  }
}

/** Reads everything and compares it with what must be there. */
async function check(log: Log, fs: SimulatedFs, history: History): Promise<void> {
  const { start, end } = log
  assert.ok(start >= history.trimmed.done, `start went back from ${history.trimmed.done} to ${start}`)
  assert.ok(start <= history.trimmed.asked, `start is ${start}, nobody trimmed beyond ${history.trimmed.asked}`)
  const texts: string[] = []
  while (start + texts.length < end) {
    const entries = await log.read(start + texts.length, 7)
    assert.ok(entries.length > 0, `nothing at ${start + texts.length} before the end ${end}`)
    for (const { offset, text } of entries) {
      assert.equal(offset, start + texts.length)
      texts.push(text)
    }
  }
  const numbers = texts.map((text, at) => {
    const entry = JSON.parse(text) as { offset: number; n: number }
    assert.equal(entry.offset, start + at)
    return entry.n
  })
  for (const [offset, text] of history.known) {
    if (offset >= start) assert.equal(texts[offset - start], text, `entry ${offset} is lost or changed`)
  }
  for (const [at, number] of numbers.entries()) {
    const append = history.tried.get(number)
    assert.ok(append, `entry ${number} was invented`)
    const first = at - append.indexOf(number)
    if (first >= 0) assert.deepEqual(numbers.slice(first, first + append.length), append, 'half an append')
  }
  assert.equal(new Set(numbers).size, numbers.length, 'an entry is there twice')
  for (const [at, text] of texts.entries()) history.known.set(start + at, text)
  for (const [path, content] of history.sealed) {
    const now = fs.contentOf(path)
    if (now) assert.deepEqual(now, content, `sealed ${path} changed`)
  }
}

const one = process.env['TIDEWATER_SEED']
const rounds = process.env['TIDEWATER_ROUNDS']
const count = one === undefined ? Number(rounds ?? 500) : 1
const first = one === undefined ? (rounds === undefined ? 1 : Math.floor(Math.random() * 2 ** 30)) : Number(one)

describe('segment log on a file system that fails', () => {
  it('loses nothing acknowledged or shown, invents nothing, and gives no offset twice', async () => {
    for (let seed = first; seed < first + count; seed++) {
      try {
        await runHistory(seed, false)
      } catch (error) {
        const replay = `TIDEWATER_SEED=${seed} npm test -- test/simulate/log-crash`
        throw new Error(`seed ${seed}, replay with ${replay}`, { cause: error })
      }
    }
  })

  it('is a test that can fail: syncs that do nothing are found out', async () => {
    let found = 0
    for (let seed = 0; seed < 40; seed++) await runHistory(seed, true).catch(() => found++)
    assert.ok(found > 0)
  })
})
