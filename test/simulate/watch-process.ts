/** `tidewater quickstart` as a process that goes on watching, for tests. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const PATIENCE_MS = 60_000

export class WatchProcess {
  readonly child: ChildProcess
  /** The folder that it watches. */
  readonly bucket: string
  output = ''
  readonly #ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>

  private constructor(home: string) {
    this.bucket = path.join(home, 'buckets', 'photos')
    this.child = spawn(process.execPath, [MAIN, 'quickstart', '--home', home], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    this.#ended = new Promise((done) => this.child.on('close', (code, signal) => done({ code, signal })))
  }

  /** Starts on a folder of its own instead of the sample photos. */
  static async start(home: string): Promise<WatchProcess> {
    await mkdir(path.join(home, 'buckets', 'photos'), { recursive: true })
    return new WatchProcess(home)
  }

  /** Resolves when it has taken what was there and begins to watch. */
  async ready(): Promise<void> {
    await this.until(() => this.output.includes('Ctrl-C ends'), 'begins to watch')
  }

  async until(condition: () => boolean | Promise<boolean>, what: string, patienceMs = PATIENCE_MS): Promise<number> {
    const startMs = performance.now()
    while (!(await condition())) {
      if (this.child.exitCode !== null || this.child.signalCode !== null || performance.now() - startMs > patienceMs) {
        throw new Error(`the process ${this.child.exitCode ?? 'went on and on'} before it ${what}:\n${this.output}`)
      }
      await delay(20)
    }
    return performance.now() - startMs
  }

  get commits(): string[] {
    return this.output.split('\n').filter((line) => line.includes(' committed '))
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null; tookMs: number }> {
    const startMs = performance.now()
    this.child.kill(signal)
    const patience = new AbortController()
    const late = delay(PATIENCE_MS, undefined, { signal: patience.signal }).then(
      () => this.child.kill('SIGKILL'),
      () => undefined,
    )
    const end = await this.#ended
    patience.abort()
    await late
    return { ...end, tookMs: performance.now() - startMs }
  }
}
