/**
 * The real process under what happens to processes: signals, kills, stops, full and read-only disks, locked and damaged files,
 * clocks that step back. Each ends with tables that equal the files, or with a fault that says what to do.
 * `TIDEWATER_SEED` replays a run.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parseConfig } from '../../src/app/config.ts'
import { openEngine } from '../../src/app/engine.ts'
import { homeAt } from '../../src/app/home.ts'
import { attachDirectory } from '../../src/app/ingest.ts'
import { openReader } from '../../src/app/reader.ts'
import { openSql } from '../../src/app/sql.ts'
import { cli, cliOk, inTempDir, sqlRows } from '../support/cli.ts'
import { assertInStep, mutate } from './files.ts'
import { lockCatalog } from './locked-catalog.ts'
import { Random } from './random.ts'
import { WatchProcess } from './watch-process.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
/** Generous: the machine may be busy. What was measured is printed. */
const LATENCY_MAX_MS = 15_000

/** The tables as a reader in this process sees them while others write. */
async function asking<T>(home: string, work: (ask: (sql: string) => Promise<unknown[][]>) => Promise<T>): Promise<T> {
  const reader = await openReader(homeAt(home), parseConfig({ limits: { memoryMiB: 256 } }, 'test'))
  const session = await openSql(reader)
  try {
    return await work(async (sql) => (await session.run(sql)).rows)
  } finally {
    await session.close()
    await reader.close()
  }
}

/** Waits until the tables say so; gives how long it took. */
async function shows(home: string, sql: string, expected: unknown, t: TestContext, what: string): Promise<void> {
  await asking(home, async (ask) => {
    const startMs = performance.now()
    for (;;) {
      const rows = JSON.stringify(await ask(sql))
      const tookMs = performance.now() - startMs
      if (rows === JSON.stringify(expected)) return t.diagnostic(`${what} shows after ${Math.round(tookMs)} ms`)
      if (tookMs > LATENCY_MAX_MS) assert.fail(`${what}: expected ${JSON.stringify(expected)}, got ${rows}`)
      await delay(20)
    }
  })
}

describe('watching', () => {
  test('a file dropped, overwritten, renamed and deleted shows in the tables, one line per commit; Ctrl-C ends with 0', async (t) => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const watch = await WatchProcess.start(home)
      await watch.ready()
      const both = `SELECT i.key, i.size::INT, c.etag = i.e_tag FROM aws_s3_metadata.inventory i
        LEFT JOIN default.s3_content_metadata c ON c.key = i.key ORDER BY i.key`
      await writeFile(path.join(watch.bucket, 'a.txt'), '1')
      await shows(home, both, [['a.txt', 1, true]], t, 'a new file')
      await writeFile(path.join(watch.bucket, 'a.txt'), 'another')
      await shows(home, both, [['a.txt', 7, true]], t, 'an overwritten file')
      await rename(path.join(watch.bucket, 'a.txt'), path.join(watch.bucket, 'b.txt'))
      await shows(home, both, [['b.txt', 7, true]], t, 'a renamed file')
      await rm(path.join(watch.bucket, 'b.txt'))
      await shows(home, both, [], t, 'a deleted file')
      await watch.until(() => watch.commits.length >= 12, 'tells of every commit')
      for (const line of watch.commits) {
        assert.match(line, /^\S+Z committed \S+: \d+ rows written, \d+ removed, snapshot \d+, \d+ ms$/)
      }
      const end = await watch.end('SIGINT')
      assert.deepEqual([end.code, end.signal], [0, null], watch.output)
      assert.ok(end.tookMs < 10_000, `${end.tookMs} ms`)
      await assertInStep(home, watch.bucket)
    })
  })

  test('a burst of files, Ctrl-C in the middle of another, changes while it is down, and a start that finds nothing new', async (t) => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const watch = await WatchProcess.start(home)
      await watch.ready()
      await Promise.all(
        Array.from({ length: 500 }, (_, at) => writeFile(path.join(watch.bucket, `burst ${at}.txt`), `burst ${at}`)),
      )
      await shows(home, 'SELECT count(*)::INT FROM aws_s3_metadata.inventory', [[500]], t, 'a burst of 500 files')
      await mutate(watch.bucket, new Random(seed), 200)
      await delay(400)
      const end = await watch.end('SIGTERM')
      assert.deepEqual([end.code, end.signal], [0, null], watch.output)
      t.diagnostic(`SIGTERM in a burst ends it after ${Math.round(end.tookMs)} ms`)
      const doctor = await cliOk(['doctor', '--home', home])
      assert.doesNotMatch(doctor, /wait to be/, 'everything accepted is committed')

      await mutate(watch.bucket, new Random(seed + 1), 50)
      assert.doesNotMatch(await cliOk(['quickstart', '--once', '--home', home]), /^0 changes/)
      await assertInStep(home, watch.bucket)
      const snapshots = 'SELECT count(*) AS n FROM aws_s3_metadata.inventory.snapshots'
      const before = await sqlRows(home, snapshots)
      assert.match(
        await cliOk(['quickstart', '--once', '--home', home]),
        /^0 changes .*: 0 added, 0 changed, 0 removed/,
      )
      assert.deepEqual(await sqlRows(home, snapshots), before)
    })
  })

  test(`killed again and again while files change, it ends in step (seed ${seed})`, async () => {
    await inTempDir(async (dir) => {
      const random = new Random(seed)
      const home = path.join(dir, 'home')
      for (let round = 0; round < 6; round++) {
        const watch = await WatchProcess.start(home)
        const untilMs = performance.now() + 300 + random.below(4_000)
        while (performance.now() < untilMs) {
          await mutate(watch.bucket, random, 5)
          await delay(random.below(100))
        }
        assert.equal((await watch.end('SIGKILL')).signal, 'SIGKILL')
      }
      await cliOk(['quickstart', '--once', '--home', home])
      await assertInStep(home, path.join(home, 'buckets', 'photos'))
    })
  })

  test('stopped for a while and continued, it takes what happened meanwhile', async (t) => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const watch = await WatchProcess.start(home)
      await watch.ready()
      await mutate(watch.bucket, new Random(seed), 20)
      watch.child.kill('SIGSTOP')
      await mutate(watch.bucket, new Random(seed + 2), 60)
      await writeFile(path.join(watch.bucket, 'last.txt'), 'last')
      await delay(2_000)
      watch.child.kill('SIGCONT')
      await shows(
        home,
        "SELECT count(*)::INT FROM aws_s3_metadata.inventory WHERE key = 'last.txt'",
        [[1]],
        t,
        'a file written while stopped',
      )
      assert.equal((await watch.end('SIGINT')).code, 0)
      await assertInStep(home, watch.bucket)
    })
  })
})

describe('sharing a home', () => {
  test('a catalog locked by another process for a while is waited for, by writers and readers', async () => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const bucket = path.join(dir, 'files')
      await mkdir(bucket)
      await mutate(bucket, new Random(seed), 20)
      await cliOk(['ingest', bucket, '--home', home])
      await mutate(bucket, new Random(seed + 3), 20)
      const child = await lockCatalog(home, 4_000)
      const startMs = performance.now()
      const [, tables] = await Promise.all([
        cliOk(['ingest', bucket, '--home', home]),
        cliOk(['table', 'list', '--home', home]),
      ])
      assert.ok(performance.now() - startMs > 3_000, 'it was really locked')
      assert.match(tables, /aws_s3_metadata\.inventory/)
      child.kill()
      await assertInStep(home, bucket)
    })
  })

  test('while one process writes, a second is told who does, and readers read', async () => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const watch = await WatchProcess.start(home)
      await writeFile(path.join(watch.bucket, 'a.txt'), 'a')
      await watch.ready()
      for (const args of [
        ['ingest', watch.bucket],
        ['quickstart', '--once'],
        ['deadletter', 'replay'],
        ['doctor', '--repair'],
      ]) {
        const second = await cli([...args, '--home', home])
        assert.equal(second.code, 4, second.stderr)
        assert.match(second.stderr, new RegExp(`is in use by process ${watch.child.pid} on .*stop that one`))
      }
      assert.deepEqual(await sqlRows(home, 'SELECT key FROM aws_s3_metadata.inventory'), [{ key: 'a.txt' }])
      assert.match(await cliOk(['table', 'list', '--home', home]), /inventory +1 rows/)
      assert.match(await cliOk(['deadletter', 'list', '--home', home]), /no dead letters/)
      assert.match(await cliOk(['doctor', '--home', home]), /note .*in use by process \d+.*Only the tables/)
      assert.equal((await watch.end('SIGINT')).code, 0)
    })
  })
})

/** A home with two ingests in it, and the folder that they were of. */
async function inHome(work: (home: string, bucket: string, dir: string) => Promise<void>): Promise<void> {
  await inTempDir(async (dir) => {
    const home = path.join(dir, 'home')
    const bucket = path.join(dir, 'files')
    await mkdir(bucket)
    const random = new Random(seed)
    for (let round = 0; round < 2; round++) {
      await mutate(bucket, random, 40)
      await cliOk(['ingest', bucket, '--home', home])
    }
    await mutate(bucket, random, 20)
    await work(home, bucket, dir)
  })
}

async function assertFault(args: readonly string[], code: number, message: RegExp): Promise<void> {
  const result = await cli(args)
  assert.equal(result.code, code, `${result.stdout}\n${result.stderr}`)
  assert.match(result.stderr, message)
  assert.doesNotMatch(result.stderr, /\n\s+at /, 'no stack')
}

describe('what is lost or damaged', () => {
  const harmless: Record<string, (home: string) => Promise<unknown>> = {
    'deleted indexes': (home) => rm(path.join(home, 'index'), { recursive: true }),
    'an index that is no database': (home) => writeFile(path.join(home, 'index', 'inventory.duckdb'), 'no database'),
    'an index cut in half': async (home) => {
      const file = path.join(home, 'index', 'content.duckdb')
      await truncate(file, Math.floor((await stat(file)).size / 2))
    },
    'deleted scratch files': (home) => rm(path.join(home, 'tmp'), { recursive: true }),
    'torn ends of every log': async (home) => {
      for (const name of await readdir(path.join(home, 'logs'))) {
        const folder = path.join(home, 'logs', name)
        const last =
          (await readdir(folder))
            .filter((file) => file.endsWith('.ndjson'))
            .sort()
            .at(-1) ?? ''
        await writeFile(path.join(folder, last), '{"offset":999,"half', { flag: 'a' })
      }
    },
  }
  for (const [what, damage] of Object.entries(harmless)) {
    test(`${what}: the next run mends it by itself`, async () => {
      await inHome(async (home, bucket) => {
        await damage(home)
        await cliOk(['ingest', bucket, '--home', home])
        await assertInStep(home, bucket)
      })
    })
  }

  const refused: Record<string, (home: string) => Promise<unknown>> = {
    'a deleted state file': (home) => rm(path.join(home, 'state'), { recursive: true }),
    'deleted logs': (home) => rm(path.join(home, 'logs'), { recursive: true }),
    'logs and state deleted': (home) =>
      Promise.all(['logs', 'state'].map((name) => rm(path.join(home, name), { recursive: true }))),
  }
  for (const [what, damage] of Object.entries(refused)) {
    test(`${what}: refused with what to do, mended by the doctor`, async () => {
      await inHome(async (home, bucket) => {
        await damage(home)
        await assertFault(['ingest', bucket, '--home', home], 5, /doctor --repair/)
        const doctor = await cli(['doctor', '--home', home])
        assert.equal(doctor.code, 5)
        assert.match(doctor.stdout, /PROBLEM .*doctor --repair/)
        assert.match(await cliOk(['doctor', '--repair', '--home', home]), /^mended /)
        await cliOk(['ingest', bucket, '--home', home])
        await assertInStep(home, bucket)
      })
    })
  }

  test('a log damaged in the middle is a fault that names the place, and the doctor saves the rest', async () => {
    await inHome(async (home, bucket) => {
      // Accepted, and not passed on.
      const engine = await openEngine({ home: homeAt(home), config: parseConfig({}, 'test'), configDir: home })
      await (await attachDirectory(engine, bucket, path.basename(bucket))).sync()
      await engine.close()
      const folder = path.join(home, 'logs', 'objects')
      const last =
        (await readdir(folder))
          .filter((file) => file.endsWith('.ndjson'))
          .sort()
          .at(-1) ?? ''
      const bytes = await readFile(path.join(folder, last))
      bytes[bytes.length - 60] = 0x00
      await writeFile(path.join(folder, last), bytes)
      const doctor = await cli(['doctor', '--home', home])
      assert.match(doctor.stdout, /PROBLEM {2}log objects: .* is damaged at byte \d+/)
      await assertFault(['ingest', bucket, '--home', home], 5, /is damaged at byte \d+.*\n.*tidewater doctor/)
      await cliOk(['doctor', '--repair', '--home', home])
      await cliOk(['ingest', bucket, '--home', home])
      await assertInStep(home, bucket)
    })
  })

  test('a clock that steps back changes nothing but the times', async () => {
    await inHome(async (home, bucket, dir) => {
      const shift = path.join(dir, 'shift.mjs')
      await writeFile(
        shift,
        'const now = Date.now.bind(Date); Date.now = () => now() - 36e5 * Number(process.env.HOURS)',
      )
      const random = new Random(seed + 5)
      for (const hours of [1, 48, 0]) {
        await mutate(bucket, random, 40)
        const env = { ...process.env, NODE_OPTIONS: `--import ${shift}`, HOURS: String(hours) }
        await cliOk(['ingest', bucket, '--home', home], { env })
        await assertInStep(home, bucket)
      }
    })
  })
})

const isRoot = process.getuid?.() === 0

/** Why there can be no small file system of our own here, or false. */
function noMount(): string | false {
  if (process.platform !== 'linux') return 'tmpfs is mounted on Linux only'
  if (!isRoot) return 'mounting a small tmpfs takes root'
  return false
}

async function onSmallDisk(dir: string, work: (disk: string) => Promise<void>): Promise<void> {
  const disk = path.join(dir, 'disk')
  await mkdir(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk])
  try {
    await work(disk)
  } finally {
    execFileSync('umount', ['-l', disk])
  }
}

/** Takes all the room but about `leaveKiB`. */
function fill(disk: string, leaveKiB: number): void {
  const free = Number(execFileSync('df', ['--output=avail', '-k', disk], { encoding: 'utf8' }).split('\n')[1])
  execFileSync(
    'dd',
    ['if=/dev/zero', `of=${path.join(disk, 'filler')}`, 'bs=1k', `count=${Math.max(0, free - leaveKiB)}`],
    { stdio: 'ignore' },
  )
}

describe('disks', () => {
  test('a full disk stops an ingest with a fault; nothing is lost once there is room', {
    skip: noMount(),
  }, async (t) => {
    await inTempDir(async (dir) => {
      await onSmallDisk(dir, async (disk) => {
        const home = path.join(disk, 'home')
        const bucket = path.join(dir, 'files')
        await mkdir(bucket)
        await mutate(bucket, new Random(seed), 40)
        await cliOk(['ingest', bucket, '--home', home])
        for (const [at, leaveKiB] of [0, 8, 40, 150, 400].entries()) {
          await mutate(bucket, new Random(seed + at), 60)
          fill(disk, leaveKiB)
          const result = await cli(['ingest', bucket, '--home', home])
          t.diagnostic(`${leaveKiB} KiB left: exit code ${result.code}, ${result.stderr.slice(0, 160).trim()}`)
          if (result.code !== 0) {
            assert.equal(result.code, 7, result.stderr)
            assert.match(result.stderr, /no space|full|ENOSPC|disk/i)
            assert.doesNotMatch(result.stderr, /\n\s+at /, 'no stack')
          }
          await rm(path.join(disk, 'filler'))
        }
        await cliOk(['ingest', bucket, '--home', home])
        await assertInStep(home, bucket)
      })
    })
  })

  test('a full disk stalls a watch, which tells of it and goes on once there is room', {
    skip: noMount(),
  }, async (t) => {
    await inTempDir(async (dir) => {
      await onSmallDisk(dir, async (disk) => {
        const home = path.join(disk, 'home')
        const bucket = path.join(dir, 'files')
        await mkdir(bucket)
        await mkdir(path.join(home, 'buckets'), { recursive: true })
        await symlink(bucket, path.join(home, 'buckets', 'photos'))
        const watch = await WatchProcess.start(home)
        await watch.ready()
        fill(disk, 0)
        for (let at = 0; at < 40; at++) await writeFile(path.join(bucket, `f${at}.txt`), 'x'.repeat(at))
        await watch.until(() => /waits? \d+ ms|waiting \d+ ms|failed/.test(watch.output), 'tells of the full disk')
        await delay(1_000)
        await rm(path.join(disk, 'filler'))
        await shows(home, 'SELECT count(*)::INT FROM default.s3_content_metadata', [[40]], t, 'after the disk was full')
        const end = await watch.end('SIGINT')
        assert.equal(end.code, 0, watch.output)
        assert.match(watch.output, /no space|full|ENOSPC|disk/i)
        await assertInStep(home, bucket)
      })
    })
  })

  test('a home that may only be read is read, and refused for writing', {
    skip: isRoot ? false : 'becoming another user takes root',
  }, async () => {
    await inHome(async (home, bucket, dir) => {
      await chmod(dir, 0o755)
      execFileSync('chmod', ['-R', 'a+rX,go-w', dir])
      const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups']
      const main = path.resolve('src/cli/main.ts')
      const run = (...args: string[]) =>
        new Promise<{ code: number | null; stdout: string; stderr: string }>((done) => {
          const child = spawn('setpriv', [...nobody, process.execPath, main, ...args, '--home', home], {
            stdio: ['ignore', 'pipe', 'pipe'],
          })
          const result = { stdout: '', stderr: '' }
          child.stdout.setEncoding('utf8').on('data', (text: string) => (result.stdout += text))
          child.stderr.setEncoding('utf8').on('data', (text: string) => (result.stderr += text))
          child.on('close', (code) => done({ code, ...result }))
        })
      const read = await run('sql', 'SELECT count(*) > 0 AS some FROM aws_s3_metadata.inventory', '--json')
      assert.deepEqual([read.code, read.stdout], [0, '{"some":true}\n'], read.stderr)
      for (const args of [
        ['ingest', bucket],
        ['doctor', '--repair'],
      ]) {
        const write = await run(...args)
        assert.equal(write.code, 7, write.stderr)
        assert.match(write.stderr, /permission denied|EACCES|readonly|read-only|unable to open/i)
        assert.doesNotMatch(write.stderr, /\n\s+at /)
      }
      await cliOk(['ingest', bucket, '--home', home])
      await assertInStep(home, bucket)
    })
  })
})
