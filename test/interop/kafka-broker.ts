/** A real Kafka broker for tests: started once its jars are installed, stopped, killed, and started again on the same data. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

const SCRIPT = path.join(import.meta.dirname, 'services', 'kafka.sh')
const INSTALL_MS = 10 * 60_000
const START_MS = 180_000

export class KafkaBroker {
  readonly port: number
  readonly dir: string
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess | null = null
  #serverPid = 0

  private constructor(dir: string, ports: readonly number[], env: NodeJS.ProcessEnv) {
    const [port = 0, controller = 0, inner = 0] = ports
    this.port = port
    this.dir = dir
    this.#env = {
      ...process.env,
      ...env,
      DATA_DIR: path.join(dir, 'data'),
      LOG_FILE: path.join(dir, 'broker.log'),
      CONTROLLER_PORT: String(controller),
      INNER_PORT: String(inner),
      READY_SECONDS: String(START_MS / 1000),
    }
  }

  static async start(env: NodeJS.ProcessEnv = {}): Promise<KafkaBroker> {
    await finished(spawn(SCRIPT, ['0', '--install'], { stdio: ['ignore', 'inherit', 'inherit'] }), INSTALL_MS)
    const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-kafka-'))
    const broker = new KafkaBroker(dir, await freePorts(3), env)
    await broker.start()
    return broker
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** The port without TLS, of a broker that has one with it. */
  get innerAddress(): string {
    return `127.0.0.1:${this.#env['INNER_PORT']}`
  }

  async start(): Promise<void> {
    const child = spawn(SCRIPT, [String(this.port)], { env: this.#env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const late = setTimeout(() => reject(new Error('the broker does not start')), START_MS)
    const ended = (code: number | null) => reject(new Error(`the broker ended with ${code} before it was ready`))
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

  /** Ends it in order, or without warning. Its data stay. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null) return
    const gone = once(child, 'exit')
    if (signal === 'SIGKILL') process.kill(this.#serverPid, 'SIGKILL')
    else child.kill('SIGTERM')
    await gone
  }

  async remove(): Promise<void> {
    await this.stop()
    await rm(this.dir, { recursive: true, force: true })
  }
}

async function finished(child: ChildProcess, limitMs: number): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  const [code] = (await once(child, 'exit')) as [number | null]
  clearTimeout(timer)
  if (code !== 0) throw new Error(`${child.spawnargs.join(' ')} ended with ${code}`)
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
