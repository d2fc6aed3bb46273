import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { appendChange, events, setProperty, simpleTable } from '../../../test/contract/catalog.ts'
import type { Clock } from '../../base/clock.ts'
import { Fault, isFault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { openMemoryStore } from '../../store/memory.ts'
import { storeIo } from '../file/store-io.ts'
import type { Catalog, LoadedTable } from './catalog.ts'
import { type CommitOptions, commitChange, commitIdProperty, pauseMs } from './commit.ts'
import { type MemoryCatalogOptions, openMemoryCatalog } from './memory.ts'

/** A clock whose sleeps take no time; `sleptMs` has them all. */
function quickClock(): Clock & { sleptMs: number[] } {
  const sleptMs: number[] = []
  return {
    sleptMs,
    nowMs: () => 1_700_000_000_000 + sleptMs.reduce((sum, ms) => sum + Math.ceil(ms), 0),
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      sleptMs.push(ms)
      await setImmediate()
    },
  }
}

type OnStatement = NonNullable<MemoryCatalogOptions['onStatement']>

/** A catalog with table db.events; `control.on` is asked around each statement from now on. */
async function setUp(on: OnStatement = () => undefined) {
  const warehouse = 'file:///warehouse'
  const clock = quickClock()
  const control: { on: OnStatement } = { on: () => undefined }
  const io = storeIo(openMemoryStore(), { root: warehouse, scratchDir: '/nowhere' })
  const catalog = openMemoryCatalog({ io, warehouse, clock, onStatement: (...args) => control.on(...args) })
  await catalog.createNamespace(['db'])
  await catalog.create(events, simpleTable)
  control.on = on
  return { catalog, clock, control, io, warehouse }
}

/** Options that append snapshot `id`, found again by its number. */
function append(id: bigint, clock: Clock): CommitOptions {
  const commitId = `commit-${id}`
  return { commitId, clock, plan: async ({ metadata }) => appendChange(metadata, id, { [commitIdProperty]: commitId }) }
}

function idsOf({ metadata }: LoadedTable): bigint[] {
  return metadata.snapshots.map((snapshot) => snapshot['snapshot-id'])
}

const lost = () => new Fault('commit-unknown', 'the reply was lost')
const down = () => new Fault('unavailable', 'the catalog is down')
const fault = (kind: Parameters<typeof isFault>[1]) => (error: unknown) => isFault(error, kind)

test('a commit without trouble takes one attempt and no pause', async () => {
  const { catalog, clock } = await setUp()
  const { table, outcome } = await commitChange(catalog, events, append(1n, clock))
  assert.equal(outcome, 'committed')
  assert.deepEqual(table, await catalog.load(events))
  assert.deepEqual(idsOf(table), [1n])
  assert.deepEqual(clock.sleptMs, [])
})

test('a plan that wants nothing commits nothing', async () => {
  const { catalog, clock } = await setUp()
  const before = await catalog.load(events)
  const result = await commitChange(catalog, events, { commitId: 'c', clock, plan: async () => null })
  assert.deepEqual(result, { table: before, outcome: 'nothing' })
})

test('given again after a restart, a commit is found and not planned', async () => {
  const { catalog, clock } = await setUp()
  await commitChange(catalog, events, append(1n, clock))
  await commitChange(catalog, events, append(2n, clock))
  const plan = () => assert.fail('planned again')
  const { table, outcome } = await commitChange(catalog, events, { ...append(1n, clock), plan })
  assert.equal(outcome, 'found')
  assert.deepEqual(idsOf(table), [1n, 2n])
})

test('a commit that lost the race is planned anew on what won', async () => {
  const { catalog, clock } = await setUp()
  const seen: bigint[][] = []
  const options = append(1n, clock)
  const { outcome, table } = await commitChange(catalog, events, {
    ...options,
    plan: async (now) => {
      seen.push(idsOf(now))
      const change = await options.plan(now)
      // Somebody else commits between the plan and the commit, twice.
      if (seen.length <= 2) await catalog.commit(now, appendChange(now.metadata, BigInt(100 + seen.length)))
      return change
    },
  })
  assert.equal(outcome, 'committed')
  assert.deepEqual(seen, [[], [101n], [101n, 102n]])
  assert.deepEqual(idsOf(table), [101n, 102n, 1n])
  assert.equal(clock.sleptMs.length, 2)
})

test('attempts are bounded; when others always win the fault is conflict and nothing is committed', async () => {
  const { catalog, clock } = await setUp()
  let planned = 0
  const work = commitChange(catalog, events, {
    commitId: 'c',
    clock,
    attemptsMax: 5,
    plan: async (now) => {
      await catalog.commit(now, appendChange(now.metadata, BigInt(++planned)))
      return appendChange(now.metadata, 99n, { [commitIdProperty]: 'c' })
    },
  })
  await assert.rejects(work, (error) => isFault(error, 'conflict') && /each of 5 attempts/.test(error.message))
  assert.equal(planned, 5)
  assert.deepEqual(idsOf(await catalog.load(events)), [1n, 2n, 3n, 4n, 5n])
})

test('a plan that throws stops the commit, even with fault conflict', async () => {
  const { catalog, clock } = await setUp()
  for (const thrown of [new Fault('conflict', 'begin again'), new Error('bug')]) {
    let planned = 0
    const plan = async () => {
      planned++
      throw thrown
    }
    await assert.rejects(commitChange(catalog, events, { commitId: 'c', clock, plan }), (error) => error === thrown)
    assert.equal(planned, 1)
  }
})

test('a reply lost after the swap is looked up by the catalog itself', async () => {
  const { catalog, clock } = await setUp((operation, when) => {
    if (operation === 'swap' && when === 'after') throw lost()
  })
  const { outcome, table } = await commitChange(catalog, events, append(1n, clock))
  assert.equal(outcome, 'committed')
  assert.deepEqual(idsOf(table), [1n])
})

test('a reply lost after the swap, and a catalog down for a while: the commit is found, not repeated', async () => {
  let downFor = 0
  const { catalog, clock, io, warehouse } = await setUp((operation, when) => {
    if (operation === 'swap' && when === 'after') {
      downFor = 4
      throw lost()
    }
    if (operation === 'get' && downFor-- > 0) throw down()
  })
  let planned = 0
  const options = append(1n, clock)
  const { outcome, table } = await commitChange(catalog, events, {
    ...options,
    plan: (now) => {
      planned++
      return options.plan(now)
    },
  })
  assert.equal(outcome, 'found')
  assert.equal(planned, 1)
  assert.deepEqual(idsOf(table), [1n])
  assert.ok(await io.exists(table.metadataLocation))
  const files: string[] = []
  for await (const file of io.list(warehouse)) files.push(file.location)
  assert.equal(files.length, 2)
})

test('a reply lost before the swap is planned and committed once', async () => {
  let failures = 2
  let downFor = 0
  const { catalog, clock } = await setUp((operation, when) => {
    if (operation === 'swap' && when === 'before' && failures-- > 0) {
      downFor = 1
      throw lost()
    }
    if (operation === 'get' && downFor-- > 0) throw down()
  })
  const { outcome, table } = await commitChange(catalog, events, append(1n, clock))
  assert.equal(outcome, 'committed')
  assert.deepEqual(idsOf(table), [1n])
})

test('even the last attempt is looked up when its reply is lost', async () => {
  let downFor = 0
  const { catalog, clock } = await setUp((operation, when) => {
    if (operation === 'swap' && when === 'after') {
      downFor = 1
      throw lost()
    }
    if (operation === 'get' && downFor-- > 0) throw down()
  })
  const { outcome } = await commitChange(catalog, events, { ...append(1n, clock), attemptsMax: 1 })
  assert.equal(outcome, 'found')
})

test('when looking never succeeds the fault is commit-unknown, no file is deleted, and the same id goes on later', async () => {
  let broken = true
  let swapped = false
  const { catalog, clock, io, warehouse } = await setUp((operation, when) => {
    if (!broken) return
    if (operation === 'swap' && when === 'after') {
      swapped = true
      throw lost()
    }
    if (operation === 'get' && swapped) throw down()
  })
  await assert.rejects(
    commitChange(catalog, events, append(1n, clock)),
    (error) => isFault(error, 'commit-unknown') && error.retry === 'after-check' && /commit-1/.test(error.message),
  )
  assert.equal(clock.sleptMs.length, limits.commitAttemptsMax - 1)
  const files: string[] = []
  for await (const file of io.list(warehouse)) files.push(file.location)
  assert.equal(files.length, 2)
  broken = false
  assert.equal((await commitChange(catalog, events, append(1n, clock))).outcome, 'found')
})

/** Loses the reply of the first swap, then runs `meanwhile` before anybody can look. */
async function loseSight(meanwhile: (catalog: Catalog, before: LoadedTable) => Promise<void>) {
  let stage: 'first' | 'lost' | 'done' = 'first'
  const under = await setUp()
  await commitChange(under.catalog, events, append(1n, under.clock))
  const before = await under.catalog.load(events)
  under.control.on = async (operation, when) => {
    if (operation === 'swap' && when === 'after' && stage === 'first') {
      stage = 'lost'
      throw lost()
    }
    if (operation === 'get' && when === 'before' && stage === 'lost') {
      stage = 'done'
      await meanwhile(under.catalog, before)
      throw down()
    }
  }
  return commitChange(under.catalog, events, append(2n, under.clock))
}

test('an unknown commit on a table that is gone, replaced or expired since stays unknown', async () => {
  await assert.rejects(
    loseSight((catalog) => catalog.drop(events)),
    fault('commit-unknown'),
  )
  await assert.rejects(
    loseSight(async (catalog) => {
      await catalog.drop(events)
      await catalog.create(events, simpleTable)
    }),
    fault('commit-unknown'),
  )
  await assert.rejects(
    loseSight(async (catalog) => {
      const now = await catalog.load(events)
      const next = await catalog.commit(now, appendChange(now.metadata, 3n))
      await catalog.commit(next, {
        requirements: [],
        updates: [{ action: 'remove-snapshots', 'snapshot-ids': [1n, 2n] }],
      })
    }),
    fault('commit-unknown'),
  )
})

test('an unknown commit is found beneath the commits of others', async () => {
  const { outcome, table } = await loseSight(async (catalog) => {
    const now = await catalog.load(events)
    await catalog.commit(now, appendChange(now.metadata, 3n))
  })
  assert.equal(outcome, 'found')
  assert.deepEqual(idsOf(table), [1n, 2n, 3n])
})

test('a change without a snapshot is planned again after an unknown outcome', async () => {
  let losses = 1
  let downFor = 0
  const { catalog, clock } = await setUp((operation, when) => {
    if (operation === 'swap' && when === 'after' && losses-- > 0) {
      downFor = 1
      throw lost()
    }
    if (operation === 'get' && downFor-- > 0) throw down()
  })
  const { outcome, table } = await commitChange(catalog, events, {
    commitId: 'c',
    clock,
    plan: async ({ metadata }) => (metadata.properties['a'] === 'b' ? null : setProperty('a', 'b')),
  })
  assert.equal(outcome, 'nothing')
  assert.equal(table.metadata.properties['a'], 'b')
})

test('faults that are certain pass through at once', async () => {
  const { catalog, clock, control } = await setUp()
  await assert.rejects(commitChange(catalog, { ...events, name: 'none' }, append(1n, clock)), fault('not-found'))
  control.on = (operation) => {
    if (operation === 'swap') throw down()
  }
  await assert.rejects(commitChange(catalog, events, append(1n, clock)), fault('unavailable'))
  assert.deepEqual(clock.sleptMs, [])
})

test('a signal stops between attempts: cancelled, or commit-unknown when a reply is missing', async () => {
  const stopped = await setUp()
  const first = { ...append(1n, stopped.clock), signal: AbortSignal.abort() }
  await assert.rejects(commitChange(stopped.catalog, events, first), fault('cancelled'))

  const stop = new AbortController()
  const { catalog, clock } = await setUp((operation, when) => {
    if (operation === 'swap' && when === 'after') stop.abort()
    if (stop.signal.aborted) throw operation === 'swap' ? lost() : down()
  })
  await assert.rejects(
    commitChange(catalog, events, { ...append(1n, clock), signal: stop.signal }),
    fault('commit-unknown'),
  )
})

test('pauses begin after the first attempt, grow, vary by up to half, and stay below their bound', () => {
  assert.equal(
    pauseMs(1, () => 1),
    0,
  )
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 1000 }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (attempt, random) => {
        const waitMs = pauseMs(attempt, () => random)
        const full = Math.min(limits.commitBackoffMs * 2 ** (attempt - 2), limits.commitBackoffMaxMs)
        assert.ok(waitMs >= full / 2 && waitMs <= full, `${waitMs} of ${full}`)
      },
    ),
  )
})

type Trouble = 'none' | 'wait' | 'down' | 'lost-before' | 'lost-after'

test('whatever fails: an acknowledged commit is there exactly once, a refused one never, an unknown one at most once', async () => {
  const troubles = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant<Trouble>('none') },
      { weight: 3, arbitrary: fc.constant<Trouble>('wait') },
      { weight: 2, arbitrary: fc.constantFrom<Trouble>('down', 'lost-before', 'lost-after') },
    ),
    { minLength: 1, maxLength: 60 },
  )
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      troubles,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 6 }),
      async (plan, writers, attemptsMax) => {
        let at = 0
        let downFor = 0
        const { catalog, clock, control } = await setUp()
        control.on = async (operation, when) => {
          const trouble = plan[at++ % plan.length]!
          if (trouble === 'wait') await setImmediate()
          if (when === 'before' && (trouble === 'down' || (operation === 'get' && downFor-- > 0))) throw down()
          // Only a statement that writes can leave its outcome open.
          if (operation !== 'swap') return
          if (trouble !== `lost-${when}`) return
          // Up to three reads fail after it: with none the catalog itself finds out, else the retry room has to.
          downFor = at % 4
          throw lost()
        }
        const outcomes = new Map<bigint, string>()
        const writer = async (number: number) => {
          for (let i = 1; i <= 4; i++) {
            const id = BigInt(number * 100 + i)
            try {
              const { outcome, table } = await commitChange(catalog, events, { ...append(id, clock), attemptsMax })
              assert.ok(idsOf(table).includes(id))
              outcomes.set(id, outcome)
            } catch (error) {
              if (!(error instanceof Fault)) throw error
              outcomes.set(id, error.kind)
            }
          }
        }
        await Promise.all(Array.from({ length: writers }, (_, number) => writer(number + 1)))

        control.on = () => undefined
        const table = await catalog.load(events)
        const { snapshots } = table.metadata
        assert.equal(new Set(idsOf(table)).size, snapshots.length, 'no snapshot twice')
        for (const [i, snapshot] of snapshots.entries()) {
          assert.equal(snapshot['sequence-number'], i + 1)
          assert.equal(snapshot['parent-snapshot-id'], snapshots[i - 1]?.['snapshot-id'])
        }
        for (const [id, outcome] of outcomes) {
          seen.add(outcome)
          const times = idsOf(table).filter((each) => each === id).length
          if (outcome === 'committed' || outcome === 'found') assert.equal(times, 1, `${outcome} ${id}`)
          else if (outcome !== 'commit-unknown') assert.equal(times, 0, `${outcome} ${id}`)
        }
      },
    ),
    { numRuns: 150 },
  )
  for (const outcome of ['committed', 'found', 'conflict', 'unavailable']) {
    assert.ok(seen.has(outcome), `the runs never came to ${outcome}`)
  }
})
