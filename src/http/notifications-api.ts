/**
 * `POST /v1/notifications/{source}`: what happened to objects, told by the store itself: MinIO's and versitygw's webhooks, or whoever
 * sends one of their documents. 200 says that everything that follows is durable, also that what cannot be understood became a dead
 * letter: sent again it would be no better, and a sender that keeps order would send nothing else.
 *
 * A source with a token lets in who shows it: `Bearer TOKEN` as MinIO sends it, the token alone, `X-Api-Key`, or as the password of a
 * sender that only knows an address (`http://any:TOKEN@host`). One without a token is for API keys with the scope `write` for all
 * streams.
 */
import type { FastifyRequest } from 'fastify'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Webhook } from '../service/objects/objects.ts'
import { sameText } from './access.ts'
import { readPacked, unpackBody } from './body.ts'
import { type Context, withHold } from './context.ts'
import { headerOf } from './gate.ts'
import { HttpProblem } from './status.ts'

type Sourced = { Params: { source: string } }

export function addNotificationsApi(context: Context): void {
  const { app, gate, options, inFlight, times } = context
  const byKey = gate.enter('write', 'all')
  // Whether a name is a source's is told to nobody who may not come in.
  const enter = async (request: FastifyRequest) => {
    const token = options.objectSources?.webhook((request.params as Sourced['Params']).source)?.token ?? null
    if (token === null) return byKey(request)
    if (!showsToken(request, token))
      throw new HttpProblem(401, 'unauthenticated', 'expected the token of the source, as Authorization: Bearer TOKEN')
  }
  // Senders look whether somebody is there before they send.
  app.get<Sourced>('/v1/notifications/:source', async () => ({ status: 'ok' }))
  app.post<Sourced>('/v1/notifications/:source', { onRequest: enter }, async (request) => {
    const webhook = webhookOf(context, request.params.source)
    if (request.headers['x-amz-sns-message-type'] !== undefined)
      throw new Fault(
        'unsupported',
        'SNS by HTTP is not taken: its signatures are not checked here; subscribe a queue to the topic and name it as a source of type sqs',
      )
    const taken = await withHold(inFlight, async (hold) => {
      const packed = await readPacked(request.raw, hold, limits.notificationBytesMax, times)
      return webhook.take(await unpackBody(packed, request.headers['content-encoding'], hold))
    })
    const ignored = Object.values(taken.ignored).reduce((sum, count) => sum + count, 0)
    return { accepted: taken.accepted, deadLetters: taken.problems, ignored }
  })
}

/** @throws Fault `not-found` */
function webhookOf({ options }: Context, name: string): Webhook {
  const webhook = options.objectSources?.webhook(name) ?? null
  if (webhook !== null) return webhook
  throw new Fault('not-found', `there is no source "${name}" of type webhook under objects.sources`)
}

function showsToken(request: FastifyRequest, token: string): boolean {
  const header = headerOf(request)
  const authorization = header('authorization')?.trim() ?? ''
  const [, scheme, rest = ''] = /^(Bearer|Basic) +(\S+)$/i.exec(authorization) ?? []
  const shown = scheme === undefined ? authorization : scheme.toLowerCase() === 'bearer' ? rest : passwordIn(rest)
  const key = header('x-api-key')
  // Both are compared whatever the first says.
  return [sameText(shown, token), key !== undefined && sameText(key, token)].includes(true)
}

/** Of `user:password` in base64; empty where that is no such text. */
function passwordIn(basic: string): string {
  return /^[^:]*:(.*)$/s.exec(Buffer.from(basic, 'base64').toString('utf8'))?.[1] ?? ''
}
