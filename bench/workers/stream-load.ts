/**
 * Sends records over HTTP, from a process of its own. As fast as its connections allow, or at a given rate: then a request's time
 * counts from when it was due, so that a server that stands still is not measured less often.
 */
import { writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { eventText, type Prepared, RECORDS_OF, requestOf, type Shape } from '../stream-events.ts'
import { serve } from './worker.ts'

/** Different bodies: made before the clock runs, sent in turn. */
const BODIES = 40
const FAILED_MAX = 1_000

interface Load {
  port: number
  shape: Shape
  streams: string[]
  connections: number
  /** What ends it. */
  seconds?: number
  records?: number
  bytes?: number
  /** Requests a second; absent: as many as go. */
  perSecond?: number
}

function send(agent: Agent, port: number, { method, path, headers, body }: Prepared): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { agent, host: '127.0.0.1', port, method, path, headers: { ...headers, 'content-length': body.length } },
      (response) => {
        response.on('error', reject)
        response.on('end', () => resolve(response.statusCode ?? 0))
        response.resume()
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function load({ port, shape, streams, connections, seconds, records, bytes, perSecond }: Load) {
  const per = RECORDS_OF[shape]
  const bodies = Array.from({ length: Math.max(BODIES, streams.length) }, (_, at) =>
    requestOf(shape, streams[at % streams.length]!, at * per),
  )
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const latencies: number[] = []
  const sent = { requests: 0, bytes: 0, failed: 0 }
  let next = 0
  const startMs = performance.now()
  const goesOn = () =>
    sent.failed < FAILED_MAX &&
    (seconds === undefined || performance.now() - startMs < seconds * 1000) &&
    (records === undefined || next * per < records) &&
    (bytes === undefined || sent.bytes < bytes)
  const connection = async () => {
    while (goesOn()) {
      const at = next++
      const dueMs = perSecond === undefined ? performance.now() : startMs + (at / perSecond) * 1000
      const waitMs = dueMs - performance.now()
      if (waitMs > 0) await delay(waitMs)
      const prepared = bodies[at % bodies.length]!
      const status = await send(agent, port, prepared)
      if (status !== 200) {
        sent.failed += 1
        continue
      }
      latencies.push(performance.now() - dueMs)
      sent.requests += 1
      sent.bytes += prepared.body.length
    }
  }
  await Promise.all(Array.from({ length: connections }, connection))
  const ms = performance.now() - startMs
  agent.destroy()
  latencies.sort((one, other) => one - other)
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] ?? 0
  return { ...sent, records: sent.requests * per, ms, p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

await serve(
  {
    load: async (asked) => load(asked as unknown as Load),
    /** The records that a load of so many sends, as a file of lines. */
    write: async ({ records, path }) => {
      const per = RECORDS_OF.ndjson
      const lines = Array.from({ length: Number(records) }, (_, at) => eventText(at % (BODIES * per)))
      await writeFile(String(path), `${lines.join('\n')}\n`)
      return {}
    },
  },
  async () => undefined,
)
