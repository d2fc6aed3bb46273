/**
 * The real server, killed without warning again and again while producers send and send again. Then a checker counts: every
 * record that was acknowledged is in the table or in dead letters once, and nothing is there twice, acknowledged or not.
 * `TIDEWATER_SEED` replays the choices of a run, `TIDEWATER_ROUNDS` makes more kills.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cliOk, inTempDir, sqlRows } from '../support/cli.ts'
import { Random } from './random.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const rounds = Number(process.env['TIDEWATER_ROUNDS'] ?? 4)
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const PRODUCERS = 3
const PARTS = 4
const START_MS = 60_000

interface Running {
  child: ChildProcess
  url: string
}

function startServer(home: string, config: string): Promise<Running> {
  const child = spawn(process.execPath, [MAIN, 'start', '--home', home, '--config', config, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error('the server does not start')), START_MS)
    child.on('exit', (code) => fail(new Error(`the server ended with ${code} before it took requests`)))
    createInterface({ input: child.stdout! }).once('line', (line) => {
      clearTimeout(late)
      child.removeAllListeners('exit')
      done({ child, url: line.replace(/^.* on /, '') })
    })
  })
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((done) => child.once('exit', (code) => done(code)))
}

test(`a server killed ${rounds} times holds every acknowledged record once (seed ${seed})`, async () => {
  await inTempDir(async (dir) => {
    const random = new Random(seed)
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.yaml')
    await writeFile(
      config,
      `streams:
  numbered: { table: demo.numbered, columns: { id: STRING NOT NULL, n: LONG }, buffer: { seconds: 0.1 } }
  once: { table: demo.once, columns: { id: STRING NOT NULL, n: LONG }, buffer: { seconds: 0.3 } }
  routed:
    table: demo.routed
    columns: { id: STRING NOT NULL, n: LONG, part: STRING }
    route: { table: 'routed_{$.part}', otherwise: dead-letter }
    buffer: { seconds: 0.1 }
  keyed:
    table: demo.keyed
    columns: { id: STRING NOT NULL, n: LONG, part: STRING }
    uniqueKeys: [id]
    route: { table: 'keyed_{$.part}' }
    buffer: { seconds: 0.2 }
`,
    )
    let server: Running | null = null
    let over = false
    const acknowledged = { numbered: new Set<string>(), once: new Set<string>(), routed: new Set<string>() }
    const letters = { numbered: new Set<string>(), once: new Set<string>(), routed: new Set<string>() }
    /** Of the keyed stream, the value that each key was given last. */
    const values = new Map<string, number>()

    // Sends a batch until it is acknowledged, whatever happens in between. False when the test is over before.
    const send = async (stream: string, headers: Record<string, string>, records: readonly object[]) => {
      const body = records.map((record) => JSON.stringify(record)).join('\n')
      for (;;) {
        if (server === null) {
          if (over) return false
          await delay(20)
          continue
        }
        try {
          const response = await fetch(`${server.url}/v1/streams/${stream}/records`, {
            method: 'POST',
            headers: { 'content-type': 'application/x-ndjson', ...headers },
            body,
            signal: AbortSignal.timeout(10_000),
          })
          const text = await response.text()
          assert.ok(response.status === 200 || response.status >= 500, `${response.status} ${text}`)
          if (response.status === 200) return true
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error
        }
        await delay(5)
      }
    }
    const produce = async (stream: keyof typeof acknowledged, producer: number) => {
      let sequence = 0
      for (let request = 0; !over; request++) {
        const ids = Array.from({ length: 1 + random.below(20) }, (_, at) => `${producer}-${request}-${at}`)
        const bad = random.chance(0.2) ? random.below(ids.length) : -1
        const records = ids.map((id, at) => ({
          id,
          n: at === bad ? `bad ${id}` : at,
          ...(stream === 'routed' ? { part: random.below(PARTS) } : {}),
        }))
        const headers: Record<string, string> =
          stream === 'once'
            ? { 'idempotency-key': `${producer}-${request}` }
            : { 'producer-id': `p${producer}`, 'producer-sequence': String(sequence) }
        const sent = records.map((record) => ('part' in record ? { ...record, part: String(record.part) } : record))
        if (!(await send(stream, headers, sent))) return
        for (const [at, id] of ids.entries()) (at === bad ? letters : acknowledged)[stream].add(id)
        sequence += ids.length
      }
    }
    // Gives the same keys new values again and again; each key is in one table.
    const overwrite = async (producer: number) => {
      for (let request = 0; !over; request++) {
        const keys = Array.from({ length: 1 + random.below(10) }, () => random.below(30))
        const records = keys.map((key, at) => ({
          id: `${producer}-${key}`,
          n: request * 100 + at,
          part: String(key % PARTS),
        }))
        if (!(await send('keyed', { 'idempotency-key': `${producer}-${request}` }, records))) return
        for (const { id, n } of records) values.set(id, n)
      }
    }
    const producers = Array.from({ length: PRODUCERS }, (_, at) => [
      produce('numbered', at),
      produce('once', at),
      produce('routed', at),
      overwrite(at),
    ]).flat()
    const working = Promise.all(producers)
    try {
      for (let round = 0; round < rounds; round++) {
        server = await startServer(home, config)
        await delay(200 + random.below(1_500))
        const { child } = server
        child.kill('SIGKILL')
        await ended(child)
        server = null
      }
      server = await startServer(home, config)
      await delay(500)
      over = true
      await working
      server.child.kill('SIGTERM')
      assert.equal(await ended(server.child), 0, 'told to end, it commits and ends well')
    } finally {
      over = true
      server?.child.kill('SIGKILL')
    }

    const partsOf = (stream: string, columns: string) =>
      Array.from({ length: PARTS }, (_, part) => `SELECT ${columns} FROM demo.${stream}_${part}`).join(' UNION ALL ')
    for (const stream of ['numbered', 'once', 'routed'] as const) {
      assert.ok(acknowledged[stream].size > 0)
      const rows = await sqlRows(
        home,
        `${stream === 'routed' ? partsOf(stream, 'id') : `SELECT id FROM demo.${stream}`} ORDER BY id`,
      )
      assert.deepEqual(
        rows.map((row) => row['id']),
        [...acknowledged[stream]].sort(),
        `${stream}: rows are the acknowledged records, each once`,
      )
      const kept = await sqlRows(
        home,
        `SELECT get_json_object(decode(payload), '$.id') AS id FROM tidewater.dead_letters WHERE stream = '${stream}' ORDER BY id`,
      )
      assert.deepEqual(
        kept.map((row) => row['id']),
        [...letters[stream]].sort(),
        `${stream}: dead letters are the bad records, each once`,
      )
    }
    const keyed = await sqlRows(home, `${partsOf('keyed', 'id, n, part')} ORDER BY id`)
    assert.deepEqual(
      keyed.map(({ id, n }) => [id, Number(n)]),
      [...values].sort(([one], [other]) => (one < other ? -1 : 1)),
      'keyed: a row for each key, with the value that it was given last',
    )
    assert.match(await cliOk(['doctor', '--home', home, '--config', config]), /home/)
  })
})
