/** The packed artefact, installed in an empty project: the library and the command line run under plain Node 22, and say so under Node 20. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { inTempDir } from '../support/cli.ts'

const run = promisify(execFile)
const PROJECT = path.join(import.meta.dirname, '../..')
/** The oldest Node that the artefact promises to run under, as a package of the registry; and one that is too old. */
const NODE = 'node@22'
const OLD_NODE = 'node@20'

/** Links of the pages of an installed package that lead nowhere. */
async function brokenLinks(dir: string): Promise<string[]> {
  const files = await readdir(dir, { recursive: true })
  const broken: string[] = []
  for (const page of files.filter((name) => name.endsWith('.md') && !name.includes('node_modules'))) {
    const text = await readFile(path.join(dir, page), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:|^#/.test(target)) continue
      const file = path.join(dir, path.dirname(page), decodeURI(target.replace(/#.*$/, '')))
      await access(file).catch(() => broken.push(`${page}: ${target}`))
    }
  }
  return broken
}

test('what npm pack makes installs in an empty project and runs there under Node 22, command line and library', async () => {
  await inTempDir(async (dir) => {
    await run('npm', ['pack', '--pack-destination', dir], { cwd: PROJECT })
    const [archive] = (await readdir(dir)).filter((name) => name.endsWith('.tgz'))
    assert.ok(archive)
    const project = path.join(dir, 'empty')
    await mkdir(project)
    await writeFile(path.join(project, 'package.json'), '{ "name": "empty", "private": true, "type": "module" }')
    await run('npm', ['install', '--no-audit', '--no-fund', path.join(dir, archive), NODE], { cwd: project })
    const node = path.join(project, 'node_modules/node/bin/node')
    assert.match((await run(node, ['--version'])).stdout, /^v22\./)

    const command = path.join(project, 'node_modules/tidewater/bin/tidewater.mjs')
    const quickstart = await run(node, [command, 'quickstart', '--once', '--home', path.join(dir, 'home')], {
      cwd: project,
    })
    assert.match(quickstart.stdout, /midnight sun\.jpg/)
    assert.equal(quickstart.stderr, '', 'no warning either')
    assert.deepEqual(await brokenLinks(path.join(project, 'node_modules/tidewater')), [])

    await writeFile(
      path.join(project, 'use.js'),
      `import { openLake } from 'tidewater/iceberg'
const lake = await openLake({ catalog: 'lake/catalog.db', warehouse: 'lake/warehouse' })
const table = await lake.createTable('default.t', { columns: { k: 'LONG NOT NULL' }, key: ['k'] })
await table.upsert([{ k: 1 }, { k: 1 }, { k: 2 }])
for await (const row of lake.sql('SELECT count(*) AS n FROM default.t')) console.log(row.n)
await lake.close()
`,
    )
    assert.deepEqual(await run(node, ['use.js'], { cwd: project }), { stdout: '2n\n', stderr: '' })

    await run('npm', ['install', '--no-audit', '--no-fund', OLD_NODE], { cwd: project })
    assert.match((await run(node, ['--version'])).stdout, /^v20\./)
    for (const args of [[command, '--help'], ['use.js']]) {
      const failed = await run(node, args, { cwd: project }).then(
        () => null,
        (error: { code: number; stderr: string }) => error,
      )
      assert.equal(failed?.code, 1)
      assert.match(failed?.stderr ?? '', /expected Node 22\.15 or newer.*, got v20\./)
    }
  })
})
