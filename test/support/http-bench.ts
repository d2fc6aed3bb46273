/** The HTTP server on an engine in a temporary home, within this process. */

import type { ConfigInput } from '../../src/app/config.ts'
import { reextractPart } from '../../src/app/reextract.ts'
import { replayWhileServing } from '../../src/app/replay.ts'
import { type ServerOptions, startServer } from '../../src/http/http.ts'
import { type EngineBench, withEngine } from './engine-bench.ts'
import { checkAnswer } from './openapi-check.ts'

export interface HttpBench {
  bench: EngineBench
  url: string
  /** What was told as a bug. */
  unexpected: unknown[]
  /** Every answer is held to the OpenAPI document. */
  send(method: string, path: string, body?: string | Uint8Array, headers?: Record<string, string>): Promise<Reply>
}

export interface Reply {
  status: number
  headers: Headers
  body: unknown
}

export async function withServer(
  config: ConfigInput,
  options: Partial<ServerOptions>,
  work: (http: HttpBench) => Promise<void>,
): Promise<void> {
  await withEngine(config, async (bench) => {
    const unexpected: unknown[] = []
    const { streams, objectSources, clock } = bench.engine
    const server = await startServer({
      streams,
      objectSources,
      clock,
      reader: bench.engine,
      replay: (request) => replayWhileServing(bench.engine, request),
      reextract: (request) => reextractPart(bench.engine, request),
      host: '127.0.0.1',
      port: 0,
      keys: [],
      cors: [],
      onUnexpected: (error) => unexpected.push(error),
      ...options,
    })
    try {
      await work({
        bench,
        unexpected,
        url: server.url,
        send: async (method, path, body, headers = {}) => {
          const response = await fetch(`${server.url}${path}`, {
            method,
            headers,
            ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
          })
          const text = await response.text()
          const reply = {
            status: response.status,
            headers: response.headers,
            body: documentOf(text, response.headers.get('content-type')),
          }
          checkAnswer(method, path, reply.status, response.headers.get('content-type') ?? '', reply.body)
          return reply
        },
      })
    } finally {
      await server.close()
    }
  })
}

/** JSON, or the text itself where it is something else. */
function documentOf(text: string, contentType: string | null): unknown {
  if (text === '') return null
  return /[/-]json/.test(contentType ?? '') && !contentType?.includes('ndjson') ? JSON.parse(text) : text
}
