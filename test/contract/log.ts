/** What every log keeps (`src/log/log.ts`), run against each adapter. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { afterEach, describe, it } from 'node:test'
import { type FaultKind, isFault } from '../../src/base/fault.ts'
import { limits } from '../../src/base/limits.ts'
import type { EntrySource, Log } from '../../src/log/log.ts'

/** Registers the suite. `open` gives a new, empty log each time. */
export function logContract(adapter: string, open: () => Promise<Log>): void {
  describe(`log contract: ${adapter}`, () => {
    const opened: Log[] = []
    const fresh = async () => {
      const log = await open()
      opened.push(log)
      return log
    }
    afterEach(async () => {
      for (const log of opened.splice(0)) await log.close()
    })

    it('gives offsets 0, 1, 2 … without gaps', async () => {
      const log = await fresh()
      assert.equal(log.start, 0)
      assert.equal(log.end, 0)
      assert.equal(await log.append(['{"a":1}', '{"a":2}']), 0)
      assert.equal(await log.append(['{"a":3}']), 2)
      assert.equal(log.end, 3)
    })

    it('an append of nothing changes nothing', async () => {
      const log = await fresh()
      await log.append(['{"a":1}'])
      assert.equal(await log.append([]), 1)
      assert.equal(log.end, 1)
    })

    it('stores an entry as the same object with its offset in front', async () => {
      const log = await fresh()
      await log.append(['{"a":1}', '{}', '{ }', '{ "b" : [1, 2] }', '{"ü":"\\n 😀"}'])
      assert.deepEqual(await log.read(0, 10), [
        { offset: 0, text: '{"offset":0,"a":1}' },
        { offset: 1, text: '{"offset":1}' },
        { offset: 2, text: '{"offset":2}' },
        { offset: 3, text: '{"offset":3, "b" : [1, 2] }' },
        { offset: 4, text: '{"offset":4,"ü":"\\n 😀"}' },
      ])
    })

    it('reads from any offset, up to a limit, and nothing at the end', async () => {
      const log = await fresh()
      await log.append(numbered(0, 2_500))
      await log.append(numbered(2_500, 1))
      for (const from of [0, 1, 999, 2_499, 2_500]) {
        assert.deepEqual(await log.read(from, 3), stamped(from, Math.min(from + 3, 2_501)))
      }
      assert.deepEqual(await log.read(0, 10_000), stamped(0, 2_501))
      assert.deepEqual(await log.read(2_501, 5), [])
      assert.deepEqual(await log.read(9_999, 5), [])
      assert.deepEqual(await log.read(0, 0), [])
    })

    it('concurrent appends each get their own run of offsets, in the order of the calls', async () => {
      const log = await fresh()
      const firsts = await Promise.all(
        Array.from({ length: 200 }, (_, at) => log.append([`{"n":${2 * at}}`, `{"n":${2 * at + 1}}`])),
      )
      assert.deepEqual(
        firsts,
        Array.from({ length: 200 }, (_, at) => 2 * at),
      )
      assert.deepEqual(await log.read(0, 1_000), stamped(0, 400))
    })

    it('takes entries that write themselves as it takes their texts', async () => {
      const log = await fresh()
      const texts = [...numbered(0, 1_200), '{"ü":"\\n 😀"}']
      assert.equal(await log.append(texts.slice(0, 7)), 0)
      const [one, other] = await Promise.all([log.append(sourceOf(texts.slice(7))), log.append(sourceOf(texts))])
      assert.deepEqual([one, other, log.end], [7, texts.length, texts.length * 2])
      const entries = await log.read(0, 5_000)
      assert.deepEqual(
        entries.map(({ text }) => text),
        [...texts, ...texts].map((text, offset) => `{"offset":${offset},${text.slice(1)}`),
      )
    })

    it('refuses such entries when they are too large or too many, and those that are no objects', async () => {
      const log = await fresh()
      const source = sourceOf(['{"n":0}'])
      await assert.rejects(log.append({ ...source, bytesMax: limits.logEntryBytesMax + 1 }), isLimit)
      await assert.rejects(log.append({ ...source, bytes: limits.logBatchBytesMax + 1 }), isLimit)
      await assert.rejects(log.append({ ...source, length: limits.logBatchEntriesMax + 1 }), isLimit)
      await assert.rejects(log.append(sourceOf(['{"n":0'])))
      assert.equal(log.end, 0)
      assert.equal(await log.append(source), 0)
      assert.deepEqual(await log.read(0, 10), stamped(0, 1))
    })

    const refused: [string, string, FaultKind][] = [
      ['an array', '[1]', 'invalid'],
      ['an empty text', '', 'invalid'],
      ['half an object', '{"a":1', 'invalid'],
      ['a brace alone', '{', 'invalid'],
      ['a line feed', '{"a":\n1}', 'invalid'],
      ['a carriage return', '{"a":\r1}', 'invalid'],
      ['no member name', '{,}', 'invalid'],
      ['an offset of its own', '{"offset":7}', 'invalid'],
      ['half a surrogate pair', '{"a":"\ud800"}', 'invalid'],
      ['too many bytes', `{"a":"${'x'.repeat(limits.logEntryBytesMax)}"}`, 'limit'],
      ['too many bytes in few characters', `{"a":"${'😀'.repeat(limits.logEntryBytesMax / 4)}"}`, 'limit'],
    ]
    for (const [what, text, kind] of refused) {
      it(`refuses an entry with ${what}, and with it the whole append`, async () => {
        const log = await fresh()
        await assert.rejects(log.append(['{"a":1}', text]), (error) => isFault(error, kind))
        assert.equal(log.end, 0)
        assert.equal(await log.append(['{"n":0}']), 0)
        assert.deepEqual(await log.read(0, 10), stamped(0, 1))
      })
    }

    it('refuses a batch with too many entries or bytes', async () => {
      const log = await fresh()
      await assert.rejects(log.append(numbered(0, limits.logBatchEntriesMax + 1)), (error) => isFault(error, 'limit'))
      const large = `{"a":"${'x'.repeat(limits.logEntryBytesMax - 100)}"}`
      await assert.rejects(log.append([large, large, large, large, large]), (error) => isFault(error, 'limit'))
      assert.equal(log.end, 0)
    })

    it('takes and gives back an entry and a batch of full size', async () => {
      const log = await fresh()
      const large = `{"a":"${'x'.repeat(limits.logEntryBytesMax - 8)}"}`
      assert.equal(await log.append([large, large, large, large]), 0)
      assert.equal(await log.append(['{"n":4}']), 4)
      const entries = []
      while (entries.length < 5) entries.push(...(await log.read(entries.length, 5)))
      assert.equal(entries[3]?.text, `{"offset":3,${large.slice(1)}`)
      assert.equal(entries[4]?.text, '{"offset":4,"n":4}')
    })

    it('seals into NDJSON files that hold every entry once', async () => {
      const log = await fresh()
      await log.append(numbered(0, 10))
      const [first, ...none] = await log.seal(0, 1e9)
      assert.deepEqual(none, [])
      assert.deepEqual(
        linesOf(first!.path),
        stamped(0, 10).map(({ text }) => text),
      )
      assert.equal(first!.first, 0)
      assert.equal(first!.end, 10)
      assert.equal(first!.bytes, readFileSync(first!.path).length)
      const before = readFileSync(first!.path)

      await log.append(numbered(10, 5))
      assert.deepEqual(readFileSync(first!.path), before, 'a sealed segment never changes')
      const both = await log.seal(3, 1e9)
      assert.deepEqual(
        both.map(({ first, end }) => [first, end]),
        [
          [0, 10],
          [10, 15],
        ],
      )
      assert.deepEqual(
        (await log.seal(10, 1e9)).map(({ first }) => first),
        [10],
      )
      assert.deepEqual(await log.seal(15, 1e9), [])
      assert.deepEqual(await log.read(8, 4), stamped(8, 12))
    })

    it('gives at least one segment, then only as many as fit the bytes asked for', async () => {
      const log = await fresh()
      for (const at of [0, 1, 2]) {
        await log.append(numbered(at, 1))
        await log.seal(0, 1)
      }
      const bytes = '{"offset":0,"n":0}\n'.length
      const ends = async (bytesMax: number) => (await log.seal(0, bytesMax)).map(({ end }) => end)
      assert.deepEqual(await ends(1), [1])
      assert.deepEqual(await ends(2 * bytes - 1), [1])
      assert.deepEqual(await ends(2 * bytes), [1, 2])
      assert.deepEqual(await ends(3 * bytes), [1, 2, 3])
    })

    it('trims whole sealed segments only, and never reuses their offsets', async () => {
      const log = await fresh()
      await log.append(numbered(0, 10))
      await log.trim(10)
      assert.equal(log.start, 0, 'the active segment stays')
      await log.seal(0, 1)
      await log.append(numbered(10, 10))
      await log.seal(0, 1)
      await log.trim(19)
      assert.equal(log.start, 10)
      assert.deepEqual(await log.read(10, 1), stamped(10, 11))
      await assert.rejects(log.read(9, 1), (error) => isFault(error, 'not-found'))
      await assert.rejects(log.seal(9, 1), (error) => isFault(error, 'not-found'))
      await log.trim(1e9)
      assert.equal(log.start, 20)
      assert.equal(log.end, 20)
      assert.deepEqual(await log.read(20, 5), [])
      assert.equal(await log.append(numbered(20, 1)), 20)
      assert.deepEqual(await log.read(20, 5), stamped(20, 21))
    })

    it('wakes a reader that waits for an offset, and only then', async () => {
      const log = await fresh()
      await log.append(numbered(0, 1))
      await log.waitFor(0)
      let woken = false
      const waiting = log.waitFor(2).then(() => {
        woken = true
      })
      await log.append(numbered(1, 1))
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(woken, false)
      await log.append(numbered(2, 1))
      await waiting
      assert.equal(log.end, 3)
    })

    it('stops waiting when aborted or closed', async () => {
      const log = await fresh()
      const abort = new AbortController()
      const aborted = assert.rejects(log.waitFor(0, abort.signal), /enough/)
      abort.abort(new Error('enough'))
      await aborted
      await assert.rejects(log.waitFor(0, abort.signal), /enough/)
      const closed = assert.rejects(log.waitFor(0), (error) => isFault(error, 'cancelled'))
      await log.close()
      await closed
    })

    it('refuses everything once closed, and closing twice is no error', async () => {
      const log = await fresh()
      const last = log.append(['{"n":0}'])
      await log.close()
      assert.equal(await last, 0, 'what was begun before is finished')
      await log.close()
      for (const call of [log.append(['{}']), log.read(0, 1), log.seal(0, 1), log.trim(0), log.waitFor(5)]) {
        await assert.rejects(call, (error) => isFault(error, 'cancelled'))
      }
    })
  })
}

const isLimit = (error: unknown): boolean => isFault(error, 'limit')

/** Entries as whoever has them as bytes brings them. */
function sourceOf(texts: readonly string[]): EntrySource {
  const sizes = texts.map((text) => Buffer.byteLength(text))
  return {
    length: texts.length,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    bytesMax: Math.max(...sizes),
    write: (at, into, from) => from + into.write(`,${texts[at]!.slice(1)}`, from),
  }
}

function numbered(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `{"n":${from + at}}`)
}

function stamped(from: number, end: number): { offset: number; text: string }[] {
  return Array.from({ length: end - from }, (_, at) => ({
    offset: from + at,
    text: `{"offset":${from + at},"n":${from + at}}`,
  }))
}

function linesOf(path: string): string[] {
  const text = readFileSync(path, 'utf8')
  assert.ok(text.endsWith('\n'), 'the last line is ended too')
  return text.slice(0, -1).split('\n')
}
