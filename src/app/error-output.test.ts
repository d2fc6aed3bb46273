/** Refused records as objects, through the whole engine: their names, their lines, and one line for each whatever happens between. */
import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { type EngineBench, withEngine } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'
import { DatabaseSync } from '../base/sqlite.ts'
import { replayLetters } from './replay.ts'

const events = { table: 'demo.events', columns: { id: 'LONG NOT NULL' } }
const prefix = 'failed/!{firehose:error-output-type}/!{timestamp:yyyy}/'
const streams = { events: { ...events, errorOutput: { directory: 'errors', prefix } } }

interface Line {
  attemptsMade: number
  arrivalTimestamp: number
  attemptEndingTimestamp: number
  errorCode: string
  errorMessage: string
  rawData: string
}

async function objectsIn(folder: string): Promise<Map<string, Line[]>> {
  const found = new Map<string, Line[]>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []))
    if (entry.isFile()) {
      const file = path.join(entry.parentPath, entry.name)
      const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
      found.set(
        path.relative(folder, file),
        lines.map((line) => JSON.parse(line) as Line),
      )
    }
  return found
}

async function rawIn(folder: string): Promise<string[]> {
  const lines = [...(await objectsIn(folder)).values()].flat()
  return lines.map(({ rawData }) => Buffer.from(rawData, 'base64').toString()).sort()
}

const accept = (bench: EngineBench, ...values: unknown[]) =>
  bench.engine.streams.get('events').accept(recordsOf(...values))

test('refused records are lines of objects, by their type and time, beside the table', async () => {
  await withEngine({ streams }, async (bench) => {
    const before = Date.now()
    await accept(bench, { id: 1 }, 'no json', { id: 'x' }, 'none either')
    await bench.engine.drain()
    const objects = await objectsIn(path.join(bench.dir, 'errors'))
    const year = new Date().getUTCFullYear()
    assert.deepEqual([...objects.keys()].map((key) => key.replace(/events-1-.*/, '')).sort(), [
      `failed/iceberg-failed/${year}/`,
      `failed/processing-failed/${year}/`,
    ])
    assert.deepEqual(await rawIn(path.join(bench.dir, 'errors')), ['no json', 'none either', '{"id":"x"}'])
    const line = [...objects.values()].flat().find(({ errorCode }) => errorCode === 'WrongType')
    assert.ok(line !== undefined)
    assert.equal(line.attemptsMade, 1)
    assert.match(line.errorMessage, /id/)
    assert.ok(line.arrivalTimestamp >= before && line.attemptEndingTimestamp >= line.arrivalTimestamp)
    assert.deepEqual(
      await bench.sql(
        'SELECT count(*)::INTEGER AS n, min(attempt) AS attempt, bool_and(received_at <= first_failed_at AND first_failed_at = last_failed_at) AS times FROM tidewater.dead_letters',
      ),
      [{ n: 3, attempt: 1, times: true }],
    )
  })
})

test('a record has one line when it fails again, when its failure is told again, and after a kill at any moment', async () => {
  await withEngine({ streams }, async (bench) => {
    const errors = path.join(bench.dir, 'errors')
    // A folder that cannot be written: the plan is made, and no object.
    await writeFile(errors, '')
    const sent = { idempotencyKey: 'k' }
    await bench.engine.streams.get('events').accept(recordsOf('a', 'b'), sent)
    await assert.rejects(bench.engine.drain(), /expected a folder/)
    await rm(errors)
    await bench.restart()
    await accept(bench, 'c')
    await bench.engine.drain()
    assert.deepEqual(await rawIn(errors), ['a', 'b', 'c'])
    const [letter] = [...(await objectsIn(errors)).keys()]
    // The same stretch again, as after a kill before its end was written down.
    await bench.stop()
    const db = new DatabaseSync(path.join(bench.dir, 'home', 'state', 'error-output.db'))
    assert.equal(db.prepare('SELECT count(*) AS n FROM lines').get()?.['n'], 3)
    db.close()
    await bench.restart()
    assert.deepEqual(await replayLetters(bench.engine, {}), { replayed: 0, failed: 3, cut: 0 })
    assert.deepEqual(await rawIn(errors), ['a', 'b', 'c'])
    assert.ok(letter !== undefined && (await objectsIn(errors)).has(letter))
    assert.deepEqual(
      await bench.sql(
        'SELECT min(attempt) AS attempt, bool_and(last_failed_at > first_failed_at) AS later FROM tidewater.dead_letters',
      ),
      [{ attempt: 2, later: true }],
    )
  })
})

test('a stream made through the API writes in the state folder only', async () => {
  await withEngine({}, async (bench) => {
    const { streams: made } = bench.engine
    await assert.rejects(
      made.create('events', { ...events, errorOutput: { directory: '../elsewhere' } }),
      /only the configuration may name a folder/,
    )
    await made.create('events', { ...events, errorOutputPrefix: 'bad/' })
    await accept(bench, 'no json')
    await bench.engine.drain()
    assert.deepEqual(await rawIn(path.join(bench.dir, 'home', 'error-output', 'stream-events')), ['no json'])
  })
})

test('an expression that is none is told when the stream is made', async () => {
  await withEngine({}, async (bench) => {
    await assert.rejects(
      bench.engine.streams.create('events', { ...events, errorOutput: { prefix: '!{timestamp:quux}' } }),
      /errorOutput\.prefix: .*expected yyyy/,
    )
  })
})
