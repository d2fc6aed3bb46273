/** The packed artefact, installed in an empty project: the library and the command line run under plain Node 22. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { inTempDir } from '../support/cli.ts'

const run = promisify(execFile)
const PROJECT = path.join(import.meta.dirname, '../..')
/** The oldest Node that the artefact promises to run under, as a package of the registry. */
const NODE = 'node@22'

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
    assert.equal((await run(node, ['use.js'], { cwd: project })).stdout, '2n\n')
  })
})
