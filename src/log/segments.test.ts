import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { logContract } from '../../test/contract/log.ts'
import { type Fault, isFault } from '../base/fault.ts'
import type { Log } from './log.ts'
import { type LogFs, nodeLogFs } from './log-fs.ts'
import { openSegmentLog } from './segments.ts'

const folders: string[] = []
const opened: Log[] = []
afterEach(async () => {
  for (const log of opened.splice(0)) await log.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tidewater-segments-'))
  folders.push(path)
  return path
}

async function open(dir: string, segmentBytesMax?: number): Promise<Log> {
  const log = await openSegmentLog({ dir, name: 'numbers', ...(segmentBytesMax ? { segmentBytesMax } : {}) })
  opened.push(log)
  return log
}

const first = '00000000000000000000'
const numbered = (from: number, count: number) => Array.from({ length: count }, (_, at) => `{"n":${from + at}}`)
const offsets = (entries: { offset: number }[]) => entries.map(({ offset }) => offset)

logContract('segments', () => open(folder()))
logContract('segments of a few bytes', () => open(folder(), 100))

describe('segment log on disk', () => {
  it('holds after reopening what was appended, and continues its offsets', async () => {
    const dir = folder()
    for (let round = 0; round < 4; round++) {
      const log = await open(dir)
      assert.equal(log.end, 3 * round)
      assert.equal(await log.append(numbered(3 * round, 3)), 3 * round)
      assert.deepEqual(offsets(await log.read(0, 100)), [...Array(3 * round + 3).keys()])
      await log.close()
    }
  })

  it('does not reuse offsets after a trim of everything and a restart', async () => {
    const dir = folder()
    let log = await open(dir)
    await log.append(numbered(0, 7))
    await log.seal(0, 1)
    await log.trim(7)
    await log.close()
    log = await open(dir)
    assert.equal(log.start, 7)
    assert.equal(log.end, 7)
    assert.equal(await log.append(numbered(7, 1)), 7)
  })

  it('goes on at an offset given, as if what was before had been trimmed', async () => {
    const begin = async (dir: string, endAtLeast: number) => {
      const log = await openSegmentLog({ dir, name: 'numbers', endAtLeast })
      opened.push(log)
      return log
    }
    for (const entries of [0, 5]) {
      const dir = folder()
      let log = await open(dir)
      if (entries > 0) {
        await log.append(numbered(0, 3))
        await log.seal(0, 1)
        await log.append(numbered(3, 2))
      }
      await log.close()
      log = await begin(dir, 40)
      assert.deepEqual([log.start, log.end], [40, 40])
      assert.deepEqual(await log.read(40, 9), [])
      await assert.rejects(log.read(4, 1), (error) => isFault(error, 'not-found'))
      assert.equal(await log.append(numbered(40, 2)), 40)
      await log.close()
      assert.deepEqual(
        readdirSync(join(dir, 'numbers')).filter((name) => name.startsWith(first)),
        [],
      )
      log = await begin(dir, 41)
      assert.deepEqual(offsets(await log.read(40, 9)), [40, 41], 'a log that is there already keeps what it holds')
      await log.close()
      log = await open(dir)
      assert.equal(await log.append(numbered(42, 1)), 42)
    }
  })

  it('begins a new segment when the active one would grow beyond its bound', async () => {
    const dir = folder()
    const log = await open(dir, 1_000)
    for (let at = 0; at < 100; at++) await log.append(numbered(at, 1))
    const segments = await log.seal(0, 1e9)
    assert.ok(segments.length >= 2)
    for (const [at, segment] of segments.entries()) {
      assert.ok(segment.bytes <= 1_000)
      assert.equal(segment.first, segments[at - 1]?.end ?? 0)
    }
    assert.deepEqual(offsets(await log.read(0, 1_000)), [...Array(100).keys()])
  })

  it('cuts a torn tail: bytes without a frame, a frame without its bytes, half a frame', async () => {
    const tear: Record<string, (path: string) => void> = {
      'bytes without a frame': (path) => appendFileSync(`${path}.ndjson`, '{"offset":4,"n":4}\n{"off'),
      'half a frame': (path) => appendFileSync(`${path}.frames`, Buffer.alloc(17, 7)),
      'a frame of noise': (path) => appendFileSync(`${path}.frames`, Buffer.alloc(120, 7)),
    }
    for (const [what, damage] of Object.entries(tear)) {
      const dir = folder()
      let log = await open(dir)
      await log.append(numbered(0, 2))
      await log.append(numbered(2, 2))
      await log.close()
      damage(join(dir, 'numbers', first))
      log = await open(dir)
      assert.deepEqual(offsets(await log.read(0, 10)), [0, 1, 2, 3], what)
      assert.equal(await log.append(numbered(4, 1)), 4)
      assert.deepEqual(offsets(await log.read(0, 10)), [0, 1, 2, 3, 4], what)
    }
  })

  it('keeps or drops a last append as a whole', async () => {
    const dir = folder()
    const log = await open(dir)
    await log.append(numbered(0, 2))
    await log.append(numbered(2, 5_000))
    const data = readFileSync(join(dir, 'numbers', `${first}.ndjson`))
    const frames = readFileSync(join(dir, 'numbers', `${first}.frames`))
    const cut = (dataBytes: number, frameBytes: number) => async () => {
      const copy = folder()
      await (await open(copy)).close()
      writeFileSync(join(copy, 'numbers', `${first}.ndjson`), data.subarray(0, dataBytes))
      writeFileSync(join(copy, 'numbers', `${first}.frames`), frames.subarray(0, frameBytes))
      const reopened = await open(copy)
      return reopened.end
    }
    assert.equal(await cut(data.length, frames.length)(), 5_002)
    assert.equal(await cut(data.length - 1, frames.length)(), 2)
    assert.equal(await cut(data.length / 2, frames.length)(), 2)
    assert.equal(await cut(data.length, frames.length - 40)(), 2)
    assert.equal(await cut(data.length, 40)(), 2)
    assert.equal(await cut(data.length, 39)(), 0)
  })

  it('names file and position when a sealed segment is damaged, and still reads what is around', async () => {
    const dir = folder()
    let log = await open(dir)
    for (const at of [0, 1, 2]) await log.append(numbered(at, 1))
    await log.seal(0, 1)
    await log.append(numbered(3, 1))
    await log.close()
    const path = join(dir, 'numbers', `${first}.ndjson`)
    const bytes = readFileSync(path)
    const at = '{"offset":0,"n":0}\n'.length
    bytes[at + 16] = 0x37
    writeFileSync(path, bytes)
    log = await open(dir)
    const corrupt = (error: unknown) =>
      isFault(error, 'corrupt') &&
      error.facts['path'] === path &&
      error.facts['position'] === at &&
      error.facts['offset'] === 1
    await assert.rejects(log.read(0, 10), corrupt)
    await assert.rejects(log.read(1, 1), corrupt)
    await assert.rejects(log.seal(0, 1e9), corrupt)
    assert.deepEqual(offsets(await log.read(0, 1)), [0])
    assert.deepEqual(offsets(await log.read(2, 10)), [2, 3])
    assert.equal(await log.append(numbered(4, 1)), 4)
  })

  it('does not take damage to acknowledged entries for a torn tail', async () => {
    const dir = folder()
    let log = await open(dir)
    await log.append(numbered(0, 2))
    await log.close()
    const path = join(dir, 'numbers', `${first}.ndjson`)
    truncateSync(path, 20)
    log = await open(dir)
    assert.equal(log.end, 2)
    await assert.rejects(log.read(0, 1), (error) => isFault(error, 'corrupt'))
    await log.close()
    const frames = join(dir, 'numbers', `${first}.frames`)
    const bytes = readFileSync(frames)
    bytes[3] = 1
    writeFileSync(frames, bytes)
    await assert.rejects(
      openSegmentLog({ dir, name: 'numbers' }),
      (error) => isFault(error, 'corrupt') && error.facts['path'] === frames,
    )
  })

  it('does not read past a hole: missing files of sealed segments are named', async () => {
    for (const missing of ['ndjson', 'frames']) {
      const dir = folder()
      let log = await open(dir)
      for (const at of [0, 1, 2]) {
        await log.append(numbered(at, 1))
        await log.seal(0, 1)
      }
      await log.close()
      const path = join(dir, 'numbers', `00000000000000000001.${missing}`)
      rmSync(path)
      log = await open(dir)
      await assert.rejects(log.read(1, 10), (error) => isFault(error, 'corrupt'), missing)
      await assert.rejects(log.seal(0, 1e9), (error) => isFault(error, 'corrupt'), missing)
      assert.deepEqual(offsets(await log.read(2, 10)), [2])
    }
  })

  it('leaves no gap when a trimmed segment cannot be removed: newer ones wait for it', async () => {
    const dir = folder()
    let failing = false
    const fs: LogFs = {
      ...nodeLogFs,
      remove: async (path) => {
        if (failing) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
        await nodeLogFs.remove(path)
      },
    }
    const log = await openSegmentLog({ dir, name: 'numbers', fs })
    for (let round = 0; round < 4; round++) {
      await log.append(numbered(2 * round, 2))
      await log.seal(0, 1)
    }
    failing = true
    await assert.rejects(log.trim(2), (error) => isFault(error, 'unavailable'))
    failing = false
    await log.trim(6)
    assert.equal(log.start, 6)
    assert.deepEqual(
      readdirSync(join(dir, 'numbers')).filter((name) => /^0.*[0-5]\.ndjson$/.test(name)),
      [],
    )
    await log.append(numbered(8, 1))
    failing = true
    await assert.rejects(log.trim(8))
    await log.close()
    const again = await open(dir)
    assert.equal(again.start, 6)
    assert.deepEqual(offsets(await again.read(6, 10)), [6, 7, 8])
    await again.seal(6, Number.MAX_SAFE_INTEGER)
  })

  it('removes what an interrupted trim left', async () => {
    const dir = folder()
    let log = await open(dir)
    for (const at of [0, 1]) {
      await log.append(numbered(at, 1))
      await log.seal(0, 1)
    }
    await log.close()
    rmSync(join(dir, 'numbers', `${first}.ndjson`))
    log = await open(dir)
    assert.equal(log.start, 1)
    assert.deepEqual(offsets(await log.read(1, 10)), [1])
    assert.ok(!readdirSync(join(dir, 'numbers')).includes(`${first}.frames`))
  })

  it('has one owner: a second open in the process is refused, until the first closes', async () => {
    const dir = folder()
    const log = await open(dir)
    await assert.rejects(
      open(dir),
      (error) => isFault(error, 'conflict') && error.message.includes(`process ${process.pid}`),
    )
    await log.close()
    await open(dir)
  })

  it('is refused to another process while held, and free when that one is killed', async () => {
    const dir = folder()
    const module = join(import.meta.dirname, 'segments.ts')
    const script = `
      const { openSegmentLog } = await import(${JSON.stringify(module)})
      const log = await openSegmentLog({ dir: ${JSON.stringify(dir)}, name: 'numbers' })
      await log.append(['{"n":0}'])
      console.log('held')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    await once(child.stdout, 'data')
    const refused = await open(dir).catch((error: Fault) => error)
    assert.ok(isFault(refused, 'conflict') && refused.message.includes(`process ${child.pid}`))
    child.kill('SIGKILL')
    await ended
    const log = await open(dir)
    assert.equal(log.end, 1)
  })

  it('refuses a name that is not a folder name', async () => {
    for (const name of ['', '..', 'a/b', '.hidden', 'x'.repeat(101)]) {
      await assert.rejects(openSegmentLog({ dir: folder(), name }), (error) => isFault(error, 'invalid'))
    }
  })
})
