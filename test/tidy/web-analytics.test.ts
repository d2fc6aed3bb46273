/** The web analytics example: its one command, and that its page tells what comes out of it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { cliOk, inTempDir, sqlRows } from '../support/cli.ts'
import { blocksOf } from './readme.ts'
import { projectFolder } from './tree.ts'

const folder = join(projectFolder, 'examples', 'web-analytics')
const page = readFileSync(join(folder, 'README.md'), 'utf8')
const fenced = (language: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, text = '']) => text)

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { cwd: projectFolder, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    child.on('error', fail)
    child.on('close', (code) =>
      code === 0 ? done(output) : fail(new Error(`ended with ${code}:\n${output}\n${errors}`)),
    )
  })
}

test('the one command of the web analytics example gives what its page shows', async () => {
  const [block] = blocksOf(page)
  assert.equal(block?.script, 'node examples/web-analytics/run.mjs\n')
  await inTempDir(async (home) => {
    const output = await run(process.execPath, [join(folder, 'run.mjs'), '--home', home])
    const shown = fenced('text')
    assert.equal(shown.length, 4)
    for (const text of shown) assert.ok(output.includes(text), `expected\n${text}\ngot\n${output}`)

    // The page's letters are there, and what the table says of itself makes it again.
    assert.equal((await cliOk(['deadletter', 'list', '--json', '--home', home])).trim().split('\n').length, 3)
    const [made] = await sqlRows(home, 'SHOW CREATE TABLE demo_iceberg_db.demo_iceberg')
    assert.match(String(made?.['statement']), /LOCATION 's3:\/\/your-bucket\/demo_iceberg_db\/demo_iceberg'/)

    // Counted by another way than the example's: sessions are the events without one in the 30 minutes before.
    const [counted] = await sqlRows(
      home,
      `SELECT count(*) AS sessions FROM (SELECT DISTINCT user_id, timestamp FROM demo_iceberg_db.demo_iceberg) a WHERE NOT EXISTS
        (SELECT 1 FROM demo_iceberg_db.demo_iceberg b WHERE b.user_id = a.user_id AND b.timestamp < a.timestamp
          AND b.timestamp > a.timestamp - INTERVAL 30 MINUTES)`,
    )
    const perSystem = [...(shown[1] ?? '').matchAll(/│ (?:ios|windows|android|linux) +│ +(\d+) │/g)]
    assert.equal(
      perSystem.reduce((sum, [, sessions]) => sum + Number(sessions), 0),
      counted?.['sessions'],
    )
  })
})

test('the queries on the page of the web analytics example are those of its files', () => {
  const files = ['tables.sql', ...['views', 'sessions', 'funnel', 'pages'].map((name) => `queries/${name}.sql`)]
  assert.deepEqual(
    fenced('sql'),
    files.map((file) => readFileSync(join(folder, file), 'utf8')),
  )
})
