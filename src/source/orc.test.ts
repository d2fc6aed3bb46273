/** Files that two other programs wrote (`test/golden/inventory/make.py`), read here. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isFault } from '../base/fault.ts'
import { type OrcValue, readOrc } from './orc.ts'
import { unpackSnappy } from './snappy.ts'

const FOLDER = join(import.meta.dirname, '../../test/golden/inventory')

type Row = Record<string, OrcValue>

async function rowsOf(file: string, names: readonly string[]): Promise<Row[]> {
  const rows: Row[] = []
  for await (const { rows: count, columns } of readOrc(file, names)) {
    for (let at = 0; at < count; at++)
      rows.push(Object.fromEntries([...columns].map(([name, values]) => [name, values[at] ?? null])))
  }
  return rows
}

describe('an ORC file', () => {
  const expected = JSON.parse(readFileSync(join(FOLDER, 'rows.json'), 'utf8')) as Row[]
  const files = {
    'packed with zlib': 'orc/data/zlib.orc',
    'packed with Snappy, texts in dictionaries': 'orc/snappy.orc',
    'not packed, texts as they are': 'orc/none.orc',
    'packed with zstd': 'orc/zstd.orc',
    'with runs of the first form': 'orc/runs-v1.orc',
  }
  for (const [what, file] of Object.entries(files)) {
    it(`${what} gives the rows that were written`, async () => {
      assert.deepEqual(await rowsOf(join(FOLDER, file), Object.keys(expected[0]!)), expected)
    })
  }

  for (const version of ['0.11', '0.12']) {
    it(`has numbers in every form of run (version ${version})`, async () => {
      const numbers = JSON.parse(readFileSync(join(FOLDER, 'orc/numbers.json'), 'utf8')) as number[]
      const rows = await rowsOf(join(FOLDER, `orc/numbers-${version}.orc`), ['n', 'b', 'm'])
      assert.deepEqual(
        rows,
        numbers.map((n, at) => ({ n, b: at % 9 === 0 ? null : ((n % 3) + 3) % 3 === 0, m: at })),
      )
    })
  }

  it('gives nothing for a column that it does not have', async () => {
    const rows = await rowsOf(join(FOLDER, 'orc/none.orc'), ['key', 'object_owner'])
    assert.deepEqual(Object.keys(rows[0]!), ['key'])
  })

  it('that is damaged or cut off anywhere is refused, or read as other values, and nothing else', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'tidewater-orc-'))
    const sound = readFileSync(join(FOLDER, 'orc/snappy.orc'))
    try {
      await fc.assert(
        fc.asyncProperty(fc.nat(sound.length - 1), fc.nat(255), fc.boolean(), async (at, byte, cut) => {
          const bytes = Buffer.from(sound)
          bytes[at] = byte
          const file = join(dir, 'damaged.orc')
          writeFileSync(file, cut ? bytes.subarray(0, at) : bytes)
          const names = ['key', 'size', 'last_modified_date', 'is_latest', 'e_tag']
          await rowsOf(file, names).catch((error: unknown) =>
            assert.ok(isFault(error), error instanceof Error ? error.stack : String(error)),
          )
        }),
        { numRuns: 150 },
      )
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})

describe('Snappy', () => {
  it('copies what overlaps itself', () => {
    // "ab" and then 8 bytes from 2 before.
    assert.equal(Buffer.from(unpackSnappy(Uint8Array.of(10, 4, 97, 98, 0x1e, 2, 0), 100)).toString(), 'ababababab')
  })

  it('refuses what is larger than allowed, cut off, or copies from before its start', () => {
    assert.throws(
      () => unpackSnappy(Uint8Array.of(10, 4, 97, 98, 0x1e, 2, 0), 9),
      (error) => isFault(error, 'limit'),
    )
    assert.throws(
      () => unpackSnappy(Uint8Array.of(10, 4, 97), 100),
      (error) => isFault(error, 'corrupt'),
    )
    assert.throws(
      () => unpackSnappy(Uint8Array.of(10, 4, 97, 98, 0x1e, 3, 0), 100),
      (error) => isFault(error, 'corrupt'),
    )
  })
})
