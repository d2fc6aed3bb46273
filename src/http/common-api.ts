/** What watches over the server asks for: `/health`, `/metrics`, and the description of the interface. */
import type { Context } from './context.ts'
import { healthOf, unreadyReasons } from './health.ts'
import { openApi } from './openapi.ts'

export function addCommonApi(context: Context): void {
  const { app, options, gate, metrics, inFlight } = context
  const { streams, objectSources } = options
  app.get('/health', (request) => healthOf(context, request))
  app.get('/health/live', async () => ({ status: 'ok' }))
  app.get('/health/ready', async (_request, reply) => {
    const reasons = await unreadyReasons(context)
    const busy = reasons.length > 0
    return reply.code(busy ? 503 : 200).send({ status: busy ? 'busy' : 'ok', reasons })
  })
  app.get('/openapi.json', async () => openApi())
  app.get('/metrics', { onRequest: gate.enter('read', 'all') }, async (_request, reply) => {
    const connections = await new Promise<number>((done) => app.server.getConnections((_error, count) => done(count)))
    const text = await metrics.text({
      streams,
      objectSources: () => objectSources?.status() ?? [],
      waitingObjects: () => options.waitingObjects?.() ?? [],
      inFlightBytes: () => inFlight.bytes,
      connections: () => connections,
    })
    return reply.header('content-type', metrics.contentType).send(text)
  })
}
