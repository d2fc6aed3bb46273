import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'
import { after, before, test } from 'node:test'
import { blocksOf, copyProject, runBlocks } from './readme.ts'
import { projectFolder, projectPaths, readFiles } from './tree.ts'

const blockMs = 120_000

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidewater-readme-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** The environment of a reader, without what the test runner and npm put into ours, and with an npm cache of its own. */
function readersEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(?:npm_|NODE_|TIDEWATER_|INIT_CWD$)/i.test(name))
  const path = (process.env['PATH'] ?? '').split(':').filter((entry) => !entry.includes('node_modules'))
  return { ...Object.fromEntries(kept), PATH: path.join(':'), npm_config_cache: join(folder, 'npm-cache') }
}

for (const page of ['README.md', 'docs/streams.md', 'docs/from-firehose.md']) {
  test(`the commands of ${page} run in a fresh clone`, async () => {
    // Otherwise the first command would install into the folder that the copy shares with this one.
    const lock = createHash('sha256')
      .update(readFileSync(join(projectFolder, 'package-lock.json')))
      .digest('hex')
    const stamp = readFileSync(join(projectFolder, 'node_modules', '.tidewater-install'), 'utf8')
    assert.ok(
      stamp.startsWith(lock),
      'the dependencies are not those of package-lock.json; run npm test, which installs them',
    )

    const clone = join(folder, page.replaceAll('/', '-'))
    copyProject(clone)
    const blocks = blocksOf(readFileSync(join(projectFolder, page), 'utf8'))
    assert.ok(blocks.length > 0, `${page} marks no block with "sh run"`)
    // The page's port may be taken on this machine.
    const port = await freePort()
    const env = {
      ...readersEnvironment(),
      TIDEWATER_PORT: String(port),
      ...(blocks.some((block) => block.background) ? { TIDEWATER_API_URL: `http://127.0.0.1:${port}` } : {}),
    }
    for (const { block, exitCode, output } of await runBlocks(blocks, clone, env, blockMs)) {
      assert.equal(exitCode, 0, `${page}:${block.line} ended with ${exitCode}:\n${block.script}\n${output}`)
    }
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

test('every link from one page of the project to a file leads to it', () => {
  assert.deepEqual(
    linkProblems(
      readFiles((path) => path.endsWith('.md')),
      projectPaths(),
    ),
    [],
  )
})

function linkProblems(pages: readonly { path: string; text: string }[], paths: readonly string[]): string[] {
  const known = new Set(
    paths.flatMap((path) => [path, ...path.split('/').map((_, i, parts) => parts.slice(0, i).join('/'))]),
  )
  return pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, link = '']) => normalize(join(dirname(path), link)).replace(/\/$/, ''))
      .filter((target) => !known.has(target))
      .map((target) => `${path}: links to ${target}, which is not there`),
  )
}

test('the check of links finds a page that is not there', () => {
  const text = '[a](b.md) [c](c.md#part) [d](https://example.com/d.md) [e](#e) [f](../docs/)'
  assert.deepEqual(linkProblems([{ path: 'docs/a.md', text }], ['docs/a.md', 'docs/b.md']), [
    'docs/a.md: links to docs/c.md, which is not there',
  ])
})

test('the blocks to run are told by their fences, and an unknown mark is refused', () => {
  const text = '```sh\nno\n```\n\n```sh run\none\ntwo\n```\n```ts\nno\n```\n```sh run background\nthree\n```\n'
  assert.deepEqual(blocksOf(text), [
    { line: 5, script: 'one\ntwo\n', background: false },
    { line: 12, script: 'three\n', background: true },
  ])
  assert.throws(() => blocksOf('```sh runs\nx\n```\n'), /README\.md:1/)
})

test('a block that fails, or does not end, is told of and ends the run', async () => {
  const env = readersEnvironment()
  const block = (script: string) => ({ line: 1, script, background: false })
  const failed = await runBlocks([block('echo a; false; echo b'), block('echo c')], folder, env, 10_000)
  assert.deepEqual(
    failed.map((each) => [each.exitCode, each.output]),
    [[1, 'a\n']],
  )
  const late = await runBlocks([block('sleep 30')], folder, env, 200)
  assert.deepEqual(
    late.map((each) => each.exitCode),
    [null],
  )
  assert.match(late[0]?.output ?? '', /not finished within 200 ms/)
})

test('a block in the background runs beside the others and is ended after them', async () => {
  const server = {
    line: 1,
    script: `sh -c 'trap "echo bye; exit 0" TERM; echo http://x; while :; do sleep 0.1; done'`,
    background: true,
  }
  const outcomes = await runBlocks(
    [server, { line: 2, script: 'echo hi', background: false }],
    folder,
    readersEnvironment(),
    10_000,
  )
  assert.deepEqual(
    outcomes.map((each) => [each.exitCode, each.output]),
    [
      [0, 'hi\n'],
      [0, 'http://x\nbye\n'],
    ],
  )
})
