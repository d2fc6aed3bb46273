/**
 * The commands that README.md shows, run as a reader would run them in a fresh clone.
 *
 * A fenced block whose info string is `sh run` is run; `sh run background` is started, left running until the last block
 * is done, and must then end by itself with exit code 0 when it is asked to by SIGTERM. Other blocks are not run.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { projectFolder, projectPaths } from './tree.ts'

export interface Block {
  /** The line of its fence, from 1. */
  readonly line: number
  readonly script: string
  readonly background: boolean
}

/** The blocks to run, in order. Throws when a fence has words after `sh run` that mean nothing. */
export function blocksOf(text: string): Block[] {
  const fences = [...text.matchAll(/^```(?<info>[^\n`]*)\n(?<script>[\s\S]*?)^```[ \t]*$/gm)]
  return fences.flatMap((fence) => {
    const { info = '', script = '' } = fence.groups ?? {}
    const line = text.slice(0, fence.index).split('\n').length
    const words = info.trim().split(/\s+/)
    if (words[0] !== 'sh' || words.length === 1) return []
    if (words[1] !== 'run' || words.length > 3 || (words.length === 3 && words[2] !== 'background')) {
      throw new Error(`README.md:${line}: \`\`\`${info} is neither "sh", "sh run" nor "sh run background"`)
    }
    return [{ line, script, background: words.length === 3 }]
  })
}

/** Puts into `folder` what a clone would hold, with the dependencies that are installed here. */
export function copyProject(folder: string): void {
  for (const path of projectPaths()) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    cpSync(join(projectFolder, path), join(folder, path))
  }
  symlinkSync(join(projectFolder, 'node_modules'), join(folder, 'node_modules'))
}

/** How a block ended. */
export interface Outcome {
  readonly block: Block
  readonly exitCode: number | null
  /** What it printed on both streams, the end of it. */
  readonly output: string
}

const outputKeptChars = 4_000
/** A background block has so long until it prints an address, and to end when it is asked to. */
const backgroundMs = 60_000

/** Runs the blocks in order, up to and including the first that fails; each may take `limitMs`. */
export async function runBlocks(
  blocks: readonly Block[],
  folder: string,
  env: NodeJS.ProcessEnv,
  limitMs: number,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const running: Shell[] = []
  for (const block of blocks) {
    const shell = new Shell(block, folder, env)
    if (block.background) {
      running.push(shell)
      await shell.ready(backgroundMs)
      continue
    }
    const outcome = await shell.end(limitMs)
    outcomes.push(outcome)
    if (outcome.exitCode !== 0) break
  }
  for (const shell of running) {
    shell.stop()
    outcomes.push(await shell.end(backgroundMs))
  }
  return outcomes
}

class Shell {
  readonly #block: Block
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>
  readonly #prints = Promise.withResolvers<void>()
  #output = ''

  constructor(block: Block, folder: string, env: NodeJS.ProcessEnv) {
    this.#block = block
    // One command in the background is the shell itself, so that SIGTERM reaches it.
    const script = block.background ? `exec ${block.script}` : block.script
    this.#child = spawn('sh', ['-e', '-c', script], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-outputKeptChars)
        if (this.#output.includes('http://')) this.#prints.resolve()
      })
    }
    const { promise, resolve } = Promise.withResolvers<number | null>()
    this.#child.on('close', resolve)
    this.#child.on('error', () => resolve(null))
    this.#ended = promise
  }

  /** Waits until it has printed an address, or has ended, or for so long. */
  async ready(limitMs: number): Promise<void> {
    await within(limitMs, Promise.race([this.#prints.promise, this.#ended]))
  }

  stop(): void {
    this.#child.kill('SIGTERM')
  }

  /** Waits until it ends; after `limitMs` it is killed with everything that it started. */
  async end(limitMs: number): Promise<Outcome> {
    const inTime = await within(limitMs, this.#ended)
    if (!inTime && this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL')
    const exitCode = await this.#ended
    const output = inTime ? this.#output : `${this.#output}\n(not finished within ${limitMs} ms)`
    return { block: this.#block, exitCode: inTime ? exitCode : null, output }
  }
}

/** Did the promise settle within so long? */
async function within(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs)
  })
  const inTime = await Promise.race([promise.then(() => true), late])
  clearTimeout(timer)
  return inTime
}
