/** A server as a process of its own, and what operators say to it from others. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cli, cliOk, inTempDir } from '../../test/support/cli.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

async function started(home: string): Promise<{ child: ChildProcess; url: string; log: () => string }> {
  const child = spawn(process.execPath, [MAIN, 'start', '--home', home, '--port', '0'], {
    cwd: path.dirname(home),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let told = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (told += text))
  const url = await new Promise<string>((done, fail) => {
    child.once('exit', (code) => fail(new Error(`the server ended with ${code}:\n${told}`)))
    createInterface({ input: child.stdout! }).once('line', (line) => done(line.replace(/^.* on /, '')))
  })
  return { child, url, log: () => told }
}

test('a stream is watched, held back, changed and mended while its server lives', async () => {
  await inTempDir(async (dir) => {
    const { child, url, log } = await started(path.join(dir, 'home'))
    const run = (args: string[], input = '') => cliOk([...args, '--api-url', url], { cwd: dir, input })
    try {
      const settings = (unknownFields: string) =>
        writeFile(
          path.join(dir, 'web.yaml'),
          `table: demo.web\ncolumns: { id: LONG NOT NULL }\nunknownFields: ${unknownFields}\nbuffer: { seconds: 0.2 }\n`,
        )
      await settings('dead-letter')
      await run(['stream', 'create', 'web', 'web.yaml'])
      assert.equal(
        await run(['stream', 'pause', 'web']),
        'web: commits are paused, records are still taken; 0 entries of 0 bytes wait\n',
      )
      await run(['stream', 'put', 'web'], '{"id":1}\n{"id":2}\n{"id":3,"more":1}\n')
      const [status, seen, shown] = await Promise.all([
        run(['stream', 'status', 'web']),
        run(['stream', 'tail', 'web', '--from', 'start', '--max-count', '2', '--json']),
        run(['stream', 'tail', 'web', '--from', '0', '--no-follow']),
      ])
      assert.match(status, /oldestWaiting +\d+\.\d s\n/)
      assert.match(status, /destinations +demo\.web up to 0\n/)
      assert.deepEqual(
        seen
          .trim()
          .split('\n')
          .map((line) => (JSON.parse(line) as { row: object }).row),
        [{ id: 1 }, { id: 2 }],
      )
      assert.match(shown, /^\d+ {2}demo\.web {2}upsert {2}\{"id":1\}\n/)
      await settings('drop')
      const committed = run(['stream', 'tail', 'web', '--from', 'start', '--committed', '--max-count', '2'])
      assert.match(await run(['stream', 'update', 'web', 'web.yaml']), /version +2\n/)
      await run(['stream', 'resume', 'web'])
      assert.equal((await committed).trim().split('\n').length, 2)
      const replayed = JSON.parse(await run(['deadletter', 'replay', '--stream', 'web', '--json'])) as object
      assert.deepEqual(replayed, { replayed: 1, failed: 0, cut: 0 })
      assert.equal(
        await run(['stream', 'drain', 'web']),
        'web: what was taken is committed; 0 entries of 0 bytes wait\n',
      )
      const late = await cli(['stream', 'tail', 'web', '--from', 'start', '--no-follow', '--api-url', url], {
        cwd: dir,
      })
      assert.deepEqual([late.code, late.stdout], [0, ''])
      assert.match(
        late.stderr,
        /the log begins at offset \d+: the \d+ entries before it are committed.*tidewater sql 'SELECT \* FROM "demo"\."web"'/,
      )
      assert.match(log(), /committed demo\.web: .*its oldest record came \d+\.\d s before; \d+ entries wait/)
      const listed = async (...args: string[]) =>
        (await cliOk(['deadletter', 'list', ...args, '--json', '--home', 'home'], { cwd: dir }))
          .trim()
          .split('\n')
          .filter(Boolean).length
      assert.deepEqual(
        [await listed(), await listed('--all'), await listed('--all', '--stream', 'web', '--stage', 'record')],
        [0, 1, 1],
      )
      assert.deepEqual([await listed('--all', '--stage', 'commit'), await listed('--stream', 'web')], [0, 0])
      for (const args of [
        ['replay', '--api-url', url],
        ['list', '--home', 'home'],
      ]) {
        const typo = await cli(['deadletter', ...args, '--stream', 'wep'], { cwd: dir })
        assert.equal(typo.code, 3, typo.stdout)
        assert.match(typo.stderr, /there is no stream "wep"/)
      }
      const objects = await cli(['deadletter', 'replay', '--directory', '.', '--api-url', url], { cwd: dir })
      assert.match(objects.stderr, /leave out --objects and --directory/)
    } finally {
      child.removeAllListeners('exit')
      child.kill('SIGTERM')
      await new Promise((done) => child.once('exit', done))
    }
  })
})
