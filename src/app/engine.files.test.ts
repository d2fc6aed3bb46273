/** Files dropped in a directory, with everything behind them: real files, logs, tables and dead letters. */
import assert from 'node:assert/strict'
import { appendFile, mkdir, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { Random } from '../../test/simulate/random.ts'
import { Random as Dice } from '../../test/simulate/random.ts'
import { type EngineBench, withEngine } from '../../test/support/engine-bench.ts'
import { systemClock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { Sources } from '../service/streams/streams.ts'
import { openFileStore } from '../store/file.ts'
import { parseConfig } from './config.ts'

const columns = {
  id: 'LONG',
  name: 'STRING',
  price: 'DECIMAL(9, 2)',
  sold: 'BOOLEAN',
  at: 'TIMESTAMP',
  tags: 'ARRAY<STRING>',
}
const sales = { table: 'demo.sales', columns }
const LONG_AGO = new Date('2026-01-01T00:00:00Z')

interface Drop {
  sources: Sources
  notices: string[]
  dir: string
  /** Writes a file as of long ago, so that it is taken at the first look. */
  put: (name: string, bytes: string | Uint8Array) => Promise<string>
  /** Waits until `what` holds. */
  until: (what: () => Promise<boolean> | boolean) => Promise<void>
}

async function dropping<T>(bench: EngineBench, files: object, work: (drop: Drop) => Promise<T>): Promise<T> {
  const dir = path.join(bench.dir, 'drop')
  await mkdir(dir, { recursive: true })
  const notices: string[] = []
  const settings = { stream: 'sales', files: { directory: dir, quietSeconds: 0.2, ...files } }
  const sources = new Sources({
    configured: parseConfig({ streams: { sales }, sources: { sales: settings } }, 'test').sources,
    streams: bench.engine.streams,
    clock: systemClock,
    duck: bench.engine.duck,
    ledgerPath: path.join(bench.dir, 'files.db'),
    openDirectory: (directory) => openFileStore({ root: directory }),
    resolve: (named) => path.resolve(bench.dir, named),
    joinKafka: () => Promise.reject(new Fault('unsupported', 'no Kafka here')),
    notice: (text) => notices.push(text),
  })
  sources.start()
  const put = async (name: string, bytes: string | Uint8Array) => {
    const file = path.join(dir, name)
    await mkdir(path.dirname(file), { recursive: true })
    // Under another name until it is whole, as a careful writer does.
    await writeFile(`${file}.tmp`, bytes)
    await utimes(`${file}.tmp`, LONG_AGO, LONG_AGO)
    await rename(`${file}.tmp`, file)
    return file
  }
  const until = async (what: () => Promise<boolean> | boolean) => {
    for (let tries = 0; !(await what()); tries++) {
      assert.ok(tries < 600, `never came about: ${notices.join('\n')} ${JSON.stringify(sources.status())}`)
      await delay(20)
    }
  }
  try {
    return await work({ sources, notices, dir, put, until })
  } finally {
    await sources.close()
  }
}

/** Entries that the stream's log has been given. */
const end = (bench: EngineBench) => bench.engine.streams.get('sales').offsets.end

async function rows(bench: EngineBench, columnsWanted = 'id'): Promise<unknown[]> {
  await bench.engine.drain()
  return bench.sql(`SELECT ${columnsWanted} FROM demo.sales ORDER BY id`)
}

const letters = (bench: EngineBench) =>
  bench.sql(
    'SELECT code, reason, subject, decode(payload) AS bytes FROM tidewater.dead_letters ORDER BY subject, reason',
  )

test('lines, CSV and Parquet become the same rows, packed or not', async () => {
  await withEngine({ streams: { sales } }, async (bench) => {
    const json = (id: number) =>
      `{"id":${id},"name":"a,\\"b\\"","price":1.50,"sold":true,"at":"2026-11-21T04:00:00","tags":["x"]}`
    const csv = (id: number) =>
      `id,name,price,sold,at,tags\n${id},"a,""b""",1.50,TRUE,2026-11-21T04:00:00,"[""x""]"\r\n`
    await dropping(bench, {}, async ({ put, until, dir }) => {
      await put('one.ndjson', `${json(1)}\n\n${json(2)}`)
      await put('deep/er/two.jsonl.gz', gzipSync(`${json(3)}\n`))
      await put('three.ndjson.zst', zstdCompressSync(Buffer.from(json(4))))
      await put('four.csv', `\ufeff${csv(5)}`)
      await put('five.csv.gz', gzipSync(csv(6)))
      await put('six.tsv', csv(7).replace('"[""x""]"', '["x"]').replaceAll(',', '\t').replace('a\t', 'a,'))
      const session = await bench.engine.duck.connect()
      const parquet = path.join(dir, 'seven.parquet')
      await session.run(
        `COPY (SELECT i AS id, 'a,"b"' AS name, 1.50::DECIMAL(9, 2) AS price, true AS sold,
           TIMESTAMP '2026-11-21 04:00:00' AS at, ['x'] AS tags FROM range(8, 10) t(i)) TO '${parquet}.tmp' (FORMAT parquet)`,
      )
      session.close()
      await rename(`${parquet}.tmp`, parquet)
      await until(() => end(bench) === 9)
    })
    const expected = await rows(
      bench,
      'id, name, price, sold, CAST("at" AS VARCHAR) AS sold_at, CAST(tags AS VARCHAR) AS tags',
    )
    assert.equal(expected.length, 9)
    for (const [at, row] of expected.entries())
      assert.deepEqual(row, { ...(expected[0] as object), id: BigInt(at + 1) })
    assert.deepEqual(await letters(bench), [])
    assert.match(
      JSON.stringify(expected[0], (_name, value) => (typeof value === 'bigint' ? Number(value) : value)),
      /"name":"a,\\"b\\""/,
    )
  })
})

test('a file is taken once: after restarts, under another name, and brought again', async () => {
  await withEngine({ streams: { sales } }, async (bench) => {
    await dropping(bench, {}, async ({ put, until }) => {
      await put('a.ndjson', '{"id":1}\n{"id":2}\n')
      await until(() => end(bench) === 2)
    })
    await bench.restart()
    await dropping(bench, {}, async ({ put, until, dir }) => {
      await rename(path.join(dir, 'a.ndjson'), path.join(dir, 'b.ndjson'))
      await put('mark.ndjson', '{"id":3}\n')
      await until(() => end(bench) === 3)
      await rm(path.join(dir, 'b.ndjson'))
      await put('again/a.ndjson', '{"id":1}\n{"id":2}\n')
      await put('mark2.ndjson', '{"id":4}\n')
      await until(() => end(bench) === 4)
      // A copy beside it, and other bytes under its name, are other files.
      await put('copy.ndjson', '{"id":1}\n{"id":2}\n')
      await until(() => end(bench) === 6)
      await put('again/a.ndjson', '{"id":1}\n{"id":5}\n')
      await until(() => end(bench) === 8)
    })
    assert.deepEqual(
      (await rows(bench)).map((row) => Number((row as { id: bigint }).id)),
      [1, 1, 1, 2, 2, 3, 4, 5],
    )
  })
})

test('a file that is being written is waited for', async () => {
  await withEngine({ streams: { sales } }, async (bench) => {
    await dropping(bench, { quietSeconds: 0.5 }, async ({ dir, until }) => {
      const file = path.join(dir, 'slow.ndjson')
      for (let id = 0; id < 12; id++) {
        await appendFile(file, `{"id":${id}`)
        await delay(100)
        assert.equal(end(bench), 0)
        await appendFile(file, '}\n')
      }
      await until(() => end(bench) === 12)
    })
    assert.equal((await rows(bench)).length, 12)
    assert.deepEqual(await letters(bench), [])
  })
})

test('bad rows and bad files are dead letters that say where, and the others are rows', async () => {
  await withEngine({ streams: { sales } }, async (bench) => {
    await dropping(bench, { after: 'delete' }, async ({ put, until, dir }) => {
      await put('a.ndjson', '{"id":1}\nno json\n{"id":"x"}\n{"id":2}\n')
      await put('b.csv', 'id,name\n3,ok\n4\n5,"open\n6,ok\n')
      await put('c.parquet', 'PAR1 is not enough')
      const packed = gzipSync(`${'{"id":7}\n'.repeat(50_000)}`)
      await put('d.ndjson.gz', packed.subarray(0, packed.length - 20))
      await put('e.csv', 'id,id\n1,2\n')
      await put('f.ndjson', '{"id":8}\n')
      await until(async () => (await readdir(dir)).every((name) => /^[cde]\./.test(name)))
    })
    const taken = (await rows(bench)).map((row) => Number((row as { id: bigint }).id))
    assert.deepEqual(
      taken.filter((id) => id !== 7),
      [1, 2, 3, 6, 8],
    )
    const told = await letters(bench)
    assert.deepEqual(
      told.map(({ code, bytes, subject }) => [code, bytes, String(subject).replace(/#[0-9a-f]{24}/, '')]),
      [
        ['InvalidJson', 'no json', 'sales/files a.ndjson/0/2'],
        ['WrongType', '{"id":"x"}', 'sales/files a.ndjson/0/3'],
        ['InvalidRow', '4\n', 'sales/files b.csv/0/3'],
        ['InvalidRow', '5,"open\n', 'sales/files b.csv/0/4'],
        ['InvalidFile', 'c.parquet', `sales/files c.parquet/0/${Number.MAX_SAFE_INTEGER - 1}`],
        ['InvalidFile', 'd.ndjson.gz', `sales/files d.ndjson.gz/0/${Number.MAX_SAFE_INTEGER - 1}`],
        ['InvalidFile', 'e.csv', `sales/files e.csv/0/${Number.MAX_SAFE_INTEGER - 1}`],
      ],
    )
    assert.match(String(told[2]?.['reason']), /line 3: expected 2 fields, got 1/)
    assert.match(String(told[5]?.['reason']), /d\.ndjson\.gz: cannot be unpacked: .*its rows up to \d+ are taken/)
    // Told once, however often it is looked at.
    await bench.restart()
    await dropping(bench, { after: 'delete' }, async ({ put, until }) => {
      await put('g.ndjson', '{"id":9}\n')
      await until(async () => (await rows(bench)).some((row) => Number((row as { id: bigint }).id) === 9))
    })
    assert.equal((await letters(bench)).length, 7)
  })
})

test('files that were taken are moved away, never over another one, and what is there is not taken again', async () => {
  await withEngine({ streams: { sales } }, async (bench) => {
    await dropping(
      bench,
      { after: 'move', moveTo: path.join(bench.dir, 'drop', 'done') },
      async ({ put, until, dir }) => {
        await put('x/a.ndjson', '{"id":1}\n')
        await until(() => end(bench) === 1)
        await put('x/a.ndjson', '{"id":2}\n')
        await until(async () => (await readdir(path.join(dir, 'done', 'x')).catch(() => [])).length === 2)
        assert.deepEqual((await readdir(path.join(dir, 'done', 'x'))).sort(), ['a.ndjson', 'a.ndjson.1'])
        await put('b.ndjson', '{"id":3}\n')
        await until(() => end(bench) === 3)
      },
    )
    assert.equal((await rows(bench)).length, 3)
  })
})

test('names that are not asked for are left alone', async () => {
  await withEngine({ streams: { sales } }, async (bench) => {
    await dropping(bench, { match: ['sales-*.csv', 'extra?.log'], format: 'ndjson' }, async ({ put, until }) => {
      await put('sales-1.csv', '{"id":1}\n')
      await put('other.csv', '{"id":2}\n')
      await put('.sales-2.csv', '{"id":3}\n')
      await put('sales-3.csv.part', '{"id":4}\n')
      await put('extra1.log', '{"id":5}\n')
      await until(() => end(bench) === 2)
    })
    assert.deepEqual(
      (await rows(bench)).map((row) => Number((row as { id: bigint }).id)),
      [1, 5],
    )
  })
})

test('large files are taken once, whatever stops their taking in the middle', async () => {
  const seed = Number(process.env['TIDEWATER_SEED'] ?? 7)
  const random: Random = new Dice(seed)
  await withEngine({ streams: { sales } }, async (bench) => {
    const count = 9_000
    const lines = Array.from({ length: count }, (_, id) =>
      random.chance(0.01) ? `bad ${id}` : `{"id":${id},"name":"${'n'.repeat(random.below(900))}"}`,
    )
    const good = lines.filter((line) => line.startsWith('{')).length
    await dropping(bench, {}, async ({ put }) => {
      await put('big.ndjson', lines.join('\n'))
      await put('big.csv', `id,name\n${lines.map((_, id) => `${id},c`).join('\n')}`)
    })
    const wanted = good + count
    for (let round = 0; ; round++) {
      assert.ok(round < 60, `seed ${seed}: never ends`)
      const before = end(bench)
      const taken = await dropping(bench, {}, async ({ until, sources }) => {
        // Stopped somewhere on the way, and the logs with it.
        const goal = Math.min(2 * count, before + 1 + random.below(5_000))
        await until(() => end(bench) >= goal)
        if (round % 2 === 1) await bench.engine.streams.drain('sales')
        if (goal < 2 * count) return false
        await until(() => sources.status()[0]?.waiting === 0)
        return true
      })
      if (taken) break
      await bench.restart()
    }
    const seen = await rows(bench, 'id, name')
    assert.equal(seen.length, wanted)
    const [distinct] = await bench.sql('SELECT count(*)::INTEGER AS n FROM (SELECT DISTINCT id, name FROM demo.sales)')
    assert.equal(distinct?.['n'], wanted)
    assert.equal((await letters(bench)).length, count - good)
  })
})
