import assert from 'node:assert/strict'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { Duck, type DuckSession, ident, listLiteral, literal } from './duck.ts'

describe('the door to DuckDB', () => {
  let duck: Duck
  let session: DuckSession
  before(async () => {
    duck = await Duck.open({ memoryMiB: 256, threads: 2 })
    session = await duck.connect()
  })
  after(() => {
    session.close()
    duck.close()
  })

  test('any text without NUL comes back from a literal as it was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme' }), async (text) => {
        fc.pre(!text.includes('\0') && text.isWellFormed())
        assert.equal(await session.value(`SELECT ${literal(text)}`), text)
        assert.equal(await session.value(`SELECT ${listLiteral([text, 'x'])}[1]`), text)
      }),
      { numRuns: 60 },
    )
  })

  test('a name with quotes is one identifier', async () => {
    const [row] = await session.rows(`SELECT 1 AS ${ident('a"; DROP TABLE x; --')}`)
    assert.deepEqual(row, { 'a"; DROP TABLE x; --': 1 })
  })

  test('a text with NUL is refused', () => {
    assert.throws(() => literal('a\0b'), { name: 'Fault', kind: 'invalid' })
  })

  test('a transaction that throws leaves nothing behind, and the connection is usable', async () => {
    await session.run('CREATE TABLE t (a INTEGER)')
    await assert.rejects(
      session.transaction(async () => {
        await session.run('INSERT INTO t VALUES (1)')
        throw new Error('no')
      }),
      /no/,
    )
    assert.equal(await session.value('SELECT count(*) FROM t'), 0n)
  })

  test('pages give all rows, a bounded number at a time', async () => {
    let rows = 0
    for await (const page of session.pages('SELECT * FROM range(10000)')) {
      assert.ok(page.length <= 2048)
      rows += page.length
    }
    assert.equal(rows, 10_000)
  })

  test('an interrupted statement is told as cancelled', async () => {
    const other = await duck.connect()
    const running = other.run('SELECT sum(a.range * b.range) FROM range(100000) a, range(100000) b')
    const ended = assert.rejects(running, { name: 'Fault', kind: 'cancelled' })
    setTimeout(() => other.interrupt(), 50)
    await ended
    other.close()
  })

  test('a file that was read leaves nothing of it in memory', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-duck-'))
    try {
      const file = literal(path.join(dir, 'rows.parquet'))
      await session.run(`COPY (SELECT range AS a, md5(range::VARCHAR) AS b FROM range(100000)) TO ${file}`)
      const read = `SELECT count(DISTINCT b) FROM read_parquet(${file})`
      assert.equal(await session.value(read), 100_000n)
      const kept = "SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'EXTERNAL_FILE_CACHE'"
      assert.equal(await session.value(kept), 0n)
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })

  test('without a spill folder nothing is spilled: too little memory is fault limit, and no file appears', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-duck-'))
    const before = process.cwd()
    process.chdir(dir)
    const small = await Duck.open({ memoryMiB: 32, threads: 1 })
    try {
      const one = await small.connect()
      await assert.rejects(
        one.run('CREATE TABLE big AS SELECT range AS a, md5(range::VARCHAR) AS b FROM range(5000000) ORDER BY b'),
        {
          name: 'Fault',
          kind: 'limit',
        },
      )
      await assert.rejects(access(path.join(dir, '.tmp')))
    } finally {
      small.close()
      process.chdir(before)
      await rm(dir, { recursive: true, force: true })
    }
  })
})
