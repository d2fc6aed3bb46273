/**
 * The real server, killed without warning again and again while files are dropped, renamed and taken. Then a checker counts: every row
 * of every file is in the table once. `TIDEWATER_SEED` replays the choices of a run.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { inTempDir, sqlRows } from '../support/cli.ts'
import { Random } from './random.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const rounds = Number(process.env['TIDEWATER_ROUNDS'] ?? 4)
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const START_MS = 60_000
const END_MS = 120_000

async function startServer(home: string, config: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [MAIN, 'start', '--home', home, '--config', config, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const late = setTimeout(() => child.kill('SIGKILL'), START_MS)
  const [line] = (await Promise.race([
    once(createInterface({ input: child.stdout! }), 'line'),
    once(child, 'exit').then(() => assert.fail('the server does not start')),
  ])) as [string]
  clearTimeout(late)
  return { child, url: line.replace(/^.* on /, '') }
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}

test(`a server killed ${rounds} times takes every row of dropped files once (seed ${seed})`, async () => {
  await inTempDir(async (dir) => {
    const random = new Random(seed)
    const home = path.join(dir, 'home')
    const drop = path.join(dir, 'drop')
    const config = path.join(dir, 'config.yaml')
    await mkdir(drop)
    await writeFile(
      config,
      `streams:
  rows: { table: demo.rows, columns: { file: LONG, n: LONG }, buffer: { seconds: 0.2 } }
sources:
  rows: { stream: rows, files: { directory: drop, quietSeconds: 0.5, after: move, moveTo: drop/done } }
`,
    )
    const expected = new Map<number, number>()
    let number = 0
    let over = false
    const dropping = async () => {
      while (!over) {
        const file = number++
        const count = random.chance(0.1) ? 30_000 : random.below(2_000)
        const rows = Array.from({ length: count }, (_, n) => n)
        const [name, bytes]: [string, string | Buffer] = random.pick([
          [`${file}.ndjson`, rows.map((n) => `{"file":${file},"n":${n}}\n`).join('')],
          [`${file}.csv`, `file,n\n${rows.map((n) => `${file},${n}\n`).join('')}`],
          [`${file}.ndjson.gz`, gzipSync(rows.map((n) => `{"file":${file},"n":${n}}\n`).join(''))],
        ])
        expected.set(file, count)
        // Some writers are careful, others write in place, what one call of the system can write.
        if (bytes.length < 60_000 && random.chance(0.6)) await writeFile(path.join(drop, name), bytes)
        else {
          await writeFile(path.join(drop, `${name}.part`), bytes)
          await rename(path.join(drop, `${name}.part`), path.join(drop, name))
        }
        await delay(random.below(300))
      }
    }
    const renaming = async () => {
      while (!over) {
        await delay(random.below(400))
        const names = (await readdir(drop)).filter((name) => /^\d+\./.test(name) && !name.endsWith('.part'))
        if (names.length === 0) continue
        const name = random.pick(names)
        // It may be taken, or gone, just now.
        await rename(path.join(drop, name), path.join(drop, name.replace('.', 'r.'))).catch(() => undefined)
      }
    }
    const busy = Promise.all([dropping(), renaming()])
    for (let round = 0; round < rounds; round++) {
      const { child } = await startServer(home, config)
      await delay(300 + random.below(2_500))
      await stop(child, 'SIGKILL')
    }
    over = true
    await busy
    const { child } = await startServer(home, config)
    const left = async () => (await readdir(drop)).filter((name) => name !== 'done')
    for (const endMs = Date.now() + END_MS; (await left()).length > 0; await delay(100))
      assert.ok(Date.now() < endMs, `not taken: ${await left()}`)
    await stop(child, 'SIGTERM')
    const rows = await sqlRows(
      home,
      'SELECT file, count(*) AS n, count(DISTINCT n) AS different FROM demo.rows GROUP BY file ORDER BY file',
    )
    assert.deepEqual(
      rows.map((row) => `${row['file']}: ${row['n']} ${row['different']}`),
      [...expected].filter(([, count]) => count > 0).map(([file, count]) => `${file}: ${count} ${count}`),
    )
    const letters = await sqlRows(home, 'SELECT reason FROM tidewater.dead_letters')
    assert.deepEqual(letters, [])
  })
})
