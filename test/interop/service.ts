/** A server of `services/` for tests: installed once, started on a free port, stopped. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'

const INSTALL_MS = 10 * 60_000
const START_MS = 180_000

export class Service {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(url: string, child: ChildProcess) {
    this.url = url
    this.#child = child
  }

  /** @throws Error when it cannot be installed or does not start */
  static async start(name: string, env: NodeJS.ProcessEnv = {}): Promise<Service> {
    await install(name)
    const port = await freePort()
    const child = spawn(scriptOf(name), [String(port)], {
      env: { ...process.env, LOG_FILE: '/dev/null', READY_SECONDS: String(START_MS / 1000), ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const late = setTimeout(() => reject(new Error(`${name} does not start`)), START_MS)
    const ended = (code: number | null) => reject(new Error(`${name} ended with ${code} before it was ready`))
    child.once('exit', ended)
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const url = /^READY \S+ (\S+) /.exec(line)?.[1]
      if (url !== undefined) resolve(url)
    })
    try {
      return new Service(await promise, child)
    } catch (error) {
      child.kill('SIGTERM')
      throw error
    } finally {
      clearTimeout(late)
      child.off('exit', ended)
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await gone
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
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
