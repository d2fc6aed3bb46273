/** The commands of docs/point-it-at-your-bucket.md, run as they are printed. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Running } from '../simulate/streams-server.ts'

const GUIDE = path.join(import.meta.dirname, '../../docs/point-it-at-your-bucket.md')
const SCRIPT_MS = 300_000
const CATCH_UP_MS = 90_000

export const run = promisify(execFile)

/** Blocks of commands below a heading, in their order, up to the next heading of any level. */
export async function blocksBelow(heading: string): Promise<string[]> {
  const text = await readFile(GUIDE, 'utf8')
  const [, section] = text.split(`\n${heading}\n`)
  assert.ok(section !== undefined, `the guide has a section ${heading}`)
  const own = section.split(/^#{2,3} /m)[0] ?? ''
  const blocks = [...own.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = '']) => block)
  assert.ok(blocks.length > 0, heading)
  return blocks
}

/** Runs commands one after another in one shell; the first that fails ends it. */
export async function shell(script: string, cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
    cwd,
    env: { ...process.env, ...env },
    timeout: SCRIPT_MS,
  })
  return stdout
}

/** As `shell`, in a terminal: some programs wait only there. */
export async function terminal(script: string, cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  await writeFile(path.join(cwd, 'commands.sh'), script)
  return shell('script -qec "bash -euo pipefail commands.sh" /dev/null', cwd, { TERM: 'xterm', ...env })
}

/** A literal of the guide that cannot be here: a port that is taken, a folder that is not ours. */
export function instead(text: string, printed: string, here: string): string {
  assert.ok(text.includes(printed), `the guide prints ${printed}`)
  return text.replaceAll(printed, here)
}

/** Waits until so many events were accepted. */
export async function accepted({ url, told }: Running, count: number): Promise<void> {
  for (const endMs = Date.now() + CATCH_UP_MS; ; await delay(100)) {
    const { sources } = (await (await fetch(`${url}/health`)).json()) as { sources: { accepted: number }[] }
    if (sources.reduce((sum, each) => sum + each.accepted, 0) >= count) return
    assert.ok(Date.now() < endMs, `${JSON.stringify(sources)}; ${told()}`)
  }
}
