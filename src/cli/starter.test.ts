/** `bin/tidewater.mjs` and the command that it starts: neither outlives the other with a home in its hands. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { describe, it } from 'node:test'
import { cli, cliOk, inTempDir } from '../../test/support/cli.ts'

const PROJECT = path.join(import.meta.dirname, '../..')
const STARTER = path.join(PROJECT, 'bin/tidewater.mjs')
const MAIN = path.join(import.meta.dirname, 'main.ts')

interface Server {
  child: ChildProcess
  url: string
  /** Of the process that holds the home. */
  owner: number
  /** What was printed, when nobody is left who could print. */
  closed: Promise<{ code: number | null; stderr: string }>
}

async function startServer(program: string, home: string, ipc = false): Promise<Server> {
  const child = spawn(process.execPath, [program, 'start', '--home', home, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
  })
  let stdout = ''
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const closed = new Promise<{ code: number | null; stderr: string }>((done) =>
    child.on('close', (code) => done({ code, stderr })),
  )
  const url = await new Promise<string>((done, fail) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      const said = /accepts requests on (\S+)/.exec(stdout)?.[1]
      if (said !== undefined) done(said)
    })
    void closed.then(() => fail(new Error(stderr)))
  })
  const held = await cli(['stream', 'list', '--home', home])
  assert.equal(held.code, 4)
  return { child, url, owner: Number(/in use by process (\d+) on/.exec(held.stderr)?.[1]), closed }
}

describe('the process that starts a command', () => {
  it('takes the server along when it is killed, which commits what it took and gives the home back', async () => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const { child, url, owner, closed } = await startServer(STARTER, home)
      assert.notEqual(owner, child.pid)
      const settings = { table: 'shop.orders', columns: { id: 'LONG' }, buffer: { seconds: 600 } }
      const made = await fetch(`${url}/v1/streams/orders`, { method: 'PUT', body: JSON.stringify(settings) })
      assert.equal(made.status, 201)
      const put = await fetch(`${url}/v1/streams/orders/record`, { method: 'PUT', body: '{"Data":{"id":1}}' })
      assert.equal(put.status, 200)
      child.kill('SIGKILL')
      const { stderr } = await closed
      assert.match(stderr, /ending: no more requests are taken[\s\S]*committed shop\.orders: 1 rows/)
      assert.equal((await cliOk(['stream', 'list', '--home', home])).trim(), 'orders')
    })
  })

  it('is not needed: who runs the server by other means may close the channel to it', async () => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const { child, url, owner } = await startServer(MAIN, home, true)
      assert.equal(owner, child.pid)
      child.disconnect()
      assert.equal((await fetch(`${url}/health/live`)).status, 200)
      await new Promise((done) => setTimeout(done, 200))
      assert.equal((await fetch(`${url}/health/live`)).status, 200)
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      assert.deepEqual(await exit, [0, null])
    })
  })

  it('leaves standard input to the command', async () => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      await cliOk(['sql', '--write', 'CREATE DATABASE shop', '--home', home])
      const child = spawn(process.execPath, [STARTER, 'sql', '-', '--csv', '--home', home], { stdio: 'pipe' })
      let out = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
      child.stdin.end('SELECT 40 + 2 AS n')
      const code = await new Promise((done) => child.on('close', done))
      assert.deepEqual([code, out.trim().split(/\r?\n/)], [0, ['n', '42']])
    })
  })

  it('tells who comes second which process holds the home, and how to go on', async () => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const { child, owner, closed } = await startServer(MAIN, home)
      for (const args of [
        ['stream', 'list'],
        ['doctor', '--repair'],
        ['start', '--port', '0'],
      ]) {
        const { code, stderr } = await cli([...args, '--home', home])
        assert.equal(code, 4)
        assert.match(stderr, new RegExp(`state folder ${home} is in use by process ${owner} .*--api-url.*--home`))
      }
      for (const args of [
        ['reconcile', 'photos'],
        ['ingest', 's3://photos/in'],
      ]) {
        const { code, stderr } = await cli([...args, '--home', home])
        assert.equal(code, 4)
        assert.match(
          stderr,
          /--home\. A server compares the bucket by itself, .* objects\.buckets\.photos\.reconcile\.every/,
        )
      }
      const { stdout } = await cli(['doctor', '--home', home])
      assert.match(stdout, new RegExp(`in use by process ${owner} .* Only the tables were looked at`))
      assert.doesNotMatch(stdout, /another directory/)
      child.kill('SIGTERM')
      await closed
    })
  })
})
