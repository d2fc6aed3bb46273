import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '../base/fault.ts'
import { rowChangeText } from '../change/table-change.ts'
import type { Segment } from '../log/log.ts'
import { splitSegment, tableOfEntry } from './segment-split.ts'

async function withFolder(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-split-'))
  try {
    await work(dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function segmentOf(dir: string, lines: readonly string[], first = 0): Promise<Segment> {
  const file = path.join(dir, 'segment.ndjson')
  await writeFile(file, lines.map((line) => `${line}\n`).join(''))
  return { path: file, first, end: first + lines.length, bytes: 0 }
}

const stamped = (offset: number, text: string) => `{"offset":${offset},${text.slice(1)}`

test('every entry is in the slice of its table, in order, and nowhere else', async () => {
  const table = fc.oneof(
    fc.constantFrom('a.b', 'a.c', 'x.y'),
    fc.string({ minLength: 1, maxLength: 6, unit: 'binary' }).filter((text) => text.isWellFormed()),
  )
  const entry = fc.record({ to: fc.option(table, { nil: undefined }), none: fc.boolean(), size: fc.nat(40) })
  await withFolder(async (dir) => {
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 40 }), fc.nat(9), async (entries, first) => {
        const lines = entries.map(({ to, none, size }, at) =>
          stamped(
            first + at,
            rowChangeText(
              { ...(to === undefined || none ? {} : { to }), input: 0, op: none ? 'none' : 'upsert' },
              none ? '{}' : JSON.stringify({ text: `"to":"x.y",${'z'.repeat(size)}` }),
            ),
          ),
        )
        let files = 0
        const scratch = async () => path.join(dir, `slice-${files++}`)
        const expected = (wanted: string) => lines.filter((line) => tableOfEntry(line, 'old') === wanted)
        const names = new Set(entries.flatMap(({ to, none }) => (none ? [] : [to ?? 'old'])))
        const slices = await splitSegment(await segmentOf(dir, lines, first), { untagged: 'old', scratch })
        assert.deepEqual(new Set(slices.keys()), names)
        for (const [name, slice] of slices) {
          assert.equal(
            await readFile(slice.path, 'utf8'),
            expected(name)
              .map((line) => `${line}\n`)
              .join(''),
          )
          assert.deepEqual([slice.entries, slice.bytes], [expected(name).length, (await readFile(slice.path)).length])
        }
      }),
      { numRuns: 60 },
    )
  })
})

test('a part of a segment and one table of it can be asked for', async () => {
  await withFolder(async (dir) => {
    const lines = Array.from({ length: 10 }, (_, at) =>
      stamped(at, rowChangeText({ to: at % 2 === 0 ? 'a.b' : 'a.c', input: 0, op: 'upsert' }, `{"n":${at}}`)),
    )
    const slices = await splitSegment(await segmentOf(dir, lines), {
      untagged: undefined,
      from: 3,
      end: 8,
      only: 'a.b',
      scratch: async () => path.join(dir, 'slice'),
    })
    assert.deepEqual([...slices.keys()], ['a.b'])
    assert.equal(slices.get('a.b')?.entries, 2)
    assert.match(await readFile(path.join(dir, 'slice'), 'utf8'), /^\{"offset":4,.*\n\{"offset":6,.*\n$/)
  })
})

test('segments larger than what is read at once are split all the same, and damage is told', async () => {
  await withFolder(async (dir) => {
    const text = 'x'.repeat(300_000)
    const lines = Array.from({ length: 40 }, (_, at) =>
      stamped(at, rowChangeText({ to: `t.${at % 3}`, input: 0, op: 'upsert' }, JSON.stringify({ text, at }))),
    )
    let files = 0
    const scratch = async () => path.join(dir, `slice-${files++}`)
    const slices = await splitSegment(await segmentOf(dir, lines), { untagged: undefined, scratch })
    for (const [name, slice] of slices) {
      const expected = lines.filter((_, at) => `t.${at % 3}` === name)
      assert.equal(await readFile(slice.path, 'utf8'), `${expected.join('\n')}\n`)
    }
    await assert.rejects(
      splitSegment(await segmentOf(dir, [...lines, 'no entry']), { untagged: undefined, scratch }),
      (error) => isFault(error, 'corrupt'),
    )
  })
})
