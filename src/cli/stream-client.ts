/** The streams API as a program calls it: by URL, or on a home that no server holds. */
import { reextractPart } from '../app/reextract.ts'
import { replayWhileServing } from '../app/replay.ts'
import { Fault, messageOf } from '../base/fault.ts'
import { startServer } from '../http/http.ts'
import { type HomeOptions, settingOf, withEngine } from './common.ts'

export interface ClientOptions extends HomeOptions {
  apiUrl?: string
  apiKey?: string
}

export interface Answer {
  status: number
  reason: string
  text: string
}

export interface StreamClient {
  /** @throws Fault `unavailable` when there is no answer */
  call(method: string, path: string, body?: string | Uint8Array, headers?: Record<string, string>): Promise<Answer>
}

const CALL_MS = 60_000

/** @param callMs what one call may take */
export function clientAt(apiUrl: string, apiKey: string | undefined, callMs: number = CALL_MS): StreamClient {
  const base = apiUrl.replace(/\/+$/, '').replace(/\/v1$/, '')
  if (!/^https?:\/\/[^/]+/.test(base)) throw new Fault('invalid', `--api-url: expected http://…, got "${apiUrl}"`)
  const secret = apiKey ?? process.env['TIDEWATER_API_KEY']
  return {
    call: async (method, path, body, headers = {}) => {
      try {
        const response = await fetch(`${base}${path}`, {
          method,
          headers: { ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }), ...headers },
          signal: AbortSignal.timeout(callMs),
          ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
        })
        return { status: response.status, reason: response.statusText, text: await response.text() }
      } catch (error) {
        const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error)
        throw new Fault(
          'unavailable',
          `no answer from ${base}${path}: ${cause}; is tidewater start running there?`,
          {},
          error,
        )
      }
    },
  }
}

/** With `apiUrl` the server there; without, this process serves the home to itself and commits before it ends. */
export async function withClient(options: ClientOptions, work: (client: StreamClient) => Promise<void>): Promise<void> {
  const apiUrl = options.apiUrl ?? process.env['TIDEWATER_API_URL']
  if (apiUrl !== undefined) return work(clientAt(apiUrl, options.apiKey))
  await withEngine(await settingOf(options), async (engine) => {
    const { streams, clock } = engine
    const server = await startServer({
      streams,
      clock,
      reader: engine,
      replay: (request) => replayWhileServing(engine, request),
      reextract: (request) => reextractPart(engine, request),
      host: '127.0.0.1',
      port: 0,
      keys: [],
      cors: [],
      onUnexpected: (error) => process.stderr.write(`${error instanceof Error ? error.stack : messageOf(error)}\n`),
    })
    try {
      await work(clientAt(server.url, undefined))
    } finally {
      await server.close()
    }
    await engine.finish()
  })
}

/** The document of a good answer. @throws Fault saying what the server said */
export function documentOf({ status, text }: Answer): Record<string, unknown> {
  const value = parse(text)
  if (status < 300) return value
  const error = value['error'] as { kind?: string; message?: string } | undefined
  const kind =
    status === 404 || error?.kind === 'not-found'
      ? 'not-found'
      : status === 409 || error?.kind === 'conflict'
        ? 'conflict'
        : status === 429 || status >= 500
          ? 'unavailable'
          : 'invalid'
  throw new Fault(kind, error?.message ?? `the server answered ${status}: ${text.slice(0, 200)}`, { status })
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text === '' ? '{}' : text) as Record<string, unknown>
  } catch {
    return {}
  }
}
