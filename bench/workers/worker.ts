/** The other end of a contender: reads a line of JSON, does it, answers a line of JSON. */
import { createInterface } from 'node:readline'
import type { Reply } from '../harness.ts'

export type Work = (request: Reply) => Promise<Reply>

export async function serve(works: Record<string, Work>, close: () => Promise<void>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Reply
    let reply: Reply
    try {
      if (request['do'] === 'end') {
        await close()
        reply = { rssMiB: process.resourceUsage().maxRSS / 1024 }
      } else {
        const work = works[String(request['do'])]
        if (work === undefined) throw new Error(`no such work: ${request['do']}`)
        reply = await work(request)
      }
    } catch (error) {
      reply = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`)
    if (request['do'] === 'end') break
  }
  process.exit(0)
}

/** What `work` takes, on the clock and of all threads of this process. */
export async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; cpuMs: number; value: T }> {
  const before = process.cpuUsage()
  const started = performance.now()
  const value = await work()
  const ms = performance.now() - started
  const used = process.cpuUsage(before)
  return { ms, cpuMs: (used.user + used.system) / 1000, value }
}
