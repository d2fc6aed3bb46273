/** Each kind of loss: the start refuses with what to do, the doctor finds it, `--repair` mends it, and the tables are as before. */
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { isFault } from '../base/fault.ts'
import { stringifyJson } from '../base/json.ts'
import { DatabaseSync } from '../base/sqlite.ts'
import { Duck } from '../duck/duck.ts'
import { readNotification } from '../source/source.ts'
import { parseConfig } from './config.ts'
import { examine, type Finding } from './doctor.ts'
import { type Engine, openEngine } from './engine.ts'
import { type Home, homeAt } from './home.ts'
import { ingestDirectory, ingestEvents } from './ingest.ts'
import { repair } from './repair.ts'
import { openSql } from './sql.ts'

const config = parseConfig({ objects: { workers: 1 }, limits: { memoryMiB: 256, threads: 1 } }, 'test')

/** Versions, markers, their removal, tags that come and go, an event told twice: everything that order is decided by. */
const NOTIFICATIONS = [
  record('ObjectCreated:Put', 'cat.jpg', 'v1', 1, { size: 10, eTag: 'e1' }),
  record('ObjectCreated:Put', 'cat.jpg', 'v2', 2, { size: 11, eTag: 'e2' }),
  record('ObjectRemoved:DeleteMarkerCreated', 'cat.jpg', 'm1', 3),
  record('ObjectRemoved:Delete', 'cat.jpg', 'v1', 4),
  record('ObjectCreated:CompleteMultipartUpload', 'dog ü.jpg', undefined, 5, { size: 6e9, eTag: 'e5-3' }),
  record('ObjectTagging:Put', 'dog ü.jpg', undefined, 6),
  record('ObjectTagging:Delete', 'dog ü.jpg', undefined, 7),
  record('LifecycleTransition', 'dog ü.jpg', undefined, 8),
  record('ObjectCreated:Put', 'gone.jpg', undefined, 9, { size: 1, eTag: 'e9' }),
  record('ObjectRemoved:Delete', 'gone.jpg', undefined, 10),
]

function record(
  eventName: string,
  key: string,
  versionId: string | undefined,
  at: number,
  object: object = {},
): string {
  const time = new Date(Date.UTC(2024, 4, 1, 10, 0, at)).toISOString()
  const s3 = {
    bucket: { name: 'recorded' },
    object: {
      key: encodeURIComponent(key),
      versionId,
      sequencer: `0066321A${at.toString(16).padStart(8, '0')}`,
      ...object,
    },
  }
  return JSON.stringify({ Records: [{ eventVersion: '2.1', eventSource: 'aws:s3', eventTime: time, eventName, s3 }] })
}

const open = (home: Home) => openEngine({ home, config, configDir: home.dir })

async function withEngine<T>(home: Home, work: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await open(home)
  try {
    return await work(engine)
  } finally {
    await engine.close()
  }
}

/** A data file of the journal, by its path below the namespace. */
const isJournalFile = (name: string) => /^mdblogs3metadata.*data.*(?<!deletes)\.parquet$/.test(name)

const take = (engine: Engine, lines: readonly string[]) =>
  ingestEvents(engine, { input: Readable.from([Buffer.from(lines.join('\n'))]), name: 'test' })

/** All rows of the three tables and of the view that joins them, as text. */
async function linesOf(engine: Engine): Promise<string[]> {
  const session = await openSql(engine)
  const lines: string[] = []
  for (const table of [
    'default.s3_content_metadata',
    'aws_s3_metadata.mdblogs3metadata',
    'aws_s3_metadata.inventory',
    's3_metadata_coalesced',
  ]) {
    const { rows } = await session.run(`SELECT * FROM ${table}`)
    lines.push(...rows.map((row) => stringifyJson([table, ...row])))
  }
  await session.close()
  return lines.sort()
}

const tablesOf = (home: Home) => withEngine(home, linesOf)

const problems = (findings: readonly Finding[]) =>
  findings.filter(({ level }) => level === 'problem').map(({ subject, message }) => `${subject}: ${message}`)

describe('repair', () => {
  let dir: string
  let bucket: string
  let whole: Home
  let expected: string[]
  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'tidewater-repair-'))
    bucket = path.join(dir, 'files')
    await mkdir(bucket)
    for (let at = 0; at < 12; at++) await writeFile(path.join(bucket, `f${at}.txt`), `file ${at}`)
    whole = homeAt(path.join(dir, 'whole'))
    await withEngine(whole, async (engine) => {
      await take(engine, NOTIFICATIONS)
      await ingestDirectory(engine, { root: bucket, bucket: 'files' })
      await rm(path.join(bucket, 'f3.txt'))
      await writeFile(path.join(bucket, 'f4.txt'), 'another text')
      await ingestDirectory(engine, { root: bucket, bucket: 'files' })
    })
    expected = await tablesOf(whole)
    assert.deepEqual(problems(await examine(whole, config)), [])
  })
  after(() => rm(dir, { recursive: true, force: true }))

  let copies = 0
  /** A copy of the whole home. Its catalog goes on naming the files of the first: they are never changed by what is tested. */
  async function damagedCopy(damage: (home: Home) => Promise<void>): Promise<Home> {
    // Locations in metadata are absolute, so a copy must stand where the first one stood.
    const parked = path.join(dir, 'parked')
    if (copies++ === 0) await cp(whole.dir, parked, { recursive: true, preserveTimestamps: true })
    await rm(whole.dir, { recursive: true })
    await cp(parked, whole.dir, { recursive: true, preserveTimestamps: true })
    await damage(whole)
    return whole
  }

  async function assertMended(home: Home, mended: RegExp[]): Promise<void> {
    const done = await repair(home, config, dir)
    const told = done.map(({ subject, message }) => `${subject}: ${message}`)
    assert.equal(done.length, mended.length, told.join('\n'))
    for (const [at, pattern] of mended.entries()) assert.match(told[at] ?? '', pattern)
    assert.deepEqual(problems(await examine(home, config)), [])
    await withEngine(home, async (engine) => {
      assert.deepEqual(await linesOf(engine), expected)
      const { added, changed, removed } = await ingestDirectory(engine, { root: bucket, bucket: 'files' })
      assert.deepEqual([added, changed, removed], [0, 0, 0])
      await take(engine, NOTIFICATIONS)
      assert.deepEqual(await linesOf(engine), expected, 'what was told before changes nothing')
    })
  }

  async function assertRefused(home: Home, message: RegExp): Promise<void> {
    await assert.rejects(open(home), (error) => isFault(error, 'corrupt') && message.test(error.message))
    assert.match(problems(await examine(home, config)).join('\n'), message)
  }

  it('makes what is known of objects anew from the journal', async () => {
    const home = await damagedCopy((at) => rm(at.statePath('objects.db')))
    assert.match(problems(await examine(home, config)).join('\n'), /state: .* is not there.*doctor --repair/)
    await assertMended(home, [/^state: .* made anew from 2\d events/])
  })

  it('makes it anew when it is damaged, and keeps the damaged file', async () => {
    const home = await damagedCopy((at) => writeFile(at.statePath('objects.db'), Buffer.alloc(8192, 7)))
    await assertRefused(home, /objects\.db/)
    await assertMended(home, [/^state: .* made anew/])
    assert.ok((await readdir(path.join(home.dir, 'state'))).some((name) => name.startsWith('objects.db.damaged-')))
  })

  it('lets logs that were lost go on behind what was made of them', async () => {
    const home = await damagedCopy((at) => rm(at.logsDir, { recursive: true }))
    await assertRefused(home, /doctor --repair/)
    await assertMended(home, [
      /^log objects: .* goes on at \d+/,
      /^log journal/,
      /^log inventory/,
      /^log content/,
      /^log dead-letters/,
    ])
  })

  it('recovers when the logs and the state are lost together', async () => {
    const home = await damagedCopy(async (at) => {
      await rm(at.logsDir, { recursive: true })
      await rm(path.join(at.dir, 'state'), { recursive: true })
    })
    await assertRefused(home, /doctor --repair/)
    await assertMended(home, [
      /^log objects/,
      /^log journal/,
      /^log inventory/,
      /^log content/,
      /^log dead-letters/,
      /^state: /,
    ])
  })

  it('builds an index anew that cannot be opened, and one that disagrees', async () => {
    const garbage = await damagedCopy((at) => writeFile(at.indexPath('inventory'), Buffer.alloc(20_000, 3)))
    assert.match(
      problems(await examine(garbage, config)).join('\n'),
      /^index inventory: .* cannot be opened.*doctor --repair/,
    )
    await assertMended(garbage, [/^index inventory: .*built anew/])

    const wrong = await damagedCopy(async (at) => {
      const duck = await Duck.open({ memoryMiB: 128, threads: 1 })
      const session = await duck.connect()
      await session.run(`ATTACH '${at.indexPath('content')}' AS i`)
      await session.run('DELETE FROM i.base')
      await session.run('DELETE FROM i.delta')
      await session.run('DETACH i')
      session.close()
      duck.close()
    })
    assert.match(problems(await examine(wrong, config)).join('\n'), /^index content: .* rows of the table are missing/)
    await assertMended(wrong, [/^index content: .*built anew/])
  })

  it('needs nothing but a start when an index, tmp or its files are gone', async () => {
    const home = await damagedCopy(async (at) => {
      await rm(path.join(at.dir, 'index'), { recursive: true })
      await rm(path.join(at.dir, 'tmp'), { recursive: true })
      await mkdir(at.scratchDir, { recursive: true })
      await writeFile(path.join(at.scratchDir, 'left.parquet'), 'left')
    })
    const findings = await examine(home, config)
    assert.deepEqual(problems(findings), [])
    assert.ok(findings.some(({ subject, message }) => subject === 'tmp' && message.startsWith('1 files')))
    assert.deepEqual(await tablesOf(home), expected)
    assert.deepEqual(await readdir(home.scratchDir), [])
  })

  it('sets a damaged log aside and saves what can be read of it', async () => {
    const extra = Array.from({ length: 30 }, (_, at) =>
      record('ObjectCreated:Put', `late ${at}`, undefined, 20 + at, { size: at, eTag: `x${at}` }),
    )
    let written = ''
    const home = await damagedCopy(async (at) => {
      // Accepted and not passed on: each event in a block of its own.
      const engine = await open(at)
      for (const line of extra) await engine.objects.accept(readNotification(line).events)
      await engine.close()
      const folder = path.join(at.logsDir, 'objects')
      const name =
        (await readdir(folder))
          .filter((each) => each.endsWith('.ndjson'))
          .sort()
          .at(-1) ?? ''
      const bytes = await readFile(path.join(folder, name))
      written = path.join(folder, name)
      bytes[bytes.indexOf('late%2011') < 0 ? bytes.indexOf('late 11') : bytes.indexOf('late%2011')] = 0x58
      await writeFile(written, bytes)
    })
    assert.match(
      problems(await examine(home, config)).join('\n'),
      /log objects: .* is damaged at byte \d+.*sets it aside/,
    )
    const notices: string[] = []
    const engine = await openEngine({ home, config, configDir: dir, onNotice: (text) => notices.push(text) })
    await engine.close()
    assert.match(notices.join('\n'), /^[^\n]*objects[^\n]* is damaged at byte \d+[^\n]*; tidewater doctor tells/)
    const told = (await repair(home, config, dir)).map(({ subject, message }) => `${subject}: ${message}`)
    assert.match(told[0] ?? '', /^log objects: .*: 29 entries went into a new log, 1 that no table has cannot be read/)
    assert.deepEqual(problems(await examine(home, config)), [])
    const lines = await tablesOf(home)
    assert.equal(lines.filter((line) => line.includes('"late ')).length, 4 * 29)
    for (const line of expected) assert.ok(lines.includes(line), line)
    assert.ok(
      (await readdir(home.logsDir)).some((name) => name.startsWith('objects.damaged-')),
      'the damaged log is kept',
    )
    await withEngine(home, (engine) => take(engine, extra))
    assert.equal(
      (await tablesOf(home)).filter((line) => line.includes('"late ')).length,
      4 * 30,
      'telling it again mends the rest',
    )
  })

  it('passes on again what a log had lost before its table took it', async () => {
    const home = await damagedCopy(async (at) => {
      const engine = await open(at)
      await engine.objects.accept(
        readNotification(record('ObjectCreated:Put', 'waits', undefined, 60, { size: 1, eTag: 'w' })).events,
      )
      // Passed on to the tables' logs, not committed: then those logs are lost.
      await engine.objects.drain()
      await engine.close()
      for (const name of ['journal', 'inventory', 'content'])
        await rename(path.join(at.logsDir, name), path.join(at.dir, `lost-${name}`))
    })
    await assertRefused(home, /doctor --repair/)
    const told = (await repair(home, config, dir)).map(({ subject, message }) => `${subject}: ${message}`)
    assert.match(told.at(-1) ?? '', /bytes of 1 objects could not be read|1 object versions were passed on/)
    assert.deepEqual(await repair(home, config, dir), [], 'a second repair has nothing to do')
    assert.deepEqual(problems(await examine(home, config)), [])
    assert.equal((await tablesOf(home)).filter((line) => line.includes('"waits"')).length, 4)
  })

  it('leaves a damaged table file alone, names it with what to do, and mends the rest', async () => {
    let victim = ''
    const home = await damagedCopy(async (at) => {
      const found = await readdir(path.join(at.warehouseDir, 'aws_s3_metadata'), { recursive: true })
      victim = path.join(at.warehouseDir, 'aws_s3_metadata', found.filter((name) => isJournalFile(name)).toSorted()[0]!)
      await truncate(victim, 100)
      await writeFile(at.indexPath('inventory'), Buffer.alloc(20_000, 3))
    })
    const problem = problems(await examine(home, config)).join('\n')
    assert.match(problem, /mdblogs3metadata: file:.*\.parquet has 100 bytes instead of \d+/)
    assert.match(problem, /1 of \d+ files cannot be read: restore them from a copy/)
    assert.doesNotMatch(problem, /index journal/)
    const told = (await repair(home, config, dir)).map(({ subject, message }) => `${subject}: ${message}`)
    assert.match(told.join('\n'), /index inventory: .*built anew/)
    assert.equal((await stat(victim)).size, 100, 'it is kept as it is')
    // What comes is taken, and the other tables have it.
    await withEngine(home, async (engine) => {
      await take(engine, [record('ObjectCreated:Put', 'after', undefined, 70, { size: 1, eTag: 'a' })])
      await assert.rejects(linesOf(engine), (error) => isFault(error, 'corrupt') && error.message.includes('.parquet'))
      const session = await openSql(engine)
      const { rows } = await session.run("SELECT count(*) FROM aws_s3_metadata.inventory WHERE key = 'after'")
      assert.deepEqual(rows.map(String), ['1'])
      await session.close()
    })
  })

  it('is refused while another process holds the home', async () => {
    const home = await damagedCopy(async () => undefined)
    const engine = await open(home)
    await assert.rejects(
      repair(home, config, dir),
      (error) => isFault(error, 'conflict') && /process \d+/.test(error.message),
    )
    assert.ok((await examine(home, config)).some(({ subject, level }) => subject === 'logs' && level === 'note'))
    await engine.close()
    const database = new DatabaseSync(home.catalogPath)
    assert.ok(database.prepare('SELECT count(*) AS n FROM iceberg_tables').get()?.['n'])
    database.close()
  })
})
