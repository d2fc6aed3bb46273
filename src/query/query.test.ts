import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Lake } from '../../test/query/lake.ts'
import { type Fault, isFault } from '../base/fault.ts'
import type { QuerySession } from './query.ts'
import type { Cell } from './values.ts'

describe('a query session', () => {
  let lake: Lake
  let session: QuerySession
  const ids: bigint[] = []

  before(async () => {
    lake = await Lake.open()
    await lake.create('default.orders', {
      id: 'long',
      item: 'string',
      price: 'decimal(9,2)',
      made: 'timestamptz',
      day: 'date',
    })
    for (const [index, price] of ['1.50', '2.00', '3.25'].entries()) {
      lake.clock.set(Date.UTC(2024, 0, 1 + index))
      ids.push(
        await lake.append(
          'default.orders',
          `SELECT ${index + 1} AS id, 'item ${index + 1}' AS item, ${price} AS price,
            TIMESTAMPTZ '2024-01-0${index + 1} 00:00:00.000004Z' AS made, DATE '2024-01-0${index + 1}' AS day`,
        ),
      )
    }
    lake.clock.set(Date.UTC(2024, 0, 10))
    await lake.create('a.b.c.deep', { x: 'int' })
    await lake.append('a.b.c.deep', 'SELECT 7 AS x')
    await lake.create('default.empty', { x: 'int' })
    await lake.create('other.orders', { id: 'long' })
    await lake.append('other.orders', 'SELECT 100 AS id')
    session = await lake.session({ views: { totals: 'SELECT sum(price) AS total FROM default.orders' } })
  })
  after(async () => {
    await session.close()
    await lake.close()
  })

  const rows = async (sql: string): Promise<Cell[][]> => (await session.run(sql)).rows
  const fault = async (sql: string, kind: Fault['kind'], pattern: RegExp): Promise<void> => {
    await assert.rejects(session.run(sql), (error) => {
      assert.ok(isFault(error), `${sql}: ${String(error)}`)
      assert.equal(error.kind, kind, `${sql}: ${error.kind}: ${error.message}`)
      assert.match(error.message, pattern, sql)
      return true
    })
  }

  it('gives values without loss', async () => {
    const result = await session.run('SELECT * FROM orders WHERE id = 1')
    assert.deepEqual(result.rows, [[1n, 'item 1', '1.50', '2024-01-01T00:00:00.000004Z', '2024-01-01']])
    assert.deepEqual(
      result.columns.map((column) => column.type),
      ['BIGINT', 'VARCHAR', 'DECIMAL(9,2)', 'TIMESTAMP WITH TIME ZONE', 'DATE'],
    )
    assert.deepEqual(
      result.scans.map((scan) => [scan.table, scan.filesRead]),
      [['default.orders', 1]],
    )
  })

  const names: [string, Cell[][]][] = [
    ['SELECT count(*) FROM orders', [[3n]]],
    ['SELECT count(*) FROM default.orders', [[3n]]],
    ['SELECT count(*) FROM "default"."orders"', [[3n]]],
    ['SELECT count(*) FROM `default`.`orders`', [[3n]]],
    ['SELECT count(*) FROM catalog.default.orders', [[3n]]],
    ['SELECT count(*) FROM memory.default.orders', [[3n]]],
    ['SELECT count(*) FROM catalog.orders', [[3n]]],
    ['select count(*) from DEFAULT.ORDERS', [[3n]]],
    ['SELECT id FROM other.orders', [[100n]]],
    ['SELECT x FROM a.b.c.deep', [[7]]],
    ['SELECT x FROM catalog.a.b.c.deep AS d', [[7]]],
    ['SELECT deep.x FROM catalog.a.b.c.deep', [[7]]],
    ['SELECT count(x) FROM default.empty', [[0n]]],
    ['SELECT max(orders.id) FROM default.orders', [[3n]]],
    ['SELECT max(default.orders.id) FROM default.orders', [[3n]]],
    ['SELECT max(catalog.default.orders.id) FROM catalog.default.orders', [[3n]]],
    ['SELECT o.id FROM default.orders o, other.orders p WHERE o.id + 97 = p.id', [[3n]]],
    ['SELECT count(*) FROM default.orders AS a JOIN default.orders AS b USING (id)', [[3n]]],
    ['FROM orders SELECT max(id)', [[3n]]],
    ['SELECT orders.* EXCLUDE (price, made, day) FROM default.orders ORDER BY id LIMIT 1', [[1n, 'item 1']]],
    ['SELECT count(*) FROM orders FOR VERSION AS OF 9007199254740993, other.orders p', [[1n]]],
    ['SELECT count(*) FROM other.orders p JOIN orders VERSION AS OF 9007199254740993 ON true', [[1n]]],
    ['SELECT sum(n) FROM (SELECT count(*) AS n FROM orders UNION ALL SELECT count(*) FROM other.orders)', [[4n]]],
    ['SELECT (SELECT max(o.id) FROM default.orders o WHERE o.id < p.id) FROM other.orders p', [[3n]]],
    ['TABLE other.orders', [[100n]]],
    ['VALUES (1), (2)', [[1], [2]]],
    ['SELECT total FROM totals', [['6.75']]],
    ['WITH orders AS (SELECT 5 AS id) SELECT id FROM orders', [[5]]],
    ['WITH orders AS (SELECT max(id) AS id FROM orders) SELECT id FROM orders', [[3n]]],
    ['WITH o AS (SELECT 1 AS a) SELECT (SELECT a FROM o), (SELECT count(*) FROM orders)', [[1, 3n]]],
    ['SELECT count(*) FROM (WITH orders AS (SELECT 1) SELECT * FROM orders) s', [[1n]]],
    ['WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT count(*) FROM r', [[4n]]],
    [
      'SELECT \'é\' AS "größe", o.item FROM /* é — */ other.orders p, -- ü\n default.orders o WHERE o.id = 2',
      [['é', 'item 2']],
    ],
    ["SELECT 'FROM default.nothing; --' AS t FROM other.orders", [['FROM default.nothing; --']]],
    ['SELECT $$a;b$$ AS t; SELECT 2', [[2]]],
    ['SELECT extract(year FROM day) FROM orders WHERE id = 1', [[2024n]]],
    ['SELECT count(*) FROM orders WHERE item IS DISTINCT FROM item', [[0n]]],
    [
      'PIVOT (SELECT id, item FROM orders) ON id IN (1, 2) USING count(*) GROUP BY item ORDER BY item LIMIT 1',
      [['item 1', 1n, 0n]],
    ],
  ]
  for (const [sql, expected] of names) {
    it(`answers ${sql.replaceAll('\n', ' ')}`, async () => assert.deepEqual(await rows(sql), expected))
  }

  const travel: [string, number][] = [
    ['FOR VERSION AS OF $0', 1],
    ['FOR SYSTEM_VERSION AS OF $1', 2],
    ['VERSION AS OF $2', 3],
    ["VERSION AS OF '$0'", 1],
    ['AT (VERSION => $1)', 2],
    ['FOR VERSION AS OF $0 AS t', 1],
    ['FOR VERSION AS OF $0 t', 1],
    ['AS t FOR VERSION AS OF $0', 1],
    ['t AT (VERSION => $0)', 1],
    ["FOR TIMESTAMP AS OF TIMESTAMP '2024-01-02 12:00:00'", 2],
    ["FOR SYSTEM_TIME AS OF '2024-01-02'", 2],
    ["FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-02 01:30:00+02:00'", 1],
    ["TIMESTAMP AS OF '2024-01-02T00:00:00Z' x", 2],
    ["TIMESTAMP AS OF CAST('2024-01-01 23:59:59' AS TIMESTAMP) x", 1],
    ["TIMESTAMP AS OF '2024-01-01 23:59:59'::timestamp with time zone x", 1],
    ['TIMESTAMP AS OF now() - INTERVAL 8 DAY', 2],
    ["TIMESTAMP AS OF (current_timestamp - INTERVAL '9 days') x", 1],
    ["TIMESTAMP AS OF current_date - INTERVAL '8' DAY x", 2],
    ["AT (TIMESTAMP => now() - INTERVAL '9 days')", 1],
    ['TIMESTAMP AS OF 1704153600', 2],
    ["TIMESTAMP AS OF date_trunc('month', now())", 1],
  ]
  for (const [clause, count] of travel) {
    it(`counts ${count} rows in orders ${clause}`, async () => {
      const sql = `SELECT count(*) FROM default.orders ${clause.replace(/\$(\d)/, (_, index) => String(ids[Number(index)]))}`
      assert.deepEqual(await rows(sql), [[BigInt(count)]])
    })
  }

  it('reads several versions of a table in one statement', async () => {
    const sql = `SELECT new.id FROM orders new ANTI JOIN orders FOR VERSION AS OF ${ids[0]} AS old ON new.id = old.id ORDER BY 1`
    assert.deepEqual(await rows(sql), [[2n], [3n]])
    const qualified = `SELECT max(orders.id) FROM default.orders FOR VERSION AS OF ${ids[1]} WHERE orders.id > 0`
    assert.deepEqual(await rows(qualified), [[2n]])
  })

  it('takes columns that are called as the clauses are', async () => {
    assert.deepEqual(await rows('SELECT version AS of, timestamp AS "at" FROM (SELECT 1 AS version, 2 AS timestamp)'), [
      [1, 2],
    ])
    assert.deepEqual(await rows('SELECT version AS of FROM (SELECT 1 AS version)'), [[1]])
    assert.deepEqual(await rows('SELECT version AS of ORDER BY 1'.replace('version', '7')), [[7]])
    assert.deepEqual(await rows('FROM (SELECT 1 AS version) SELECT version AS of ORDER BY of'), [[1]])
  })

  it('says which snapshots, times and names there are when one is not', async () => {
    await fault('SELECT * FROM orders VERSION AS OF 5', 'not-found', /no snapshot 5.*9007199254740995/)
    await fault("SELECT * FROM orders VERSION AS OF 'audit'", 'not-found', /no branch or tag "audit".*main/)
    await fault("SELECT * FROM orders TIMESTAMP AS OF '2023-01-01'", 'not-found', /begins at 2024-01-01/)
    await fault('SELECT * FROM orders TIMESTAMP AS OF 1704153600000', 'invalid', /milliseconds/)
    await fault('SELECT * FROM orders TIMESTAMP AS OF (SELECT max(made) FROM orders)', 'invalid', /constant/)
    await fault('SELECT * FROM orders VERSION AS OF 1.5', 'invalid', /whole number/)
    await fault("SELECT * FROM totals VERSION AS OF 'x'", 'unsupported', /is a view/)
    await fault('SELECT * FROM ordres', 'not-found', /"ordres".*default\.orders/)
    await fault('SELECT * FROM catalog.default.order', 'not-found', /default\.orders/)
    await fault('SELECT * FROM nowhere.at_all', 'not-found', /SHOW TABLES/)
  })

  it('keeps views from call to call, and drops them', async () => {
    await session.run('CREATE TEMP VIEW cheap AS SELECT * FROM orders WHERE price < 3')
    assert.deepEqual(await rows('SELECT count(*) FROM cheap'), [[2n]])
    await session.run('CREATE VIEW named (a, b) AS (SELECT id, item FROM cheap); SELECT 1')
    assert.deepEqual(await rows('SELECT a, b FROM named ORDER BY a LIMIT 1'), [[1n, 'item 1']])
    await fault('CREATE VIEW cheap AS SELECT 1', 'conflict', /OR REPLACE/)
    await session.run('CREATE VIEW IF NOT EXISTS cheap AS SELECT 1')
    assert.deepEqual(await rows('SELECT count(*) FROM CHEAP'), [[2n]])
    await fault('CREATE OR REPLACE VIEW cheap AS SELECT * FROM cheap', 'invalid', /reads itself/)
    await fault('CREATE OR REPLACE VIEW cheap AS SELECT * FROM named', 'invalid', /named → cheap|cheap → named/)
    await session.run("CREATE OR REPLACE TEMPORARY VIEW cheap AS SELECT 1 AS id, 'z' AS item")
    assert.deepEqual(await rows('SELECT b FROM named'), [['z']])
    await session.run('DROP VIEW named; DROP VIEW IF EXISTS named; DROP VIEW cheap')
    await fault('SELECT * FROM cheap', 'not-found', /cheap/)
    await fault('DROP VIEW totals', 'not-found', /only its own/)
    await fault('CREATE VIEW v AS SELECT nothing FROM orders', 'invalid', /nothing/)
    await fault('CREATE VIEW v AS SELECT * FROM missing_table', 'not-found', /missing_table/)
  })

  it('lets a view of the session hide a ready-made one', async () => {
    await session.run("CREATE VIEW totals AS SELECT 'mine' AS total")
    assert.deepEqual(await rows('FROM totals'), [['mine']])
    await session.run('DROP VIEW totals')
    assert.deepEqual(await rows('FROM totals'), [['6.75']])
  })

  it('shows tables, namespaces and columns', async () => {
    assert.deepEqual(await rows('SHOW TABLES IN default'), [
      ['default', 'empty', 'table'],
      ['default', 'orders', 'table'],
    ])
    assert.deepEqual((await rows('SHOW TABLES')).at(-1), ['other', 'orders', 'table'])
    assert.deepEqual((await rows('SHOW TABLES'))[0], [null, 'totals', 'view'])
    assert.deepEqual((await rows('SHOW NAMESPACES')).map((row) => row[0]).includes('a.b.c'), true)
    assert.deepEqual((await rows('DESCRIBE default.orders'))[2], ['price', 'decimal(9,2)', 'no', null])
    assert.deepEqual((await rows('DESC TABLE EXTENDED orders')).length, 5)
    assert.deepEqual((await rows('SHOW COLUMNS FROM orders')).length, 5)
    assert.equal((await rows('DESCRIBE totals'))[0]?.[0], 'total')
    assert.equal((await rows('DESCRIBE SELECT 1 AS one'))[0]?.[0], 'one')
    assert.equal((await rows('SUMMARIZE orders')).length, 5)
  })

  it('explains how a statement runs', async () => {
    const [plan] = await rows('EXPLAIN SELECT count(*) FROM orders')
    assert.match(String(plan?.[1]), /PARQUET/i)
    const [run] = await rows('EXPLAIN ANALYZE SELECT count(*) FROM orders')
    assert.match(String(run?.[1]), /Total Time/)
  })

  it('skips files by the filters of WHERE', async () => {
    const read = async (where: string): Promise<number> =>
      (await session.run(`SELECT * FROM orders WHERE ${where}`)).scans[0]!.filesRead
    assert.equal(await read('id = 2'), 1)
    assert.equal(await read("day >= '2024-01-02'"), 2)
    assert.equal(await read("made < TIMESTAMPTZ '2024-01-02 00:00:00'"), 1)
    assert.equal(await read("item LIKE 'item 3%'"), 1)
    assert.equal(await read('id IN (1, 3) AND price > 0'), 2)
    assert.equal(await read('id = 1 OR price > 3'), 3)
    assert.equal(await read('id + 0 = 1'), 3)
    const both = await session.run('SELECT * FROM orders a, orders b WHERE a.id = 1 AND b.id = 3')
    assert.deepEqual(
      both.scans.map((scan) => scan.filesRead),
      [2],
    )
    assert.equal(both.rows.length, 1)
  })

  it('waits for each table once before it is loaded', async () => {
    const waited: string[] = []
    const waiting = await lake.session({
      waitFor: async (table) => {
        waited.push([...table.namespace, table.name].join('.'))
      },
    })
    try {
      await waiting.run('SELECT * FROM default.orders a, default.orders b')
      assert.deepEqual(waited, ['default.orders'])
    } finally {
      await waiting.close()
    }
  })

  it('runs calls one after another and reads results in pages', async () => {
    const [one, two] = await Promise.all([session.run('SELECT 1'), session.run('SELECT 2')])
    assert.deepEqual([one.rows, two.rows], [[[1]], [[2]]])
    const stream = await session.stream('SELECT i FROM range(5000) t(i)')
    let count = 0
    let pages = 0
    for await (const page of stream.pages) {
      count += page.length
      pages += 1
    }
    assert.deepEqual([count, pages > 1], [5000, true])
    const left = await session.stream('SELECT i FROM range(100000) t(i)')
    for await (const page of left.pages) if (page.length > 0) break
    assert.deepEqual(await rows('SELECT 3'), [[3]])
  })

  it('bounds rows, by a fault or by cutting', async () => {
    await assert.rejects(session.run('FROM range(11)', { rowsMax: 10 }), /10 rows/)
    const exact = await session.run('FROM range(10)', { rowsMax: 10 })
    assert.deepEqual([exact.rows.length, exact.truncated], [10, false])
    const cut = await session.run('FROM range(11)', { rowsMax: 10, overflow: 'cut' })
    assert.deepEqual([cut.rows.length, cut.truncated], [10, true])
  })

  it('bounds time, and stops when its caller says so', async () => {
    const short = await lake.session({ bounds: { timeMs: 1_500 } })
    try {
      const startedMs = performance.now()
      await assert.rejects(short.run('SELECT count(*) FROM range(1000000) a, range(1000000) b'), (error) =>
        isFault(error, 'limit'),
      )
      assert.ok(performance.now() - startedMs < 5_000)
      assert.deepEqual((await short.run('SELECT 1')).rows, [[1]])
      const slow = await lake.session({ bounds: { timeMs: 300 }, waitFor: () => new Promise(() => undefined) })
      await assert.rejects(slow.run('SELECT * FROM orders'), (error) => isFault(error, 'limit'))
      await slow.close()
    } finally {
      await short.close()
    }
    const idle = await lake.session({ bounds: { timeMs: 400 } })
    const unread = await idle.stream('SELECT i FROM range(100000) t(i)')
    const next = await idle.stream('SELECT 1')
    await assert.rejects(async () => {
      for await (const page of unread.pages) assert.ok(page.length > 0)
    }, /longer than 400 ms/)
    for await (const page of next.pages) assert.deepEqual(page, [[1]])
    await idle.stream('SELECT 2')
    await idle.close()
    const stop = new AbortController()
    const running = session.run('SELECT count(*) FROM range(1000000) a, range(1000000) b', { signal: stop.signal })
    setTimeout(() => stop.abort(), 100)
    await assert.rejects(running, (error) => isFault(error, 'cancelled'))
    await assert.rejects(session.run('SELECT 1', { signal: AbortSignal.abort() }), (error) =>
      isFault(error, 'cancelled'),
    )
  })

  it('bounds the memory of a statement', async () => {
    const small = await lake.session({ bounds: { memoryMiB: 64 } })
    try {
      const sql = 'SELECT count(*) FROM (SELECT DISTINCT hash(i) AS h FROM range(20000000) t(i))'
      await assert.rejects(small.run(sql), (error) => isFault(error, 'limit'))
      assert.deepEqual((await small.run('SELECT 1')).rows, [[1]])
    } finally {
      await small.close()
    }
  })

  it('refuses texts that are too long, too deep or no statement', async () => {
    await fault(`SELECT '${'x'.repeat(1_100_000)}'`, 'limit', /bytes of text/)
    await fault(`SELECT ${'abs('.repeat(1500)}1${')'.repeat(1500)}`, 'limit', /deep/)
    await fault(`SELECT 1 FROM ${'a.'.repeat(100)}b`, 'limit', /parts/)
    await fault(`SELECT ${'NOT '.repeat(5000)}true`, 'limit', /deep/)
    await fault('  -- nothing\n', 'invalid', /expected a SQL statement/)
    await fault('SELECT 1;'.repeat(101), 'limit', /100 statements/)
    await fault("SELECT 'open", 'invalid', /never closed/)
    await fault('SELECT /* open', 'invalid', /never closed/)
    await fault('SELECT FROM WHERE', 'invalid', /syntax error/)
    await fault('SELECT a FROM orders', 'invalid', /"a" not found/)
    await assert.rejects(session.run('SELECT price + item FROM orders'), (error) => !/[~@]\d/.test(String(error)))
    await assert.rejects(session.run('SELECT zz.id FROM default.orders'), (error) => !/[~@]\d/.test(String(error)))
    await fault("SELECT 'abc'::INTEGER", 'invalid', /Conversion/)
  })

  it('is over once closed', async () => {
    const brief = await lake.session()
    await brief.close()
    await brief.close()
    await assert.rejects(brief.run('SELECT 1'), (error) => isFault(error, 'cancelled'))
  })

  it('gives a table as of the newest commit at each statement', async () => {
    await lake.create('default.growing', { x: 'int' })
    assert.deepEqual(await rows('SELECT count(*) FROM growing'), [[0n]])
    await lake.append('default.growing', 'SELECT 1 AS x')
    assert.deepEqual(await rows('SELECT count(*) FROM growing'), [[1n]])
  })
})
