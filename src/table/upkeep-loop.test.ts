import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openTableBench, type TableBench } from '../../test/support/table-bench.ts'
import { Fault } from '../base/fault.ts'
import type { Schema } from '../iceberg/spec/table-metadata.ts'
import { TableFeed } from './feed.ts'
import type { FeedEvent } from './table.ts'
import { UpkeepLoop } from './upkeep-loop.ts'

const schema: Schema = {
  type: 'struct',
  'schema-id': 0,
  fields: [{ id: 1, name: 'k', required: true, type: 'string' }],
}
const ident = { namespace: ['default'], name: 't' }

async function inBench(
  work: (parts: { bench: TableBench; loop: UpkeepLoop; events: FeedEvent[] }) => Promise<void>,
): Promise<void> {
  const bench = await openTableBench()
  const events: FeedEvent[] = []
  const loop = await UpkeepLoop.open({
    duck: bench.duck,
    clock: bench.clock,
    onEvent: (event) => events.push(event),
  })
  try {
    await work({ bench, loop, events })
  } finally {
    await loop.close()
    await bench.close()
  }
}

async function openFeed(bench: TableBench, events: FeedEvent[], upkeep: () => void) {
  const writer = await bench.openWriter({ ident, schema, key: ['k'], mode: 'upsert' })
  const onPoison = () => Promise.reject(new Error('no entry is wrong'))
  const feed = await TableFeed.open({
    writer,
    log: bench.log,
    clock: bench.clock,
    onEvent: (event) => events.push(event),
    onPoison,
    upkeep,
    lingerMs: 1,
  })
  return { writer, feed }
}

describe('upkeep beside the commits', () => {
  test('commits neither wait for upkeep that fails nor fail with it', () =>
    inBench(async ({ bench, loop, events }) => {
      const failing = loop.addTurns('default.t', () =>
        Promise.reject(new Fault('corrupt', 'a file of an old snapshot is damaged')),
      )
      const { writer, feed } = await openFeed(bench, events, () => failing.due())
      feed.start()
      for (let n = 0; n < 6; n++) {
        await bench.append([{ op: 'upsert', row: { k: `k${n}` } }])
        while (feed.position < bench.log.end) await bench.clock.sleep(2)
      }
      await feed.stop()
      await bench.append([{ op: 'upsert', row: { k: 'last' } }])
      await feed.drain()
      await loop.rest()
      const kinds = events.map((event) => event.kind)
      assert.ok(!kinds.includes('stalled'), kinds.join(' '))
      assert.ok(kinds.includes('upkeep-failed'), kinds.join(' '))
      // Its pauses grow: it does not come with every commit.
      const failures = events.filter((event) => event.kind === 'upkeep-failed')
      assert.deepEqual(
        failures.map((event) => event.retryInMs),
        failures.map((_, at) => 1000 * 2 ** at),
      )
      await writer.close()
    }))

  test('a commit is visible while a turn of upkeep goes on', () =>
    inBench(async ({ bench, loop, events }) => {
      const gate = Promise.withResolvers<void>()
      const slow = loop.addTurns('default.t', async () => {
        await gate.promise
        return []
      })
      slow.due()
      const { writer, feed } = await openFeed(bench, events, () => slow.due())
      await bench.append([{ op: 'upsert', row: { k: 'a' } }])
      await feed.drain()
      assert.equal((await bench.rows(await writer.load())).length, 1)
      gate.resolve()
      await writer.close()
    }))

  test('turns of several tables never overlap, each that is due has one, and one that did something has another', () =>
    inBench(async ({ loop, events }) => {
      let running = 0
      const turns: string[] = []
      const left = new Map([
        ['a', 2],
        ['b', 0],
        ['c', 1],
      ])
      const handles = [...left.keys()].map((name) =>
        loop.addTurns(name, async () => {
          assert.equal(running++, 0, 'one at a time')
          await new Promise((later) => setTimeout(later, 5))
          running--
          turns.push(name)
          const more = left.get(name)!
          left.set(name, more - 1)
          return more > 0 ? ['something'] : []
        }),
      )
      for (const handle of handles) handle.due()
      await loop.rest()
      assert.deepEqual(turns.toSorted(), ['a', 'a', 'a', 'b', 'c', 'c'])
      assert.equal(events.filter((event) => event.kind === 'upkeep').length, 3)
    }))

  test('a table that changes during its turn has another', () =>
    inBench(async ({ loop }) => {
      let turns = 0
      const handle = loop.addTurns('a', async () => {
        if (turns++ === 0) handle.due()
        return []
      })
      handle.due()
      await loop.rest()
      assert.equal(turns, 2)
    }))

  test('a table whose upkeep always fails does not hinder that of the others', () =>
    inBench(async ({ loop }) => {
      let turns = 0
      const bad = loop.addTurns('bad', () => Promise.reject(new Error('a belief was wrong')))
      const good = loop.addTurns('good', async () => {
        turns++
        return []
      })
      for (const handle of [bad, good, bad]) handle.due()
      await loop.rest()
      assert.equal(turns, 1)
    }))

  test('closing gives up a statement under way instead of waiting for it', () =>
    inBench(async ({ bench, loop, events }) => {
      const writer = await bench.openWriter({ ident, schema, key: [], mode: 'append' })
      const begun = Promise.withResolvers<void>()
      const kept = new Proxy(writer, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name)
          if (name === 'load')
            return () => {
              begun.resolve()
              return target.load()
            }
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
      const handle = loop.add(kept)
      handle.due()
      await begun.promise
      await handle.remove()
      assert.deepEqual(
        events.filter((event) => event.kind === 'upkeep-failed'),
        [],
      )
      await writer.close()
    }))
})
