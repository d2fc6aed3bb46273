import assert from 'node:assert/strict'
import {
  appendFileSync,
  type FSWatcher,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../base/limits.ts'
import { type DirectoryHint, type WatchOptions, watchDirectory } from './source.ts'

/** Longer than any test: rescans by the interval play no part unless a test asks for them. */
const NEVER_MS = 3_600_000

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tidewater-watch-'))
})
afterEach(async () => {
  await watching?.stop()
  watching = null
  rmSync(root, { recursive: true, force: true })
})

/** Collects hints in the background. */
class Watching {
  readonly hints: { hint: DirectoryHint; atMs: number }[] = []
  readonly warnings: string[] = []
  readonly #abort = new AbortController()
  readonly #done: Promise<void>

  constructor(options: Partial<WatchOptions> = {}) {
    this.#done = this.#run({
      rescanIntervalMs: NEVER_MS,
      onWarning: (message) => this.warnings.push(message),
      ...options,
      signal: this.#abort.signal,
    })
  }

  async #run(options: WatchOptions): Promise<void> {
    for await (const hint of watchDirectory(root, options)) this.hints.push({ hint, atMs: performance.now() })
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#done
  }

  rescans(): string[] {
    return this.hints.flatMap(({ hint }) => (hint.kind === 'rescan' ? [hint.why] : []))
  }

  keys(): string[] {
    return this.hints.flatMap(({ hint }) => (hint.kind === 'keys' ? hint.keys : []))
  }

  /** Waits until `condition` holds, at most as long as a busy machine may need. */
  async until(what: string, condition: () => boolean): Promise<void> {
    for (const endMs = performance.now() + 15_000; performance.now() < endMs; await delay(5)) if (condition()) return
    assert.fail(`${what}; got ${JSON.stringify(this.hints.map(({ hint }) => hint))}, warned ${this.warnings}`)
  }

  untilKeys(...keys: string[]): Promise<void> {
    return this.until(`expected hints for ${keys}`, () => keys.every((key) => this.keys().includes(key)))
  }

  untilRescan(why: string, times = 1): Promise<void> {
    return this.until(`expected rescan ${why}`, () => this.rescans().filter((one) => one === why).length >= times)
  }
}

let watching: Watching | null = null

/** Starts watching and waits for the first rescan. */
async function start(options: Partial<WatchOptions> = {}): Promise<Watching> {
  watching = new Watching(options)
  await watching.untilRescan('start')
  return watching
}

for (const wholeTree of [false, true]) {
  describe(wholeTree ? 'one watch for the whole tree' : 'one watch for each folder', () => {
    test('a file that is dropped, overwritten, renamed or deleted is told by its key', async () => {
      mkdirSync(join(root, 'a/b'), { recursive: true })
      for (const key of ['over.txt', 'a/move.txt', 'a/b/gone.txt']) writeFileSync(join(root, key), 'x')
      const watched = await start({ wholeTree })
      writeFileSync(join(root, 'a/b/new.txt'), 'x')
      await watched.untilKeys('a/b/new.txt')
      writeFileSync(join(root, 'over.txt'), 'y')
      await watched.untilKeys('over.txt')
      renameSync(join(root, 'a/move.txt'), join(root, 'a/b/moved.txt'))
      await watched.untilKeys('a/move.txt', 'a/b/moved.txt')
      rmSync(join(root, 'a/b/gone.txt'))
      await watched.untilKeys('a/b/gone.txt')
      assert.deepEqual(watched.rescans(), ['start'])
    })

    test('names are told letter by letter', async () => {
      const watched = await start({ wholeTree })
      const keys = [
        'with space',
        'a+b',
        '100% %2F',
        'caf\u00e9',
        'cafe\u0301',
        'line\nfeed',
        '日本語 📷.jpg',
        'quo\'"te',
      ]
      for (const key of keys) writeFileSync(join(root, key), 'x')
      await watched.untilKeys(...keys)
      assert.deepEqual([...new Set(watched.keys())].sort(), [...keys].sort())
    })

    test('files in a folder that comes later are told, however deep and however soon', async () => {
      const watched = await start({ wholeTree })
      mkdirSync(join(root, 'x/y/z'), { recursive: true })
      for (const key of ['x/1', 'x/y/2', 'x/y/z/3']) writeFileSync(join(root, key), 'x')
      await watched.untilKeys('x/1', 'x/y/2', 'x/y/z/3')
      writeFileSync(join(root, 'x/y/z/4'), 'x')
      await watched.untilKeys('x/y/z/4')
    })

    test('excluded folders are silent', async () => {
      mkdirSync(join(root, 'state/deep'), { recursive: true })
      const watched = await start({ wholeTree, excluded: ['state/'] })
      writeFileSync(join(root, 'state/deep/segment'), 'x')
      mkdirSync(join(root, 'state/more'))
      writeFileSync(join(root, 'state/more/x'), 'x')
      writeFileSync(join(root, 'stately'), 'x')
      await watched.untilKeys('stately')
      await delay(2 * limits.watchQuietMs)
      assert.deepEqual([...new Set(watched.keys())], ['stately'])
    })
  })
}

describe('timing', () => {
  test('a dropped file is told within a few tenths of a second', async () => {
    const watched = await start()
    const tookMs: number[] = []
    for (let i = 0; i < 5; i++) {
      const startMs = performance.now()
      writeFileSync(join(root, `${i}.txt`), 'x')
      await watched.untilKeys(`${i}.txt`)
      tookMs.push(watched.hints.at(-1)!.atMs - startMs)
    }
    const median = tookMs.sort((a, b) => a - b)[2]!
    assert.ok(median >= limits.watchQuietMs, `told after ${median} ms, before it was quiet`)
    assert.ok(median < limits.watchQuietMs + 400, `told after ${median} ms`)
  })

  test('a file that is being written waits until it is quiet', async () => {
    const watched = await start()
    for (let i = 0; i < 10; i++) {
      appendFileSync(join(root, 'growing'), 'x'.repeat(1000))
      await delay(limits.watchQuietMs / 3)
    }
    await watched.untilKeys('growing')
    await delay(2 * limits.watchQuietMs)
    assert.equal(watched.keys().length, 1)
    assert.equal(readFileSync(join(root, 'growing')).length, 10_000)
  })

  test('a file that never is quiet is told after a bounded time', async () => {
    const watched = await start()
    const startMs = performance.now()
    while (watched.keys().length === 0 && performance.now() - startMs < 15_000) {
      appendFileSync(join(root, 'log'), 'x')
      await delay(limits.watchQuietMs / 5)
    }
    const tookMs = performance.now() - startMs
    assert.ok(tookMs >= limits.settleMaxMs && tookMs < limits.settleMaxMs + 3_000, `told after ${tookMs} ms`)
  })

  test('everything is compared again and again, counted from the end of the last time', async () => {
    const watched = await start({ rescanIntervalMs: 50 })
    await watched.untilRescan('interval', 3)
  })
})

test('a comparison that takes long is asked for less often', async () => {
  const abort = new AbortController()
  const hints = watchDirectory(root, { signal: abort.signal, rescanIntervalMs: 10 })
  assert.deepEqual((await hints.next()).value, { kind: 'rescan', why: 'start' })
  await delay(20)
  const startMs = performance.now()
  assert.deepEqual((await hints.next()).value, { kind: 'rescan', why: 'interval' })
  const afterMs = performance.now() - startMs
  assert.ok(afterMs >= 15 / limits.rescanShareMax, `asked again after ${afterMs} ms`)
  abort.abort()
  await hints.next()
})

describe('folders that come and go', () => {
  test('a folder that is deleted, or renamed away, asks for a rescan', async () => {
    mkdirSync(join(root, 'a/b'), { recursive: true })
    writeFileSync(join(root, 'a/b/x'), 'x')
    const watched = await start()
    renameSync(join(root, 'a'), join(root, 'c'))
    await watched.untilRescan('folder')
    await watched.untilKeys('c/b/x')
    rmSync(join(root, 'c'), { recursive: true })
    await watched.untilRescan('folder', 2)
  })

  test('a folder that was replaced by another of its name is watched', async () => {
    mkdirSync(join(root, 'a'))
    const watched = await start()
    mkdirSync(join(root, 'other'))
    await delay(2 * limits.watchQuietMs)
    rmSync(join(root, 'a'), { recursive: true })
    renameSync(join(root, 'other'), join(root, 'a'))
    await watched.untilRescan('folder')
    await delay(2 * limits.watchQuietMs)
    writeFileSync(join(root, 'a/x'), 'x')
    await watched.untilKeys('a/x')
    writeFileSync(join(root, 'a/y'), 'x')
    await watched.untilKeys('a/y')
    // A folder that moves tells of itself as of a file in it; nothing else may come under its old name.
    assert.ok(!watched.keys().some((key) => key === 'other/x' || key === 'other/y'))
  })

  test('a root that is removed is waited for in silence, and compared when it is back', async () => {
    writeFileSync(join(root, 'x'), 'x')
    const watched = await start()
    rmSync(root, { recursive: true })
    await watched.until('expected a warning', () => watched.warnings.length === 1)
    const before = watched.hints.length
    await delay(2 * limits.watchRootPollMs)
    assert.deepEqual(watched.hints.slice(before), [])
    mkdirSync(root)
    await watched.untilRescan('root')
    writeFileSync(join(root, 'y'), 'x')
    await watched.untilKeys('y')
    assert.equal(watched.warnings.length, 1)
  })

  test('a root that is swapped for another is noticed, and the new one watched', async () => {
    const watched = await start()
    mkdirSync(`${root}-new`)
    renameSync(root, `${root}-old`)
    renameSync(`${root}-new`, root)
    try {
      await watched.untilRescan('root')
      writeFileSync(join(root, 'y'), 'x')
      await watched.untilKeys('y')
    } finally {
      rmSync(`${root}-old`, { recursive: true })
    }
  })

  test('a root that is not there yet is waited for', async () => {
    rmSync(root, { recursive: true })
    watching = new Watching()
    await delay(limits.watchRootPollMs)
    assert.deepEqual([watching.hints, watching.warnings.length], [[], 1])
    mkdirSync(root)
    await watching.untilRescan('start')
  })
})

describe('bounds', () => {
  test('more changes than are worth listing become one rescan', async () => {
    const watched = await start({ keysMax: 100 })
    for (let i = 0; i < 1_000; i++) writeFileSync(join(root, `f${i}`), 'x')
    await watched.untilRescan('overflow')
    await delay(3 * limits.watchQuietMs)
    for (const { hint } of watched.hints) assert.ok(hint.kind === 'rescan' || hint.keys.length <= 100)
    mkdirSync(join(root, 'later'))
    writeFileSync(join(root, 'later/x'), 'x')
    await watched.untilKeys('later/x')
  })

  test('hints wait while the caller works, each key once', async () => {
    const abort = new AbortController()
    const hints = watchDirectory(root, { signal: abort.signal, rescanIntervalMs: NEVER_MS })
    assert.deepEqual((await hints.next()).value, { kind: 'rescan', why: 'start' })
    const pulled = hints.next()
    for (let i = 0; i < 3; i++) {
      for (const key of ['a', 'b']) writeFileSync(join(root, key), String(i))
      await delay(10)
    }
    const told: string[] = []
    // The two may come to rest in either order, or apart.
    for (let { value } = await pulled; value?.kind === 'keys'; { value } = await hints.next()) {
      told.push(...value.keys)
      if (told.length >= 2) break
    }
    assert.deepEqual(told.toSorted(), ['a', 'b'])
    abort.abort()
    assert.equal((await hints.next()).done, true)
  })

  test('an abort ends the iteration at once and closes every watch', async () => {
    for (let i = 0; i < 20; i++) mkdirSync(join(root, `d${i}`))
    const before = watchesOfThisProcess()
    const watched = await start()
    if (process.platform === 'linux') assert.equal(watchesOfThisProcess() - before, 21)
    const startMs = performance.now()
    await watched.stop()
    assert.ok(performance.now() - startMs < 1_000)
    await delay(20)
    assert.equal(watchesOfThisProcess(), before)
  })
})

describe('when the system offers no more watches', () => {
  /** Fails as Linux does at its limit of watches, after so many. */
  function limited(count: number): NonNullable<WatchOptions['openWatch']> {
    return (path) => {
      if (count-- > 0) return watch(path)
      throw Object.assign(new Error(`ENOSPC: System limit for number of file watchers reached, watch '${path}'`), {
        code: 'ENOSPC',
      })
    }
  }

  test('rescans go on alone, with one warning', async () => {
    for (const name of ['a', 'b', 'c']) mkdirSync(join(root, name))
    const before = watchesOfThisProcess()
    const watched = await start({ openWatch: limited(2), rescanIntervalMs: 50 })
    await watched.untilRescan('interval', 2)
    assert.equal(watched.warnings.length, 1)
    assert.match(watched.warnings[0]!, /cannot watch .*ENOSPC.*compared every 50 ms/)
    assert.equal(watchesOfThisProcess(), before, 'half a view of the tree is given up')
    writeFileSync(join(root, 'a/x'), 'x')
    const soFar = watched.rescans().length
    await watched.untilRescan('interval', soFar + 2)
    assert.deepEqual(watched.keys(), [])
  })

  test('running out while folders are added asks for a rescan at once', async () => {
    const watched = await start({ openWatch: limited(1) })
    mkdirSync(join(root, 'a'))
    await watched.untilRescan('overflow')
    assert.equal(watched.warnings.length, 1)
  })

  test('more folders than the bound are the same', async () => {
    for (const name of ['a', 'b', 'c']) mkdirSync(join(root, name))
    const watched = await start({ foldersMax: 3, rescanIntervalMs: 50 })
    await watched.untilRescan('interval')
    assert.match(watched.warnings.join(), /more than 3 folders/)
  })

  test('an error of an open watch is the same', async () => {
    const opened: FSWatcher[] = []
    const watched = await start({
      openWatch: (path) => {
        opened.push(watch(path))
        return opened.at(-1)!
      },
    })
    opened[0]!.emit('error', Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' }))
    await watched.untilRescan('overflow')
    assert.match(watched.warnings.join(), /EMFILE/)
  })
})

/** inotify watches, as Linux counts them; 0 elsewhere. */
function watchesOfThisProcess(): number {
  if (process.platform !== 'linux') return 0
  const infos = readdirSync('/proc/self/fdinfo').map((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
    } catch {
      return ''
    }
  })
  return infos.join('').split('inotify wd:').length - 1
}
