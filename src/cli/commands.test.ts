/** Each command as a process of its own, on one home that is made once; few processes, because each takes a second. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type CliResult, cli, cliOk, sqlRows } from '../../test/support/cli.ts'
import { must } from '../base/assert.ts'
import { openSegmentLog } from '../log/segments.ts'
import { EXIT } from './exit.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
const linesOf = (lines: string) => lines.split('\n').filter((line) => line !== '')
const documents = (lines: string) => linesOf(lines).map((line) => JSON.parse(line) as Record<string, unknown>)

/** A failure as it must be: the documented code, nothing on standard output, one sentence that says what to do. */
function assertFails(result: CliResult, code: number, message: RegExp): void {
  assert.equal(result.code, code, result.stderr)
  assert.equal(result.stdout, '')
  assert.match(result.stderr, message)
  assert.doesNotMatch(result.stderr, /\n\s+at /, 'no stack')
}

/** Several command lines, one after another in one process: for those that fail before they open anything. */
async function runAll(lines: readonly string[][], cwd: string): Promise<CliResult[]> {
  const script = `
    import { runCommandLine } from ${JSON.stringify(new URL('program.ts', import.meta.url).href)}
    const write = process.stdout.write.bind(process.stdout)
    const results = []
    for (const args of ${JSON.stringify(lines)}) {
      const result = { stdout: '', stderr: '', signal: null }
      for (const name of ['stdout', 'stderr']) process[name].write = (text) => { result[name] += text; return true }
      result.code = await runCommandLine(args)
      results.push(result)
    }
    write(JSON.stringify(results), () => process.exit(0))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(await text(child.stdout)) as CliResult[]
}

describe('the command line', { concurrency: 2 }, () => {
  let dir: string
  let home: string
  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'tidewater-commands-'))
    home = path.join(dir, 'home')
    await mkdir(path.join(dir, 'photos', 'sub'), { recursive: true })
    await mkdir(path.join(dir, 'empty'))
    for (const name of ['a.txt', 'b.txt', 'sub/c.txt']) await writeFile(path.join(dir, 'photos', name), name)
    await symlink('nowhere', path.join(dir, 'photos', 'dangling'))
    await writeFile(path.join(dir, 'events.jsonl'), '{"neither":"notification"}\nnot even JSON\n')
    const counts = JSON.parse(await cliOk(['ingest', path.join(dir, 'photos'), '--home', home, '--json'])) as {
      added: number
      skipped: number
      skippedFiles: { file: string }[]
      commits: { table: string; snapshotId: string }[]
    }
    assert.equal(counts.added, 3)
    assert.deepEqual([counts.skipped, counts.skippedFiles.map(({ file }) => file)], [1, ['dangling']])
    assert.equal(counts.commits.length, 3)
    for (const { snapshotId } of counts.commits) assert.match(snapshotId, /^\d{15,19}$/)
  })
  after(() => rm(dir, { recursive: true, force: true }))

  it('gives rows as JSON with long numbers as text and times in ISO 8601', async () => {
    const sql = `SELECT 9007199254740993 AS long, 9007199254740991 AS short, -9223372036854775808 AS least,
      TIMESTAMP '2024-05-01 10:00:00.123456' AS at, TIMESTAMPTZ '2024-05-01 10:00:00+02' AS zoned, DATE '2024-05-01' AS day,
      1.50::DECIMAL(5, 2) AS amount, MAP {'k': 'v'} AS tags, NULL AS nothing`
    assert.deepEqual(await sqlRows(home, sql), [
      {
        long: '9007199254740993',
        short: 9007199254740991,
        least: '-9223372036854775808',
        at: '2024-05-01T10:00:00.123456',
        zoned: '2024-05-01T08:00:00Z',
        day: '2024-05-01',
        amount: '1.50',
        tags: { k: 'v' },
        nothing: null,
      },
    ])
  })

  it('runs several statements in one session, and reads them from standard input', async () => {
    const sql =
      'CREATE TEMPORARY VIEW small AS SELECT key, size FROM aws_s3_metadata.inventory WHERE size < 6; SELECT key, size FROM small ORDER BY key;'
    assert.equal(
      await cliOk(['sql', '-', '--csv', '--home', home], { input: sql }),
      'key,size\r\na.txt,5\r\nb.txt,5\r\n',
    )
  })

  it('lists, describes and shows tables', async () => {
    const [listed, described, history, files, rows] = await Promise.all(
      [
        ['list'],
        ['describe', 's3_content_metadata'],
        ['history', 'aws_s3_metadata.inventory'],
        ['files', 'aws_s3_metadata.inventory'],
        ['rows', 'aws_s3_metadata.inventory', '--limit', '2'],
      ].map(async (args) => documents(await cliOk(['table', ...args, '--json', '--home', home]))),
    )
    assert.deepEqual(listed?.map(({ table, rows: count }) => `${String(table)} ${String(count)}`).sort(), [
      'aws_s3_metadata.inventory 3',
      'aws_s3_metadata.mdblogs3metadata 3',
      'default.s3_content_metadata 3',
      'tidewater.dead_letters 0',
    ])
    assert.equal(described?.[0]?.['table'], 'default.s3_content_metadata')
    assert.deepEqual(described?.[0]?.['sort-order'], [])
    assert.equal((described?.[0]?.['columns'] as { name: string }[] | undefined)?.[0]?.name, 'bucket')
    assert.equal(history?.length, 1)
    assert.match(String(history?.[0]?.['committed_at']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/)
    assert.equal(files?.[0]?.['record_count'], 3)
    assert.equal(rows?.length, 2)
  })

  it('takes notifications, keeps what it cannot understand, and shows it', async () => {
    const other = path.join(dir, 'letters')
    const told = await cliOk(['ingest', '--events', path.join(dir, 'events.jsonl'), '--home', other])
    assert.match(told, /2 {2}notifications not understood \(tidewater deadletter list\)/)
    const letters = documents(await cliOk(['deadletter', 'list', '--json', '--home', other]))
    assert.equal(letters.length, 2)
    const id = String(letters.find(({ subject }) => String(subject).endsWith('events.jsonl:2'))?.['id'])
    const [shown] = documents(await cliOk(['deadletter', 'show', id.slice(0, 12), '--json', '--home', other]))
    assert.equal(shown?.['payload_text'], 'not even JSON')
    const letter = await cliOk(['deadletter', 'show', id.slice(0, 12), '--home', other])
    assert.match(letter, /^id +[0-9a-f]{32}\nstage +source\n[\s\S]*\n\nnot even JSON\n$/)
    const { code, stdout } = await cli(['deadletter', 'replay', id, '--json', '--home', other])
    assert.deepEqual([code, JSON.parse(stdout)], [EXIT.partly, { replayed: 0, failed: 1, cut: 0 }])
    assertFails(
      await cli(['deadletter', 'show', '00000000', '--home', other]),
      EXIT.notFound,
      /begins with 00000000; see/,
    )
  })

  it('says what is there, and that nothing is wrong', async () => {
    const findings = documents(await cliOk(['doctor', '--json', '--home', home]))
    assert.deepEqual([...new Set(findings.map(({ level }) => level))], ['ok'])
    assert.match(await cliOk(['completion', 'bash']), /complete -o filenames -F _tidewater tidewater/)
  })

  it('keeps a table in order on demand: rolls back, expires, compacts, looks for orphans', async () => {
    const own = path.join(dir, 'upkeep')
    const table = 'default.s3_content_metadata'
    for (const at of [1, 2]) {
      await writeFile(path.join(dir, 'empty', `f${at}.txt`), `text ${at}`)
      await cliOk(['ingest', path.join(dir, 'empty'), '--home', own])
    }
    await rm(path.join(dir, 'empty', 'f1.txt'))
    await rm(path.join(dir, 'empty', 'f2.txt'))
    const upkeep = async (...args: string[]) =>
      documents(await cliOk(['table', ...args, '--json', '--home', own]))[0] ?? {}
    const count = async () => (await sqlRows(own, `SELECT count(*) AS n FROM ${table}`))[0]?.['n']
    assert.equal(Number(await count()), 2)
    assert.equal((await upkeep('optimize', table))['data files'], '2 before, 1 now')
    assert.equal(Number(await count()), 2)
    const history = documents(await cliOk(['table', 'history', table, '--json', '--home', own]))
    assert.equal(history.length, 3)
    const oldest = String(history.at(-1)?.['snapshot_id'])
    assert.equal((await upkeep('rollback', table, oldest))['to'], oldest)
    assert.equal(Number(await count()), 1)
    assert.equal((await upkeep('expire', table))['snapshots expired'], 0)
    const expired = await upkeep('expire', table, '--older-than', '0s', '--keep', '1')
    assert.equal(expired['snapshots expired'], 2)
    assert.equal(await cliOk(['table', 'remove-orphans', table, '--dry-run', '--home', own]), '')
  })

  it('refuses upkeep that cannot be: while the home is held, of what is not there, with times that are none', async () => {
    const table = 'default.s3_content_metadata'
    const held = await openSegmentLog({ dir: path.join(home, 'logs'), name: 'objects' })
    assertFails(await cli(['table', 'optimize', table, '--home', home]), EXIT.conflict, /compacted by itself/)
    await held.close()
    const [none, when, young, snapshot] = await runAll(
      [
        ['table', 'optimize', 'default.none', '--home', home],
        ['table', 'expire', table, '--older-than', 'soon', '--home', home],
        ['table', 'remove-orphans', table, '--older-than', '1h', '--home', home],
        ['table', 'rollback', table, '1234567890123', '--home', home],
      ],
      dir,
    )
    assertFails(must(none, 'a result'), EXIT.notFound, /default\.none/)
    assertFails(must(when, 'a result'), EXIT.usage, /--older-than: expected a time .* got "soon"/)
    assertFails(must(young, 'a result'), EXIT.usage, /at least 24 hours ago/)
    assertFails(must(snapshot, 'a result'), EXIT.notFound, /expected a snapshot of the table, got 1234567890123/)
  })

  it('finds the home in TIDEWATER_HOME, and in .tidewater of the working directory', async () => {
    const where = path.join(dir, 'where')
    await mkdir(where)
    const env = { ...process.env, TIDEWATER_HOME: home }
    assert.match(await cliOk(['table', 'list'], { cwd: where, env }), /aws_s3_metadata\.inventory +3 rows, 1 snapshots/)
    await cliOk(['ingest', path.join(dir, 'empty')], { cwd: where, env: { ...process.env, TIDEWATER_HOME: undefined } })
    assert.deepEqual(await readdir(where), ['.tidewater'])
    assert.deepEqual(await readdir(path.join(dir, 'empty')), [])
  })

  it('makes tables by SQL with --write in a home of its own, and tells without it how to', async () => {
    const own = path.join(dir, 'written')
    const [refused, wrong] = await Promise.all([
      cli(['sql', 'CREATE DATABASE d', '--home', home]),
      cli(['sql', '--write', 'CREATE TABLE d.t (\n  a strin)', '--json', '--home', own]),
    ])
    assertFails(must(refused, 'a result'), EXIT.usage, /CREATE DATABASE is not run here.*tidewater sql --write/)
    const { error } = JSON.parse(must(wrong, 'a result').stderr) as { error: { kind: string; facts: object } }
    assert.deepEqual([error.kind, error.facts], ['invalid', { line: 2, column: 5 }])
    const input = "CREATE DATABASE d; CREATE TABLE d.t (`a` int) LOCATION 's3://<i>b</i>/c'; SHOW TABLES FROM d"
    assert.deepEqual(
      await cliOk(['sql', '--write', '-', '--csv', '--home', own], { input }),
      'namespace,name,kind\r\nd,t,table\r\n',
    )
    assert.deepEqual(await sqlRows(own, 'SELECT count(*) AS n FROM d.t'), [{ n: 0 }])
  })

  it('asks of a home that is not there: says so, and makes none', async () => {
    const where = path.join(dir, 'nowhere')
    await mkdir(where)
    const missing = path.join(where, 'missing')
    const nothing = /holds no tables yet: .* --home/
    const wrong: [string[], number, RegExp][] = [
      [['sql', 'SELECT 1'], EXIT.notFound, nothing],
      [['table', 'list'], EXIT.notFound, nothing],
      [['deadletter', 'list'], EXIT.notFound, nothing],
      [['deadletter', 'replay'], EXIT.notFound, nothing],
      [['doctor', '--repair'], EXIT.notFound, nothing],
      [['ingest', missing], EXIT.notFound, /there is no .*missing; check the path/],
      [['ingest', path.join(dir, 'events.jsonl')], EXIT.usage, /expected a folder, got the file/],
      [['ingest', '--events', missing], EXIT.notFound, /--events: there is no .*missing/],
      [['ingest', '--events', dir], EXIT.usage, /--events: expected a file, got the folder/],
      [['ingest', '--events', '-', '--objects', missing], EXIT.notFound, /--objects: there is no/],
      [['ingest'], EXIT.usage, /expected a directory, s3:\/\/bucket, or --events FILE; see tidewater ingest --help/],
      [['ingest', '/'], EXIT.usage, /expected a bucket name .*give one with --bucket/],
      [['quickstart', '--config', missing], EXIT.notFound, /there is no configuration file .*missing/],
      [['tables'], EXIT.usage, /^tidewater: unknown command 'tables'[\s\S]*tidewater --help/],
    ]
    const lines = wrong.map(([args]) => (args[0] === 'tables' ? args : [...args, '--home', 'none']))
    const results = await runAll([...lines, ['doctor', '--home', 'none']], where)
    for (const [at, [, code, message]] of wrong.entries()) assertFails(must(results[at], 'a result'), code, message)
    assert.match(results.at(-1)?.stdout ?? '', /note .*holds no tables yet/)
    assert.deepEqual(await readdir(where), [])
  })

  it('tells failures with --json as one document', async () => {
    const [sql, table, usage, unknown] = await Promise.all([
      cli(['sql', 'SELECT * FROM nothing.here', '--json', '--home', home]),
      cli(['table', 'describe', 'nothing', '--json', '--home', home]),
      cli(['table', 'list', '--json', '--hom', home]),
      cli(['sql', 'SELECT 1', '--json', '--home', path.join(dir, 'events.jsonl')]),
    ])
    const errorOf = ({ stderr }: CliResult) => (JSON.parse(stderr) as { error: Record<string, unknown> }).error
    assert.deepEqual([sql?.code, errorOf(sql)['kind']], [EXIT.notFound, 'not-found'])
    assert.deepEqual([table?.code, errorOf(table)['kind']], [EXIT.notFound, 'not-found'])
    assert.deepEqual([usage?.code, errorOf(usage)['kind']], [EXIT.usage, 'invalid'])
    assert.match(String(errorOf(usage)['message']), /unknown option '--hom'/)
    assert.deepEqual([unknown?.code, errorOf(unknown)['kind']], [EXIT.usage, 'invalid'])
    assert.deepEqual(Object.keys(errorOf(sql)), ['kind', 'message', 'retry', 'facts'])
  })

  it('ends quietly when its output is no longer read', async () => {
    const args = [MAIN, 'sql', 'SELECT range AS n FROM range(300000)', '--csv', '--home', home]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (part: string) => (stderr += part))
    child.stdout.once('data', () => child.stdout.destroy())
    const code = await new Promise((done) => child.on('close', done))
    assert.equal(stderr, '')
    assert.equal(code, EXIT.ok)
  })
})
