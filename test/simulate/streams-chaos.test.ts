/**
 * The real server with streams while its disk is full, its catalog is held by somebody else, and its clock steps. Senders are told
 * to come again, nothing that was acknowledged is lost, and nothing is there twice. `TIDEWATER_SEED` replays the choices of a run.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { inTempDir } from '../support/cli.ts'
import { Random } from './random.ts'
import { Producers, STREAMS } from './streams-producers.ts'
import { ended, type Running, startServer } from './streams-server.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** A server with producers, while `work` makes trouble; then everything is counted. */
async function whileSending(
  t: TestContext,
  { dir, home, env = {} }: { dir: string; home: string; env?: Record<string, string> },
  work: (server: Running, producers: Producers) => Promise<void>,
): Promise<void> {
  const config = path.join(dir, 'config.yaml')
  await writeFile(config, STREAMS)
  const server = await startServer(home, config, env)
  const producers = new Producers(new Random(seed), () => server.url)
  try {
    producers.start()
    await moreAnswers(producers, 50)
    await work(server, producers)
    await producers.finish()
    t.diagnostic(JSON.stringify(producers.counts))
    server.child.kill('SIGTERM')
    assert.equal(await ended(server.child), 0, server.told())
    await producers.check(home, config)
  } finally {
    producers.abandon()
    server.child.kill('SIGKILL')
  }
}

const PATIENCE_MS = 90_000

async function until(holds: () => boolean, what: string): Promise<void> {
  const startMs = performance.now()
  while (!holds()) {
    assert.ok(performance.now() - startMs < PATIENCE_MS, `waited in vain: ${what}`)
    await delay(20)
  }
}

async function moreAnswers({ counts }: Producers, count: number): Promise<void> {
  const before = counts.answered
  await until(() => counts.answered >= before + count, `${count} more answers than ${before}`)
}

async function moreRefusals({ counts }: Producers, count: number): Promise<void> {
  const before = counts.refused
  await until(() => counts.refused >= before + count, `${count} more refusals than ${before}`)
}

/** Why there can be no small file system of our own here, or false. */
function noMount(): string | false {
  if (process.platform !== 'linux') return 'NOT TESTED: tmpfs is mounted on Linux only'
  if (process.getuid?.() !== 0) return 'NOT TESTED: mounting a small tmpfs takes root'
  return false
}

/** Takes all room but about `leaveMiB`; what the server takes meanwhile only makes it less. */
function fill(disk: string, leaveMiB: number): void {
  const free = Number(execFileSync('df', ['--output=avail', '-k', disk], { encoding: 'utf8' }).split('\n')[1])
  const count = Math.max(1, Math.ceil(free / 64) - leaveMiB * 16)
  spawnSync('dd', ['if=/dev/zero', `of=${path.join(disk, 'filler')}`, 'bs=64k', `count=${count}`], { stdio: 'ignore' })
}

test(`a full disk refuses records with 503, and takes them once there is room (seed ${seed})`, {
  skip: noMount(),
}, async (t) => {
  await inTempDir(async (dir) => {
    const disk = path.join(dir, 'disk')
    await mkdir(disk)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=420m', 'tmpfs', disk])
    try {
      await whileSending(t, { dir, home: path.join(disk, 'home') }, async (_server, producers) => {
        // Little room: refused before anything is written. None: whatever is being written fails in the middle of it.
        for (const leaveMiB of [0, 100, 0, 1]) {
          fill(disk, leaveMiB)
          await moreRefusals(producers, 10)
          await delay(300)
          await rm(path.join(disk, 'filler'))
          await moreAnswers(producers, 50)
        }
      })
    } finally {
      execFileSync('umount', ['-l', disk])
    }
  })
})

/** A child that holds a SQLite file for a while. */
async function lock(file: string, forMs: number): Promise<ChildProcess> {
  const script = `const { DatabaseSync } = require('node:sqlite')
    const database = new DatabaseSync(${JSON.stringify(file)}, { timeout: 20000 })
    database.exec('BEGIN EXCLUSIVE')
    console.log('locked')
    setTimeout(() => database.exec('ROLLBACK'), ${forMs})`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((done) => child.stdout.once('data', done))
  return child
}

test(`while the catalog is held by somebody else, records are taken; they are committed when it is free (seed ${seed})`, async (t) => {
  await inTempDir(async (dir) => {
    const home = path.join(dir, 'home')
    await whileSending(t, { dir, home }, async (_server, producers) => {
      for (const forMs of [4_000, 9_000]) {
        const holder = await lock(path.join(home, 'catalog.db'), forMs)
        await moreAnswers(producers, 20)
        await ended(holder)
        await moreAnswers(producers, 20)
      }
    })
  })
})

test(`while what streams remember is held by somebody else, nothing is lost or taken twice (seed ${seed})`, async (t) => {
  await inTempDir(async (dir) => {
    const home = path.join(dir, 'home')
    await whileSending(t, { dir, home }, async (_server, producers) => {
      const holder = await lock(path.join(home, 'state', 'streams.db'), 7_000)
      await ended(holder)
      await moreAnswers(producers, 50)
    })
  })
})

test(`a clock that steps forwards and back changes nothing of what is taken once (seed ${seed})`, async (t) => {
  await inTempDir(async (dir) => {
    const home = path.join(dir, 'home')
    const hours = path.join(dir, 'hours')
    const shift = path.join(dir, 'shift.mjs')
    await writeFile(hours, '0')
    await writeFile(
      shift,
      `import { readFileSync } from 'node:fs'
       const now = Date.now.bind(Date)
       let shiftMs = 0
       setInterval(() => { shiftMs = 36e5 * Number(readFileSync(${JSON.stringify(hours)}, 'utf8')) }, 50).unref()
       Date.now = () => now() + shiftMs`,
    )
    await whileSending(t, { dir, home, env: { NODE_OPTIONS: `--import ${shift}` } }, async (_server, producers) => {
      for (const step of ['26', '-49', '0.5', '0']) {
        await writeFile(hours, step)
        await delay(300)
        await moreAnswers(producers, 40)
      }
    })
  })
})
