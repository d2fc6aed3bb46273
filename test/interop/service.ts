/** A server of `services/` for tests: installed once, started on a free port, stopped, killed, and started again on the same data. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

/** MinIO takes longest, some three minutes on two cores, most of them the compiler's. */
const INSTALL_MS = 20 * 60_000
const START_MS = 180_000

export interface ServiceOptions {
  /** Default: a free one. */
  port?: number
  /** What its script takes besides: see there. */
  env?: NodeJS.ProcessEnv
  /** It is started again on its data, which `remove` takes away. Default: they go when it stops. */
  keepsData?: boolean
}

export class Service {
  readonly port: number
  readonly #name: string
  readonly #dir: string | null
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess | null = null
  #serverPid = 0

  private constructor(name: string, dir: string | null, port: number, env: NodeJS.ProcessEnv) {
    this.port = port
    this.#name = name
    this.#dir = dir
    this.#env = {
      ...process.env,
      ...(dir === null
        ? { LOG_FILE: '/dev/null' }
        : { DATA_DIR: path.join(dir, 'data'), LOG_FILE: path.join(dir, `${name}.log`) }),
      READY_SECONDS: String(START_MS / 1000),
      ...env,
    }
  }

  /** @throws Error when it cannot be installed or does not start */
  static async start(name: string, { port, env = {}, keepsData = false }: ServiceOptions = {}): Promise<Service> {
    await install(name)
    const dir = keepsData ? await mkdtemp(path.join(tmpdir(), `tidewater-${name}-`)) : null
    const service = new Service(name, dir, port ?? (await freePort()), env)
    await service.start()
    return service
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get url(): string {
    return `http://${this.address}`
  }

  /** Again, on the same port, and on its data if they are kept. */
  async start(): Promise<void> {
    const name = this.#name
    const child = spawn(scriptOf(name), [String(this.port)], { env: this.#env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const late = setTimeout(() => reject(new Error(`${name} does not start`)), START_MS)
    const ended = (code: number | null) => reject(new Error(`${name} ended with ${code} before it was ready`))
    child.once('exit', ended)
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const pid = /^READY .* server=(\d+)$/.exec(line)?.[1]
      if (pid === undefined) return
      this.#serverPid = Number(pid)
      resolve()
    })
    try {
      await promise
    } catch (error) {
      child.kill('SIGTERM')
      throw error
    } finally {
      clearTimeout(late)
      child.off('exit', ended)
    }
  }

  /** Ends it in order, or without warning. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null) return
    const gone = once(child, 'exit')
    if (signal === 'SIGKILL') process.kill(this.#serverPid, 'SIGKILL')
    else child.kill('SIGTERM')
    await gone
  }

  /** Stops it, and removes its data. */
  async remove(): Promise<void> {
    await this.stop()
    if (this.#dir !== null) await rm(this.#dir, { recursive: true, force: true })
  }
}

/** Why tests with the server are left out: what it needs cannot be installed here. Null: they run. */
export async function reasonToSkip(name: string): Promise<string | null> {
  try {
    await install(name)
    return null
  } catch (error) {
    const reason = `${name} cannot be installed here (${String(error)}): NOTHING IS SAID ABOUT IT BY THIS RUN`
    process.stderr.write(`\n*** ${reason}\n\n`)
    return reason
  }
}

async function install(name: string): Promise<void> {
  const child = spawn(scriptOf(name), ['0', '--install'], { stdio: ['ignore', 'inherit', 'inherit'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), INSTALL_MS)
  const [code] = (await once(child, 'exit')) as [number | null]
  clearTimeout(timer)
  if (code !== 0) throw new Error(`${name}.sh --install ended with ${code}`)
}

function scriptOf(name: string): string {
  return path.join(import.meta.dirname, 'services', `${name}.sh`)
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}

/** Ports that differ from one another. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
