/**
 * From a file put into a watched directory to its row in a committed snapshot: `tidewater quickstart` as a process of its own,
 * the catalog asked by this one.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Bench, Samples } from './harness.ts'
import { openWitness } from './witness.ts'

const BENCH = 'visible'
const AIM_MS = 1_000
const PHOTOS = path.join(import.meta.dirname, '..', 'examples', 'photos')
const MAIN = path.join(import.meta.dirname, '..', 'src', 'cli', 'main.ts')

export const visible: Bench = {
  name: BENCH,
  run: async (options, tell) => {
    const home = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-visible-'))
    const child = spawn(process.execPath, [MAIN, 'quickstart', '--home', home], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const gone = new Promise<void>((resolve) => child.on('close', () => resolve()))
    try {
      await watching(child)
      const photos = (await readdir(PHOTOS, { recursive: true })).filter((name) => name.endsWith('.jpg')).sort()
      const table = await openWitness(home)
      const took = new Samples()
      const count = options.rounds ?? (options.quick ? 10 : 40)
      for (let at = 0; at <= count; at++) {
        const key = `put-${options.seed}-${at}.jpg`
        const started = performance.now()
        await cp(path.join(PHOTOS, photos[at % photos.length]!), path.join(home, 'buckets', 'photos', key))
        await table.untilThere(key)
        if (at > 0) took.add(performance.now() - started)
        await pause(50 + ((at * 37) % 300))
      }
      await table.close()
      const p95 = took.at(0.95)
      tell(`${took.count} puts, p95 ${p95.toFixed(0)} ms`)
      const measure = took.measure(BENCH, 'one photo put', 'tidewater', 'ms')
      const aim = { text: `at most ${AIM_MS} ms`, reached: p95 <= AIM_MS }
      return [measure, { ...measure, contender: 'tidewater, p95', median: p95, aim }]
    } finally {
      child.kill('SIGTERM')
      await gone
      await rm(home, { recursive: true, force: true })
    }
  },
}

/** Resolves when the process has shown its tables and watches. */
async function watching(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('watch it arrive')) resolve()
    })
    child.on('close', (code) => reject(new Error(`quickstart ended with ${code} before it watched`)))
  })
  await pause(1_000)
}
