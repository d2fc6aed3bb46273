/** What watches over the server asks for: `/health`, `/metrics`, and the description of the interface. */
import { limits } from '../base/limits.ts'
import type { Context } from './context.ts'
import { openApi } from './openapi.ts'

export function addCommonApi({ app, options, gate, metrics, inFlight }: Context): void {
  const { streams } = options
  app.get('/health', async () => ({ status: 'ok', streams: streams.list().length }))
  app.get('/health/live', async () => ({ status: 'ok' }))
  app.get('/health/ready', async (_request, reply) => {
    const full = inFlight.bytes > limits.httpInFlightBytesMax - limits.streamRequestBytesMax
    return reply.code(full ? 503 : 200).send({ status: full ? 'busy' : 'ok' })
  })
  app.get('/openapi.json', async () => openApi())
  app.get('/metrics', { onRequest: gate.enter('read', 'all') }, async (_request, reply) => {
    const connections = await new Promise<number>((done) => app.server.getConnections((_error, count) => done(count)))
    const text = await metrics.text({ streams, inFlightBytes: () => inFlight.bytes, connections: () => connections })
    return reply.header('content-type', metrics.contentType).send(text)
  })
}
