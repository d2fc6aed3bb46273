/**
 * The store in a folder through kills and power failures: what was acknowledged is there, whole; what was not is there whole or not
 * at all. `TIDEWATER_SEED=n` runs that history alone; `TIDEWATER_ROUNDS=n` runs so many, from a random seed on.
 */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isFault } from '../../src/base/fault.ts'
import { openFileStore } from '../../src/store/file.ts'
import type { Store } from '../../src/store/store.ts'
import { PowerLossFs } from './power-loss-fs.ts'
import { Random } from './random.ts'

const one = process.env['TIDEWATER_SEED']
const rounds = process.env['TIDEWATER_ROUNDS']
const count = one === undefined ? Number(rounds ?? 200) : 1
const first = one === undefined ? (rounds === undefined ? 1 : Math.floor(Math.random() * 2 ** 30)) : Number(one)

const KEYS = ['a', 'b', 'deep/a', 'deep/er/a', 'deep/er/b', 'other/a']

/** What a key holds, and all that it may hold when the power fails: what was not acknowledged may be seen and go again. */
type Known = Map<string, { seen: string | null; may: readonly (string | null)[] }>

async function runHistory(seed: number, lies: 'none' | 'files' | 'folders' = 'none'): Promise<void> {
  const random = new Random(seed)
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'tidewater-store-')))
  try {
    const root = join(dir, 'root')
    await mkdir(root)
    const fs = new PowerLossFs(root, random, lies)
    const pruneEmpty = random.chance(0.5)
    const known: Known = new Map(KEYS.map((key) => [key, { seen: null, may: [null] }]))
    for (let life = 0; life < 5; life++) {
      fs.callsLeft = random.chance(0.3) ? Number.POSITIVE_INFINITY : 1 + random.below(60)
      const store = await openFileStore({ root, fs, pruneEmpty })
      for (let calls = 1 + random.below(12); calls > 0 && !fs.dead; calls--) await call(store, known, random, dir)
      const powerFailed = random.chance(0.7)
      await fs.restart(powerFailed)
      await check(await openFileStore({ root, fs, pruneEmpty }), known, powerFailed)
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function call(store: Store, known: Known, random: Random, dir: string): Promise<void> {
  const key = random.pick(KEYS)
  const text = `${random.below(1e9)} `.repeat(1 + random.below(40))
  const before = known.get(key)!
  const choice = random.below(5)
  // A copy of what is not there changes nothing.
  const from = random.pick(KEYS)
  const copied = known.get(from)!.seen
  if (choice === 3 && (copied === null || from === key)) return
  const after = choice === 4 ? null : choice === 3 ? copied : text
  try {
    switch (choice) {
      case 0:
        await store.put(key, Buffer.from(text))
        break
      case 1: {
        const local = join(dir, `local-${random.below(1e9)}`)
        await writeFile(local, text)
        await store.putFile(key, local)
        break
      }
      case 2:
        assert.equal(await store.putIfAbsent(key, Buffer.from(text)), before.seen === null)
        if (before.seen !== null) return
        break
      case 3:
        await store.copy(from, key)
        break
      default:
        await store.delete([key])
    }
    known.set(key, { seen: after, may: [after] })
  } catch (error) {
    if (!isFault(error, 'unavailable')) throw error
    known.set(key, { ...before, may: [...before.may, after] })
  }
}

async function check(store: Store, known: Known, powerFailed: boolean): Promise<void> {
  const listed: string[] = []
  for await (const { key } of store.list()) listed.push(key)
  for (const [key, { may }] of known) {
    const there = await store.head(key)
    const text = there === null ? null : Buffer.from(await store.get(key)).toString()
    assert.ok(may.includes(text), `${key}: expected one of ${JSON.stringify(may)}, got ${JSON.stringify(text)}`)
    assert.equal(listed.includes(key), text !== null)
    known.set(key, { seen: text, may: powerFailed ? [text] : may })
  }
  assert.ok(listed.every((key) => known.has(key)))
}

describe('the store in a folder, through kills and power failures', () => {
  it('loses nothing acknowledged, and shows nothing in part', async () => {
    for (let seed = first; seed < first + count; seed++) {
      try {
        await runHistory(seed)
      } catch (error) {
        const replay = `TIDEWATER_SEED=${seed} npm test -- test/simulate/store-crash`
        throw new Error(`seed ${seed}, replay with ${replay}`, { cause: error })
      }
    }
  })

  for (const lies of ['files', 'folders'] as const) {
    it(`is a test that can fail: syncs of ${lies} that do nothing are found out`, async () => {
      let found = 0
      for (let seed = 1; seed <= 40; seed++) await runHistory(seed, lies).catch(() => found++)
      assert.ok(found > 0)
    })
  }
})
