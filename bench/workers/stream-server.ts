/**
 * The servers that records are sent to: ours, one that only reads and answers, one that appends bodies to a file and syncs once for
 * all requests that wait; and DuckDB turning the same records into Parquet.
 */
import { mkdtemp, open, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type ConfigInput, parseConfig } from '../../src/app/config.ts'
import { openEngine } from '../../src/app/engine.ts'
import { homeAt } from '../../src/app/home.ts'
import { reextractPart } from '../../src/app/reextract.ts'
import { replayWhileServing } from '../../src/app/replay.ts'
import { Duck, literal } from '../../src/duck/duck.ts'
import { startServer } from '../../src/http/http.ts'
import { Profile } from '../profile.ts'
import { serve, timed } from './worker.ts'

interface Running {
  port: number
  /** Holds commits back, or lets them go on. */
  hold(held: boolean): Promise<void>
  drain(): Promise<void>
  close(): Promise<void>
}

const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-streams-'))
const profile = new Profile()
let running: Running | null = null
let homes = 0

type Keep = (body: Buffer) => Promise<void> | void

async function plain(keep: Keep, close: () => Promise<void>): Promise<Running> {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      await keep(Buffer.concat(chunks))
      response.setHeader('content-type', 'application/json')
      response.end('{"taken":true}')
    })
  }
  const server = createServer(answer)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    port: (server.address() as AddressInfo).port,
    hold: async () => undefined,
    drain: async () => undefined,
    close: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      await close()
    },
  }
}

/** Requests that come while the file is synced share the next sync. */
async function appending(): Promise<Running> {
  const file = await open(path.join(dir, `bodies-${homes++}`), 'w')
  let waiting: { body: Buffer; done: () => void }[] = []
  let writing = false
  const write = async () => {
    writing = true
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      await file.writev(group.map(({ body }) => body))
      await file.datasync()
      for (const { done } of group) done()
    }
    writing = false
  }
  const keep = (body: Buffer) =>
    new Promise<void>((done) => {
      waiting.push({ body, done })
      if (!writing) void write()
    })
  return plain(keep, () => file.close())
}

async function tidewater(config: ConfigInput): Promise<Running> {
  const home = path.join(dir, `home-${homes++}`)
  const engine = await openEngine({
    home: homeAt(home),
    config: parseConfig({ limits: { memoryMiB: Number(process.env['BENCH_MEMORY_MIB'] ?? 600) }, ...config }, 'bench'),
    configDir: import.meta.dirname,
    onNotice: (text) => process.stderr.write(`${text}\n`),
  })
  engine.start((fault) => process.stderr.write(`${fault.message}\n`))
  const server = await startServer({
    streams: engine.streams,
    clock: engine.clock,
    reader: engine,
    replay: (request) => replayWhileServing(engine, request),
    reextract: (request) => reextractPart(engine, request),
    host: '127.0.0.1',
    port: 0,
    keys: [],
    cors: [],
    onUnexpected: (error) => process.stderr.write(`${String(error)}\n`),
  })
  return {
    port: Number(new URL(server.url).port),
    hold: async (held) => {
      for (const { name } of engine.streams.list())
        await (held ? engine.streams.pause(name) : engine.streams.resume(name))
    },
    drain: () => engine.streams.drain(),
    close: async () => {
      await server.close()
      await engine.finish()
      await engine.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

function server(): Running {
  if (running === null) throw new Error('no server is running')
  return running
}

const rssMiB = () => process.memoryUsage.rss() / 2 ** 20

await serve(
  {
    start: async ({ kind, config }) => {
      if (kind === 'bare')
        running = await plain(
          () => undefined,
          async () => undefined,
        )
      else if (kind === 'file') running = await appending()
      else running = await tidewater(config as ConfigInput)
      return { port: running.port }
    },
    hold: async ({ held }) => {
      await server().hold(held === true)
      return {}
    },
    drain: async () => {
      const { ms, cpuMs } = await timed(() => server().drain())
      return { ms, cpuMs }
    },
    usage: async () => {
      const { user, system } = process.cpuUsage()
      return { cpuMs: (user + system) / 1000, rssMiB: rssMiB() }
    },
    /** The resident memory that stays when nothing is done for a moment. */
    settle: async () => {
      await delay(500)
      return { rssMiB: rssMiB() }
    },
    profile: async () => {
      await profile.start()
      return {}
    },
    profiled: async () => ({ lines: await profile.stop() }),
    stop: async () => {
      await running?.close()
      running = null
      return {}
    },
    parquet: async ({ from, columns }) => {
      const duck = await Duck.open({ memoryMiB: 1024, threads: 2, spillDir: path.join(dir, 'spill') })
      const session = await duck.connect()
      const types = Object.entries(columns as Record<string, string>)
        .map(([name, type]) => `${literal(name)}: ${literal(type)}`)
        .join(', ')
      const target = path.join(dir, 'limit.parquet')
      const { ms, cpuMs } = await timed(() =>
        session.run(
          `COPY (SELECT * FROM read_json(${literal(String(from))}, format = 'newline_delimited', columns = {${types}})) TO ${literal(target)} (FORMAT parquet, COMPRESSION zstd)`,
        ),
      )
      duck.close()
      return { ms, cpuMs }
    },
  },
  async () => {
    await running?.close()
    await rm(dir, { recursive: true, force: true })
  },
)
