import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readingAhead } from './read-ahead.ts'

const SIZE = 1_000
const BYTES = Uint8Array.from({ length: SIZE }, (_, at) => at % 251)

function counted(aheadBytes: number) {
  const asked: [number, number][] = []
  const read = readingAhead(
    async (start, end) => {
      asked.push([start, end])
      return BYTES.slice(start, end)
    },
    SIZE,
    aheadBytes,
  )
  return { asked, read }
}

describe('reading ahead', () => {
  it('gives the bytes that were asked for, whatever the order of the reads', async () => {
    const range = fc.tuple(fc.integer({ min: 0, max: SIZE }), fc.integer({ min: 0, max: SIZE }))
    await fc.assert(
      fc.asyncProperty(fc.array(range, { maxLength: 20 }), fc.integer({ min: 0, max: 300 }), async (ranges, ahead) => {
        const { asked, read } = counted(ahead)
        for (const [one, other] of ranges) {
          const [start, end] = [Math.min(one, other), Math.max(one, other)]
          assert.deepEqual(await read(start, end), BYTES.slice(start, end))
        }
        for (const [start, end] of asked) assert.ok(start <= end && end <= SIZE)
      }),
    )
  })

  it('asks once for what is read in order in many small pieces', async () => {
    const { asked, read } = counted(400)
    for (let at = 0; at < 500; at += 10) await read(at, at + 10)
    assert.deepEqual(asked, [
      [0, 10],
      [10, 410],
      [410, 810],
    ])
  })

  it('asks for no more than what jumping reads want, and never beyond the end', async () => {
    const { asked, read } = counted(100)
    await read(0, 10)
    await read(900, 910)
    await read(500, 510)
    await read(990, 1_000)
    await read(1_000, 1_000)
    assert.deepEqual(asked, [
      [0, 10],
      [900, 910],
      [500, 510],
      [990, 1_000],
      [1_000, 1_000],
    ])
    const { asked: atEnd, read: readEnd } = counted(100)
    await readEnd(900, 950)
    await readEnd(950, 960)
    assert.deepEqual(atEnd.at(-1), [950, 1_000])
  })
})
