/** Losses of what streams keep: the doctor finds them, `--repair` mends them, and every record is there once. */
import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { EngineBench } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'
import { DatabaseSync } from '../base/sqlite.ts'
import { FileLedger } from '../service/streams/sources/file-ledger.ts'
import { parseConfig } from './config.ts'
import { examine } from './doctor.ts'
import { homeAt } from './home.ts'
import { repair } from './repair.ts'

const streams = {
  mixed: {
    table: 'demo.other',
    columns: { id: 'LONG NOT NULL', part: 'STRING' },
    uniqueKeys: ['id'],
    route: { table: '{$.part}' },
  },
  plain: { table: 'demo.plain', columns: { id: 'LONG NOT NULL' } },
}
const input = { streams, objects: { workers: 1 } }
const producer = (sequence: number) => ({ producer: { id: 'p', epoch: 0, sequence } })

/** A home with committed records 0..9 in each stream, and 10..19 that wait; the engine is stopped. */
async function withHome(work: (bench: EngineBench, tools: Tools) => Promise<void>): Promise<void> {
  const bench = await EngineBench.open({ streams })
  const home = homeAt(path.join(bench.dir, 'home'))
  const config = parseConfig(input, 'test')
  try {
    for (const from of [0, 10]) {
      const values = Array.from({ length: 10 }, (_, at) => ({ id: from + at, part: `p${at % 2}` }))
      await bench.engine.streams.get('mixed').accept(recordsOf(...values), producer(from))
      await bench.engine.streams.get('plain').accept(recordsOf(...values.map(({ id }) => ({ id }))), producer(from))
      if (from === 0) await bench.engine.drain()
    }
    await bench.stop()
    const text = (findings: Awaited<ReturnType<typeof examine>>, level: string) =>
      findings.filter((finding) => finding.level === level).map(({ subject, message }) => `${subject}: ${message}`)
    await work(bench, {
      problems: async () => text(await examine(home, config), 'problem'),
      notes: async () => text(await examine(home, config), 'note'),
      repair: async () => text(await repair(home, config, bench.dir), 'mended'),
      logDir: (stream) => path.join(home.logsDir, `stream-${stream}`),
      homeDir: home.dir,
    })
  } finally {
    await bench.close()
  }
}

interface Tools {
  problems: () => Promise<string[]>
  notes: () => Promise<string[]>
  repair: () => Promise<string[]>
  logDir: (stream: string) => string
  homeDir: string
}

const upTo = (count: number) => Array.from({ length: count }, (_, at) => at)

async function idsOf(bench: EngineBench, from: string): Promise<number[]> {
  return (await bench.sql(`SELECT id FROM ${from} ORDER BY id`)).map((row) => Number(row['id']))
}

test('a doctor that finds nothing wrong says what waits', async () => {
  await withHome(async (_bench, { problems, notes }) => {
    assert.deepEqual(await problems(), [])
    const told = (await notes()).join('\n')
    assert.match(told, /log stream-mixed: 10 entries wait/)
    assert.match(told, /log stream-plain: 10 entries wait/)
  })
})

test('a damaged log is set aside, what its tables lack goes into a new one, and nothing lands twice', async () => {
  await withHome(async (bench, { problems, repair: mend, logDir }) => {
    for (const stream of ['mixed', 'plain']) {
      const names = (await readdir(logDir(stream))).filter((name) => name.endsWith('.ndjson')).sort()
      for (const name of names) {
        const bytes = await readFile(path.join(logDir(stream), name), 'utf8')
        if (!bytes.includes('"id":17')) continue
        await writeFile(path.join(logDir(stream), name), bytes.replace('"id":17', '"id":99'))
      }
    }
    assert.match((await problems()).join('\n'), /log stream-mixed: .*sets it aside/)
    assert.match((await mend()).join('\n'), /log stream-plain: .*set aside/)
    assert.deepEqual(await problems(), [])
    await bench.restart()
    await bench.engine.drain()
    const plain = await idsOf(bench, 'demo.plain')
    assert.deepEqual(plain.slice(0, 10), upTo(10))
    assert.equal(new Set(plain).size, plain.length, 'none twice')
    assert.ok(!plain.includes(99), 'what is damaged is not taken for true')
  })
})

test('logs that were lost go on behind what the tables hold', async () => {
  await withHome(async (bench, { problems, repair: mend, logDir }) => {
    for (const stream of ['mixed', 'plain']) await rm(logDir(stream), { recursive: true })
    assert.match((await problems()).join('\n'), /log stream-plain: is not there, but demo.plain holds it up to 10/)
    const told = await mend()
    assert.match(told.join('\n'), /log stream-mixed: ended at offset 0; it goes on at \d+/)
    await bench.restart()
    const { results } = await bench.engine.streams.get('plain').accept(recordsOf({ id: 50 }), { idempotencyKey: 'k' })
    assert.deepEqual(results, [{ kind: 'accepted', offset: 10 }])
    await bench.engine.drain()
    assert.deepEqual(await idsOf(bench, 'demo.plain'), [...upTo(10), 50])
  })
})

test('streams.db that cannot be read is set aside, and what waits finds its tables', async () => {
  await withHome(async (bench, { problems, repair: mend, homeDir }) => {
    await writeFile(
      path.join(homeDir, 'state', 'streams.db'),
      'no database, and long enough to be read as one'.repeat(200),
    )
    await rm(path.join(homeDir, 'state', 'streams.db-wal'), { force: true })
    assert.match((await problems()).join('\n'), /streams: .*sets it aside/)
    assert.match((await mend()).join('\n'), /streams: .*It was set aside/)
    await bench.restart()
    await bench.engine.drain()
    assert.deepEqual(await idsOf(bench, '(SELECT id FROM demo.p0 UNION ALL SELECT id FROM demo.p1)'), upTo(20))
    assert.deepEqual(await idsOf(bench, 'demo.plain'), upTo(20))
  })
})

test('a row index that is damaged is built anew', async () => {
  await withHome(async (bench, { problems, repair: mend, homeDir }) => {
    const dir = path.join(homeDir, 'index')
    const files = (await readdir(dir)).filter((name) => /^stream-mixed-.*\.duckdb$/.test(name))
    assert.ok(files.length >= 2)
    for (const file of files) await writeFile(path.join(dir, file), 'no index')
    assert.match((await problems()).join('\n'), /index stream-mixed-.*builds it anew/)
    assert.match((await mend()).join('\n'), /index stream-mixed-.*it is built anew/)
    assert.deepEqual(await problems(), [])
    await bench.restart()
    await bench.engine.streams.get('mixed').accept(recordsOf({ id: 0, part: 'p0' }))
    await bench.engine.drain()
    assert.deepEqual(await idsOf(bench, '(SELECT id FROM demo.p0 UNION ALL SELECT id FROM demo.p1)'), upTo(20))
  })
})

test('what is remembered of error output and dropped files is looked at, set aside when it cannot be read, and taken back to the log', async () => {
  await withHome(async (bench, { problems, repair, homeDir }) => {
    const errors = { ...streams.plain, errorOutput: { directory: 'errors', prefix: 'e/' } }
    const all = { streams: { ...streams, plain: errors } }
    const letters = async (...values: string[]) => {
      await bench.restart(all)
      await bench.engine.streams.get('plain').accept(recordsOf(...values))
      await bench.engine.drain()
      await bench.stop()
    }
    await letters('a', 'b')
    const statePath = (name: string) => path.join(homeDir, 'state', name)
    new FileLedger(statePath('files.db')).close()
    assert.deepEqual(await problems(), [])
    // A position of before the log was lost.
    const database = new DatabaseSync(statePath('error-output.db'))
    database.exec('UPDATE state SET position = 1000, planned = 1000')
    database.close()
    assert.match((await problems()).join(), /^error output: .*up to offset 1000, but the log of dead letters ends at 2/)
    assert.match((await repair()).join(), /error output: .*knew letters up to offset 1000; now up to 2/)
    assert.deepEqual(await problems(), [])
    await letters('c')
    const lines = async () => {
      const names = await readdir(path.join(bench.dir, 'errors', 'e', 'processing-failed'))
      return (
        await Promise.all(
          names.map((name) => readFile(path.join(bench.dir, 'errors/e/processing-failed', name), 'utf8')),
        )
      )
        .join('')
        .trim()
        .split('\n').length
    }
    assert.equal(await lines(), 3)
    for (const name of ['error-output.db', 'files.db']) await writeFile(statePath(name), 'no database'.repeat(1000))
    const told = await problems()
    assert.deepEqual(told.map((problem) => problem.split(':')[0]).sort(), ['dropped files', 'error output'])
    assert.match((await repair()).join('\n'), /error output: .*set aside as .*error-output\.db\.damaged-/)
    assert.ok((await readdir(path.join(homeDir, 'state'))).some((name) => name.startsWith('files.db.damaged-')))
    assert.deepEqual(await problems(), [])
    await letters('d')
    assert.equal(await lines(), 4)
  })
})
