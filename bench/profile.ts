/** Where a process's JavaScript thread spends its time: a sampled CPU profile, summed up by file and by function. */
import { Session } from 'node:inspector/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = path.join(import.meta.dirname, '..')
const SAMPLE_US = 500
const FILES = 16
const FUNCTIONS = 16

export class Profile {
  readonly #session = new Session()

  async start(): Promise<void> {
    this.#session.connect()
    await this.#session.post('Profiler.enable')
    await this.#session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US })
    await this.#session.post('Profiler.start')
  }

  /** Self times since `start`, as lines for people. Idle time is told, and counts for nothing else. */
  async stop(): Promise<string[]> {
    const { profile } = await this.#session.post('Profiler.stop')
    this.#session.disconnect()
    const byId = new Map(profile.nodes.map((node) => [node.id, node.callFrame]))
    const files = new Map<string, number>()
    const functions = new Map<string, number>()
    let all = 0
    let idle = 0
    for (const [at, id] of (profile.samples ?? []).entries()) {
      const us = profile.timeDeltas?.[at] ?? 0
      const frame = byId.get(id)
      // Starting the profiler takes long by itself.
      if (frame === undefined || frame.url === 'node:inspector') continue
      all += us
      if (frame.functionName === '(idle)') {
        idle += us
        continue
      }
      const file = fileOf(frame.url, frame.functionName)
      add(files, file, us)
      add(
        functions,
        frame.url === '' ? file : `${frame.functionName || '(anonymous)'} ${file}:${frame.lineNumber + 1}`,
        us,
      )
    }
    const busy = all - idle
    const share = (us: number) => `${((us / busy) * 100).toFixed(1).padStart(5)} %`
    const top = (sums: Map<string, number>, count: number) =>
      [...sums]
        .sort(([, one], [, other]) => other - one)
        .slice(0, count)
        .map(([what, us]) => `${share(us)}  ${what}`)
    return [
      `JavaScript thread: busy ${((busy / all) * 100).toFixed(0)} % of ${(all / 1e6).toFixed(1)} s; self time by file`,
      ...top(files, FILES),
      'by function',
      ...top(functions, FUNCTIONS),
    ]
  }
}

function add(sums: Map<string, number>, what: string, us: number): void {
  sums.set(what, (sums.get(what) ?? 0) + us)
}

function fileOf(url: string, functionName: string): string {
  if (url === '') return functionName.startsWith('(') ? functionName : 'built in'
  if (!url.startsWith('file:')) return url
  const file = path.relative(ROOT, fileURLToPath(url))
  const [, module] = /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file) ?? []
  return module === undefined ? file : `node_modules/${module}`
}
