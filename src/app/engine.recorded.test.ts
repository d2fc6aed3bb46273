/**
 * The messages recorded from real stores: told as they came, and told in another order for each bucket, repeated, in other batches,
 * with a stop in between, there are the same rows in all three tables and in the view.
 *
 * That each order of a version's events gives the same state is shown by `version-state.recorded.test.ts`; here it is what becomes of it.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { Random } from '../../test/simulate/random.ts'
import { TABLES, withEngine } from '../../test/support/engine-bench.ts'

const FILES = ['minio-webhook', 'versitygw-webhook', 'moto-s3-sqs', 'moto-s3-eventbridge-sqs']
/** Of each file; each with buckets of its own. */
const ORDERS = 8
const REPEATED = 0.2

/** Bodies of a file's messages, as they came. */
function recorded(name: string): { body: string; bucket: string }[] {
  return readFileSync(new URL(`../../test/golden/payloads/${name}.jsonl`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { body: string; bucket: string })
}

/** The series of bodies, the buckets of each under names of its own. */
function series(): string[][] {
  return FILES.flatMap((name) => {
    const messages = recorded(name)
    const buckets = [...new Set(messages.map(({ bucket }) => bucket))].filter((bucket) => bucket !== '')
    return Array.from({ length: ORDERS }, (_, at) =>
      messages.map(({ body }) =>
        buckets.reduce((text, bucket) => text.replaceAll(bucket, `${name}-${at}-${bucket}`), body),
      ),
    )
  })
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item)
}

/** All rows that come of it when every series is told so many messages at a time. */
async function rowsOf(told: readonly string[][], share: number, restart: boolean): Promise<string[]> {
  let rows: string[] = []
  await withEngine({}, async (bench) => {
    const longest = Math.max(...told.map(({ length }) => length))
    for (let from = 0; from < longest; from += share) {
      await bench.ingest(...told.flatMap((bodies) => bodies.slice(from, from + share)))
      if (restart && from === share) await bench.restart()
    }
    const { content, journal, inventory } = await bench.tables()
    const view = await bench.sql('SELECT * FROM s3_metadata_coalesced ORDER BY bucket, key, version_id')
    rows = [
      ...[content, journal, inventory].flatMap((lines, at) =>
        lines.map((line) => `${Object.keys(TABLES)[at]} ${line}`),
      ),
      ...view.map(
        (row) => `view ${JSON.stringify(row, (_, cell) => (typeof cell === 'bigint' ? String(cell) : cell))}`,
      ),
    ]
  })
  return rows
}

for (const seed of [1, 2]) {
  it(`in any order, repeated and in any batches, recorded messages leave the same rows (seed ${seed})`, async () => {
    const random = new Random(seed)
    const told = series()
    const others = told.map((bodies) => shuffled([...bodies, ...bodies.filter(() => random.chance(REPEATED))], random))
    const expected = await rowsOf(told, 60, false)
    const found = await rowsOf(others, 25, true)
    for (const [at, row] of expected.entries()) assert.equal(found[at], row)
    assert.equal(found.length, expected.length)
    for (const name of FILES)
      assert.ok(
        expected.some((row) => row.startsWith('view') && row.includes(`${name}-${ORDERS - 1}-`)),
        name,
      )
  })
}
